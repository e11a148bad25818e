const FIRST_MS = 1_000;
const LAST_MS = 30_000;
/** A server that ran this long was well; its next failure is counted as a first one. */
const STABLE_MS = 60_000;

/** Delays between attempts: doubling from 1 s to 30 s, each with up to half of it taken off by chance. */
export class Backoff {
  readonly #random: () => number;
  readonly #firstMs: number;
  #failures = 0;

  /** @param firstMs the first delay in milliseconds */
  constructor(random: () => number, firstMs = FIRST_MS) {
    this.#random = random;
    this.#firstMs = firstMs;
  }

  get failures(): number {
    return this.#failures;
  }

  /** @param ranMs how long the attempt that just ended had been well */
  next(ranMs: number): number {
    if (ranMs >= STABLE_MS) this.#failures = 0;
    const full = Math.min(LAST_MS, this.#firstMs * 2 ** this.#failures);
    this.#failures++;
    return full * (1 - this.#random() / 2);
  }
}
