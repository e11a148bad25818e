import type { Subprocess } from "bun";
import { readLines } from "../support/lines.ts";

/** What a child process says on both its outputs. */
export interface Spoken {
  readonly log: string[];
  /** The first line with these words, waited for. @throws Error when the process ends without them */
  logged(wanted: string): Promise<string>;
  /** The exit code, once everything that was said has been read. */
  readonly exited: Promise<number>;
  stop(signal?: NodeJS.Signals): Promise<number>;
}

export function listenTo(child: Subprocess<"ignore", "pipe", "pipe">): Spoken {
  const log: string[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const each of waiting) each();
    waiting.clear();
  };
  const hear = (line: string): void => {
    log.push(line);
    wake();
  };
  let over = false;
  const read = Promise.all([readLines(child.stdout, hear), readLines(child.stderr, hear), child.exited]);
  const exited = read.then(([, , code]) => {
    over = true;
    wake();
    return code;
  });
  return {
    log,
    logged: async (wanted) => {
      for (;;) {
        const line = log.find((each) => each.includes(wanted));
        if (line !== undefined) return line;
        if (over) throw new Error(`it ended with ${child.exitCode} before "${wanted}":\n${log.join("\n")}`);
        await new Promise<void>((resolve) => waiting.add(resolve));
      }
    },
    exited,
    stop: (signal) => {
      child.kill(signal);
      return exited;
    },
  };
}
