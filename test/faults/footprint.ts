import { readFileSync, readdirSync } from "node:fs";

/** Processes below one, however deep, that are there in any form: a zombie counts. */
export function childrenOf(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = parentOf(Number(name));
    if (parent !== undefined) parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
  }
  const found: number[] = [];
  for (const next = [pid]; next.length > 0;) {
    const children = parents.get(next.pop() ?? 0) ?? [];
    found.push(...children);
    next.push(...children);
  }
  return found;
}

function parentOf(pid: number): number | undefined {
  try {
    // The name in parentheses may hold anything; the fields follow the last one.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Memory that a process really uses, in bytes. */
export function memoryOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1024;
}
