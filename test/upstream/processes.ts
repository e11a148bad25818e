/** Members of a process group that still run; a zombie runs no more. */
export function groupMembers(group: number): number[] {
  const { stdout } = Bun.spawnSync(["ps", "-eo", "pid=,pgid=,stat="]);
  return stdout
    .toString()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, pgid, stat]) => Number(pgid) === group && stat?.startsWith("Z") === false)
    .map(([pid]) => Number(pid));
}

/** Polls until it holds. @throws Error after `ms` */
export async function until(what: string, holds: () => boolean, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await Bun.sleep(20);
  }
}
