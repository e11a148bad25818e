import { resolve } from "node:path";
import type { Loaded, Overrides, Source } from "../config/context.ts";
import type { Config } from "../config/config.ts";
import { isUrl, readSource } from "../config/read-source.ts";
import { watchSource } from "../config/watch.ts";
import type { Daemon } from "../daemon.ts";
import { StoreUnusable } from "../store/state-store.ts";
import { systemClock } from "../telemetry/clock.ts";
import type { LeveledLog } from "../telemetry/create-log.ts";
import { renderProblem } from "./check.ts";
import type { CheckIo } from "./check.ts";
import { listenFailure } from "./listen-failure.ts";
import { wantsManyRequests } from "./request-limit.ts";
import type { RequestLimit } from "./request-limit.ts";

export interface ReloadIo extends CheckIo {
  readonly onReload: (call: () => void) => void;
  readonly requestLimit: RequestLimit;
}

/** Brings changes of the configuration to a running daemon: at SIGHUP, and by itself where that is wanted. */
export class Reloader {
  readonly #load: () => Promise<Loaded>;
  readonly #location: string | undefined;
  readonly #text: string | undefined;
  readonly #options: { readonly source: Source; readonly overrides: Overrides };
  readonly #io: ReloadIo;
  readonly #log: LeveledLog;
  #stopWatch: (() => void) | undefined;
  #stopped = false;
  #state: "idle" | "busy" | "again" = "idle";

  constructor(
    load: () => Promise<Loaded>,
    first: Loaded,
    options: { readonly source: Source; readonly overrides: Overrides },
    io: ReloadIo,
    log: LeveledLog,
  ) {
    this.#load = load;
    this.#location = first.location;
    this.#text = first.text;
    this.#options = options;
    this.#io = io;
    this.#log = log;
  }

  start(daemon: Daemon, config: Config): void {
    this.#io.onReload(() => this.#reload(daemon));
    const location = this.#location;
    if (!config.liveReload || location === undefined) return;
    const { env, cwd, home, fetch } = this.#io;
    const context = { env, cwd, home, fetch, overrides: this.#options.overrides };
    this.#stopWatch = watchSource(isUrl(location) ? undefined : resolve(cwd, location), {
      known: this.#text,
      every: (ms, call) => systemClock.every(ms, call),
      changed: () => this.#reload(daemon),
      read: async () => {
        const read = await readSource(location, context);
        return "text" in read ? read.text : undefined;
      },
    });
    this.#log.info({}, "the configuration is watched; changes take effect by themselves");
  }

  stop(): void {
    this.#stopped = true;
    this.#stopWatch?.();
  }

  #reload(daemon: Daemon): void {
    if (this.#stopped) return;
    // One after the other; a change that comes meanwhile is looked at once more at the end.
    if (this.#state !== "idle") {
      this.#state = "again";
      return;
    }
    this.#state = "busy";
    void this.#once(daemon).then(() => {
      const again = this.#state === "again";
      this.#state = "idle";
      if (again) this.#reload(daemon);
    });
  }

  async #once(daemon: Daemon): Promise<void> {
    const loaded = await this.#load();
    if (this.#stopped) return;
    const { config } = loaded;
    if (config === undefined) {
      for (const problem of loaded.problems) this.#log.error({}, renderProblem(problem).trimEnd());
      if (loaded.found !== "config") this.#log.error({}, "the configuration is gone");
      this.#log.error({}, "the configuration has errors and was not taken over; what ran before goes on");
      return;
    }
    for (const problem of loaded.problems) this.#log.warn({}, renderProblem(problem).trimEnd());
    try {
      await daemon.reload(config);
      this.#log.setLevel(config.log.level);
      this.#log.info({ servers: config.servers.size }, "the configuration was taken over");
      if (wantsManyRequests(config) && !this.#io.requestLimit.lifted)
        this.#log.warn({}, "of more than 256 requests to HTTP servers at once the rest wait; a restart lifts that");
    } catch (error) {
      this.#log.error(
        {},
        `${error instanceof StoreUnusable ? `${error.message}   store.unusable` : listenFailure(config.listen, error)}; what ran before goes on`,
      );
    }
  }
}
