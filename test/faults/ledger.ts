import { existsSync, readFileSync } from "node:fs";

/** What servers have written down of themselves; see `test/fixtures/fault-server.ts`. */
export class Ledger {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  /** Everything after `word` on the lines that begin with it, in order. */
  all(word: string): string[] {
    if (!existsSync(this.file)) return [];
    return readFileSync(this.file, "utf8")
      .split("\n")
      .filter((line) => line.startsWith(`${word} `))
      .map((line) => line.slice(word.length + 1));
  }

  /** How many lines are exactly this. */
  count(line: string): number {
    if (!existsSync(this.file)) return 0;
    return readFileSync(this.file, "utf8")
      .split("\n")
      .filter((each) => each === line).length;
  }

  /** Process id and time in milliseconds since the epoch of each start. */
  get starts(): { pid: number; at: number }[] {
    return this.all("start").map((start) => {
      const [pid, at] = start.split(" ").map(Number);
      return { pid: pid ?? 0, at: at ?? 0 };
    });
  }
}
