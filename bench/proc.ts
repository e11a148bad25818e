import { readFileSync } from "node:fs";

// Linux counts CPU time for user space in hundredths of a second, whatever the kernel's own tick is (proc(5), stat).
const TICKS_PER_SECOND = 100;

/** CPU seconds of one process so far, all its threads, without its children; undefined where there is no /proc. */
export function cpuSeconds(pid: number): number | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the program's name in parentheses and may hold blanks, so count from behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/**
 * Resident memory of one process in KB; undefined where there is no /proc.
 * @param which RssAnon leaves out what is mapped from files, of which the runtime's program alone is some 40 MB: pages
 * that all processes of the program share, as many as the system chose to keep
 */
export function residentKb(pid: number, which: "VmRSS" | "RssAnon" | "VmHWM" = "VmRSS"): number | undefined {
  const size = new RegExp(`^${which}:\\s+(\\d+) kB`, "m").exec(readText(`/proc/${pid}/status`) ?? "")?.[1];
  return size === undefined ? undefined : Number(size);
}

/** How many files a process of this user may have open; undefined where there is no /proc. */
export function openFileLimit(): number | undefined {
  const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(readText("/proc/self/limits") ?? "")?.[1];
  return hard === undefined ? undefined : Number(hard);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
