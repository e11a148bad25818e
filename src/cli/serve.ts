import type { Loaded, Overrides, Source } from "../config/context.ts";
import { loadConfig } from "../config/load.ts";
import { renderProblem } from "./check.ts";
import type { CheckIo } from "./check.ts";
import { HELP } from "./help.ts";
import { wantsManyRequests } from "./request-limit.ts";
import type { RequestLimit } from "./request-limit.ts";
import type { TerminalSize } from "./screen.ts";
import type { Pipes } from "./stdio-pipe.ts";

export interface ServeOptions {
  readonly source: Source;
  readonly overrides: Overrides;
  readonly warnings: readonly string[];
  /** To the client on standard input and output instead of to the network. */
  readonly stdio: boolean;
}

export interface ServeIo extends CheckIo {
  readonly version: string;
  /** Of standard output (1) or standard error (2): whether it is a terminal. */
  readonly terminal: (descriptor: 1 | 2) => boolean;
  /** … one that wants colours. */
  readonly colour: (descriptor: 1 | 2) => boolean;
  /** … one on which lines can be drawn again in place. */
  readonly live: (descriptor: 1 | 2) => boolean;
  readonly size: (descriptor: 1 | 2) => TerminalSize;
  /** Calls at SIGINT or SIGTERM, each time. */
  readonly onStop: (call: () => void) => void;
  /** Calls at SIGHUP, each time. */
  readonly onReload: (call: () => void) => void;
  readonly requestLimit: RequestLimit;
  /** Standard input and output; looked at only by what serves a client there. */
  readonly pipes: () => Pipes;
  /** Called when it serves: what a start needs otherwise than the work after it may end. */
  readonly started: () => void;
}

/**
 * Serves everything in a configuration until it is told to stop.
 * @param bridge connects to the URL that stands in the place of a configuration (`SSE_URL`)
 * @returns the exit code
 */
export async function serve(
  options: ServeOptions,
  io: ServeIo,
  bridge: (url: string) => Promise<number>,
): Promise<number> {
  const { env, cwd, home, fetch } = io;
  const load = (): Promise<Loaded> =>
    loadConfig(options.source, { env, cwd, home, fetch, overrides: options.overrides });
  const first = await loadPatiently(load, io);
  if (first.found === "sse-url" && first.sseUrl !== undefined) return await bridge(first.sseUrl);
  if (first.found !== "config") {
    // Where a client reads standard output, help would be taken for a message.
    (options.stdio ? io.stderr : io.stdout)(HELP);
    return 1;
  }
  return await serveLoaded(load, options, io, 1, first);
}

/** A configuration that cannot be read yet is tried again, where that is the habit of whoever starts this. */
async function loadPatiently(load: () => Promise<Loaded>, io: ServeIo): Promise<Loaded> {
  for (let attempt = 1; ; attempt++) {
    const loaded = await load();
    const { attempts = 1, problems } = loaded;
    if (loaded.config !== undefined || attempt >= attempts) return loaded;
    const seconds = 2 ** (attempt - 1);
    for (const problem of problems) io.stderr(renderProblem(problem));
    io.stderr(`mcp-proxy: trying again in ${seconds} s (${attempt} of ${attempts}, MCP_MAX_RETRIES)\n`);
    await Bun.sleep(seconds * 1_000);
  }
}

/**
 * Serves what `load` finds, now and at each reload.
 * @param descriptor where the log goes
 * @returns the exit code
 */
export async function serveLoaded(
  load: () => Promise<Loaded>,
  options: ServeOptions,
  io: ServeIo,
  descriptor: 1 | 2,
  first?: Loaded,
): Promise<number> {
  const loaded = first ?? (await load());
  if (loaded.config !== undefined && wantsManyRequests(loaded.config)) io.requestLimit.lift();
  for (const problem of loaded.problems) io.stderr(renderProblem(problem));
  const { config } = loaded;
  if (config === undefined) return 1;
  if (!options.stdio) {
    const { serveNetwork } = await import("./serve-network.ts");
    return await serveNetwork(config, loaded, { load, options, io, descriptor });
  }
  if (config.servers.size === 0) {
    io.stderr(`mcp-proxy: ${config.source} has no server to serve\n`);
    return 1;
  }
  const { serveStdio, stderrLog } = await import("./serve-stdio.ts");
  const log = stderrLog(config);
  for (const note of [...loaded.notes, ...options.warnings]) log.info({}, note);
  return await serveStdio(config, io, log);
}
