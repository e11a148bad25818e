import { readFileSync } from "node:fs";

/** Files that are never left to clients, nor is an eighth of all. */
const RESERVED = 256;
const FEWEST = 64;

/**
 * How many clients may be connected at once, by how many files this process may have open. Somebody who opens connections
 * until there are no more would else keep servers from being started, and the proxy from accepting and reading anything.
 * @param limits of the process as Linux tells them
 * @returns no limit where the system does not tell
 */
export function connectionLimit(limits: string = limitsOfProcess()): number {
  const files = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  if (files === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(FEWEST, Number(files) - Math.max(RESERVED, Math.ceil(Number(files) / 8)));
}

function limitsOfProcess(): string {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return "";
  }
}
