import { processes } from "../support/processes.ts";

/** Members of a process group that still run; a zombie runs no more. */
export function groupMembers(group: number): number[] {
  return processes()
    .filter((each) => each.group === group && each.state !== "Z")
    .map(({ pid }) => pid);
}

/** Polls until it holds. @throws Error after `ms` */
export async function until(what: string, holds: () => boolean, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await Bun.sleep(20);
  }
}
