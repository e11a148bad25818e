import { readdirSync, readFileSync } from "node:fs";

/**
 * Sends a signal to a process group; 0 only asks.
 * @returns whether there was anybody to take it
 */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}

/**
 * The process groups of this machine in which something still runs. Where nobody reaps orphans (a container whose first
 * process is the proxy) dead ones take signals for ever, so on Linux their state is looked up before they are believed
 * to live. That means a look at every process, which serves all who ask in one turn of the event loop: a thousand
 * servers that end together would else keep the proxy busy for a minute.
 */
export class RunningGroups {
  #seen: ReadonlySet<number> | undefined;

  /** Whether anything in a group still runs. */
  has(group: number): boolean {
    if (!signalGroup(group, 0)) return false;
    if (process.platform !== "linux") return true;
    if (this.#seen === undefined) {
      this.#seen = livingGroups();
      setImmediate(() => (this.#seen = undefined));
    }
    return this.#seen?.has(group) ?? true;
  }
}

/** @returns undefined where that cannot be seen */
function livingGroups(): Set<number> | undefined {
  try {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return new Set(pids.map(livingGroupOf).filter((group) => group !== undefined));
  } catch {
    return undefined;
  }
}

function livingGroupOf(pid: string): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // "pid (name) state parent group ...", and the name may hold anything (proc_pid_stat(5)).
  const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" || state === "X" ? undefined : Number(group);
}
