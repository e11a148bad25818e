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
 * Whether anything in a process group still runs. Where nobody reaps orphans (a container whose first process is the
 * proxy) dead ones take signals for ever, so on Linux their state is looked up before they are believed to live.
 */
export function groupRuns(group: number): boolean {
  if (!signalGroup(group, 0)) return false;
  if (process.platform !== "linux") return true;
  const pids = processIds();
  return pids === undefined || pids.some((pid) => runsIn(pid, group));
}

function processIds(): string[] | undefined {
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return undefined;
  }
}

function runsIn(pid: string, group: number): boolean {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return false;
  }
  // "pid (name) state parent group ...", and the name may hold anything (proc_pid_stat(5)).
  const [state, , pgrp] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(pgrp) === group && state !== "Z" && state !== "X";
}
