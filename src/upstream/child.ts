import { statSync } from "node:fs";
import type { Clock } from "../telemetry/clock.ts";
import { signalGroup } from "./child-group.ts";
import { Fault } from "./fault.ts";
import type { Watchdog } from "./watchdog.ts";

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Undefined: the proxy's own. */
  readonly cwd: string | undefined;
  /** The whole environment. The command is looked up in its `PATH`. */
  readonly env: Readonly<Record<string, string>>;
  readonly watchdog: Watchdog;
  readonly clock: Clock;
  readonly stop?: StopTimes;
}

/** Milliseconds a child gets at each step of its end. */
export interface StopTimes {
  /** Between the end of its stdin and SIGTERM. */
  readonly closedMs: number;
  /** Between SIGTERM and SIGKILL. */
  readonly termMs: number;
  /** After SIGKILL, until nobody waits any more; only a process stuck in the kernel takes that long. */
  readonly killMs: number;
}

const STOP_TIMES: StopTimes = { closedMs: 1000, termMs: 2000, killMs: 1000 };

/**
 * A process in a group of its own, and the whole of that group: `sh -c`, `npx` and `uvx` start processes that a
 * signal to their parent does not reach.
 */
export class Child {
  readonly process: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #watchdog: Watchdog;
  readonly #clock: Clock;
  readonly #times: StopTimes;
  #stopping: Promise<void> | undefined;
  #exited = false;

  private constructor(process: Bun.Subprocess<"pipe", "pipe", "pipe">, options: ChildOptions) {
    this.process = process;
    this.#watchdog = options.watchdog;
    this.#clock = options.clock;
    this.#times = options.stop ?? STOP_TIMES;
    void process.exited.then(() => (this.#exited = true));
  }

  /**
   * Starts it under the watchdog's guard; await `watchdog.ready()` first.
   * @throws Fault `upstream.not_found` or `upstream.spawn_failed`
   */
  static start(options: ChildOptions): Child {
    try {
      const process = Bun.spawn([options.command, ...options.args], {
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env: options.env,
        detached: true,
        stdin: "pipe",
        stdout: "pipe",
        stderr: "pipe",
      });
      options.watchdog.add(process.pid);
      return new Child(process, options);
    } catch (error) {
      throw startFault(options, error);
    }
  }

  /**
   * Ends the whole group: end of stdin, then SIGTERM, then SIGKILL, each only if the one before did not suffice. When
   * the leader has ended by itself, what it left behind gets the signals at once. Resolves when nothing is left.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    // The clock's timers do not keep the proxy running, but an unfinished stop must.
    const hold = setInterval(() => {}, 60_000);
    try {
      if (!this.#exited) {
        this.closeStdin();
        await this.#leaderGone(this.#times.closedMs);
      }
      const group = this.process.pid;
      if (!this.#groupRuns()) return;
      signalGroup(group, "SIGTERM");
      if (await this.#groupGone(this.#times.termMs)) return;
      signalGroup(group, "SIGKILL");
      await this.#groupGone(this.#times.killMs);
    } finally {
      clearInterval(hold);
      this.#watchdog.remove(this.process.pid);
    }
  }

  closeStdin(): void {
    try {
      // Pending bytes towards a child that has died reject; its exit says everything there is to say.
      Promise.resolve(this.process.stdin.end()).catch(() => undefined);
    } catch {
      // The same, at once.
    }
  }

  #leaderGone(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(ms, resolve);
    void this.process.exited.then(() => {
      cancel();
      resolve();
    });
    return promise;
  }

  /** As long as its leader runs, nothing has to be looked up. */
  #groupRuns(): boolean {
    return !this.#exited || this.#watchdog.running.has(this.process.pid);
  }

  /** There is no event for the end of a group, so it is asked, ever less often. */
  async #groupGone(ms: number): Promise<boolean> {
    const deadline = this.#clock.now() + ms;
    for (let pause = 5; ; pause = Math.min(2 * pause, 200)) {
      if (!this.#groupRuns()) return true;
      const left = deadline - this.#clock.now();
      if (left <= 0) return false;
      await new Promise<void>((resolve) => this.#clock.after(Math.min(pause, left), resolve));
    }
  }
}

function startFault(options: ChildOptions, error: unknown): Fault {
  const { command, cwd } = options;
  const text = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (cwd !== undefined && !isFolder(cwd)) {
    return new Fault("upstream.spawn_failed", "its working directory does not exist; correct or create it", {
      detail: `working directory ${JSON.stringify(cwd)}`,
      notRun: true,
    });
  }
  if (code === "ENOENT") {
    const remedy = command.includes("/")
      ? "see that the file is there, and the interpreter its first line names"
      : "install it, or write its full path";
    return new Fault("upstream.not_found", `command ${JSON.stringify(command)} was not found; ${remedy}`, {
      detail: `PATH of the server: ${options.env["PATH"] ?? "(not set)"}`,
      notRun: true,
    });
  }
  const remedy = code === "EACCES" ? "; see that the file is executable" : "";
  return new Fault("upstream.spawn_failed", `command ${JSON.stringify(command)} could not be started${remedy}`, {
    detail: text,
    notRun: true,
  });
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
