import { RunningGroups, signalGroup } from "./child-group.ts";

/**
 * Reads `+ group` and `- group` until the writing end is gone, for whatever reason, then ends every group left. The
 * checks of the number are not decoration: `kill -9 -1` would end everything this user runs. `kill -9 -N` is the one
 * form that every shell takes (dash knows no `--`).
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM
groups=
echo ready
while read -r sign group; do
  case $group in ''|0|1|*[!0-9]*) continue ;; esac
  case $sign in
    +) groups="$groups $group" ;;
    -) kept=
       for each in $groups; do [ "$each" = "$group" ] || kept="$kept $each"; done
       groups=$kept ;;
  esac
done
[ -n "$groups" ] || exit 0
for each in $groups; do kill -15 -$each 2>/dev/null; done
sleep 1
for each in $groups; do kill -9 -$each 2>/dev/null; done
`;

const MAX_STARTS = 5;

export interface WatchdogOptions {
  /** Told, in a sentence with the remedy, that children might survive the proxy's own violent death. */
  readonly log: (message: string) => void;
  /** Shell to run; `sh` from the search path by default. */
  readonly shell?: string;
}

type Keeper = Bun.Subprocess<"pipe", "pipe", "ignore">;

/**
 * One tiny process beside the proxy that survives it: when the proxy dies without a chance to clean up (`kill -9`, out
 * of memory), the pipe between them closes and it ends every process group it was told of. `PR_SET_PDEATHSIG` would
 * reach direct children only, not what `npx` or `sh -c` started in turn.
 */
export class Watchdog {
  /** Which groups still run, for all children alike. */
  readonly running = new RunningGroups();
  readonly #log: (message: string) => void;
  readonly #shell: string;
  readonly #groups = new Set<number>();
  #keeper: Keeper | undefined;
  #starting: Promise<void> | undefined;
  #starts = 0;
  #stopped = false;

  constructor(options: WatchdogOptions) {
    this.#log = options.log;
    this.#shell = options.shell ?? "sh";
  }

  /** Process id, undefined while none runs. */
  get pid(): number | undefined {
    return this.#keeper?.pid;
  }

  /** Resolves when it runs, or when it is certain that it cannot; call it before a child is started. */
  ready(): Promise<void> {
    if (this.#keeper !== undefined || this.#stopped) return this.#starting ?? Promise.resolve();
    this.#starting ??= this.#start().finally(() => (this.#starting = undefined));
    return this.#starting;
  }

  /** Puts a process group under guard. Synchronous, so that nothing can come between the start of a child and this. */
  add(group: number): void {
    this.#groups.add(group);
    this.#tell(`+ ${group}\n`);
  }

  /** The group is gone; its number may soon belong to a stranger. */
  remove(group: number): void {
    if (this.#groups.delete(group)) this.#tell(`- ${group}\n`);
  }

  /**
   * Kills every group that is still there, without asking it first.
   * @returns how many there were
   */
  killAll(): number {
    let killed = 0;
    for (const group of this.#groups) if (signalGroup(group, "SIGKILL")) killed++;
    return killed;
  }

  /** Ends it; groups that are still listed end with it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const keeper = this.#keeper;
    this.#keeper = undefined;
    if (keeper === undefined) return;
    swallow(keeper.stdin.end());
    // With nobody left to guard there is nothing to wait for: after a thousand servers it would read for seconds.
    if (this.#groups.size === 0) keeper.kill("SIGKILL");
    await keeper.exited;
  }

  async #start(): Promise<void> {
    if (this.#starts++ >= MAX_STARTS) return;
    let keeper: Keeper;
    try {
      keeper = Bun.spawn([this.#shell, "-c", SCRIPT], {
        // An own session: a signal for the terminal's or the service's group must not take the guard with it.
        detached: true,
        cwd: "/",
        stdin: "pipe",
        stdout: "pipe",
        stderr: "ignore",
      });
    } catch (error) {
      this.#starts = MAX_STARTS;
      this.#log(
        `no watchdog: ${this.#shell} cannot be started (${error instanceof Error ? error.message : String(error)}); ` +
          "if mcp-proxy is killed with SIGKILL, processes of servers may stay behind. Install a POSIX shell.",
      );
      return;
    }
    keeper.unref();
    this.#keeper = keeper;
    for (const group of this.#groups) this.#tell(`+ ${group}\n`);
    void keeper.exited.then(() => this.#lost(keeper));
    const reader = keeper.stdout.getReader();
    await reader.read().catch(() => undefined);
    await reader.cancel().catch(() => undefined);
  }

  #lost(keeper: Keeper): void {
    if (this.#keeper !== keeper) return;
    this.#keeper = undefined;
    if (this.#starts >= MAX_STARTS) {
      this.#log(
        "the watchdog ended again and again and is not started any more; if mcp-proxy is killed with SIGKILL, " +
          "processes of servers may stay behind. See what ends its shell.",
      );
      return;
    }
    this.#log("the watchdog process was ended from outside; another one is started");
    void this.ready();
  }

  #tell(line: string): void {
    const keeper = this.#keeper;
    if (keeper === undefined) return;
    try {
      swallow(keeper.stdin.write(line));
      swallow(keeper.stdin.flush());
    } catch {
      // Its end is noticed through `exited`; the next one is told of every group anew.
    }
  }
}

/** A pipe to a process that has died rejects; whoever watches that process already knows. */
function swallow(result: unknown): void {
  if (result instanceof Promise) result.catch(() => undefined);
}
