import type { Fault } from "./fault.ts";

/** Of a failure that repeats itself one in so many is told, at the most: with 30 s between attempts, one an hour. */
const FURTHEST = 120;
/** Lines of stderr that are remembered; who says more than that at each start says something else. */
const MAX_LINES = 200;
const MAX_LINE = 1_000;

/**
 * What of a server that fails again and again is worth a line in the log: the first failure, any that differs from
 * the one before, and of the rest ever fewer. A server that is broken for a week must not fill a disk with that.
 */
export class FailureNews {
  #last = "";
  #count = 0;
  #tellAt = 1;
  #lines = new Set<string>();

  /** One more failure. @returns how many of its kind there were in a row, and whether to tell */
  failed({ code, message }: Fault): { readonly count: number; readonly tell: boolean } {
    const now = `${code} ${message}`;
    if (now !== this.#last) this.#begin();
    this.#last = now;
    const count = ++this.#count;
    if (count < this.#tellAt) return { count, tell: false };
    this.#tellAt = Math.min(4 * count, count + FURTHEST);
    return { count, tell: true };
  }

  /** Whether a line of a server that fails was not among its last words before. */
  isNew(line: string): boolean {
    if (this.#lines.has(line)) return this.#count === 0;
    if (this.#lines.size < MAX_LINES && line.length < MAX_LINE) this.#lines.add(line);
    return true;
  }

  /** It runs. */
  well(): void {
    this.#begin();
    this.#last = "";
    this.#lines.clear();
  }

  #begin(): void {
    this.#count = 0;
    this.#tellAt = 1;
  }
}
