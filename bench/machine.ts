import { cpus, loadavg } from "node:os";
import { resolve } from "node:path";

import { commandFor } from "./processes.ts";

/** Where and with what something was measured. */
export interface Machine {
  readonly date: string;
  readonly commit: string;
  /** Whether the sources differ from the commit. */
  readonly changed: boolean;
  readonly proxy: string;
  readonly bun: string;
  readonly system: string;
  readonly loadBefore: number;
}

/** @param proxy undefined when it is not measured */
export function describeMachine(root: string, proxy: string | undefined): Machine {
  const output = (command: string[]): string => {
    const result = Bun.spawnSync(command, { cwd: root, stderr: "ignore" });
    return result.success ? result.stdout.toString().trim() : "unknown";
  };
  return {
    date: new Date().toISOString(),
    commit: output(["git", "rev-parse", "HEAD"]),
    changed: output(["git", "status", "--porcelain"]) !== "",
    proxy: proxy === undefined ? "not measured" : output([...commandFor(resolve(proxy)), "--version"]),
    bun: Bun.version,
    system: `${process.platform} ${process.arch}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown"}`,
    loadBefore: loadavg()[0] ?? 0,
  };
}
