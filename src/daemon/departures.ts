import type { Clock } from "../telemetry/clock.ts";

/** What a reload has replaced and what still has calls in flight. */
export class Departures {
  readonly #clock: Clock;
  readonly #leaving = new Set<Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Remembers that something is on its way out. */
  add(leaving: Promise<void>): void {
    this.#leaving.add(leaving);
    void leaving.then(() => this.#leaving.delete(leaving));
  }

  /** Resolves when all that has been on its way out by now is gone. */
  async done(): Promise<void> {
    await Promise.all(this.#leaving);
  }

  /** Waits for something, but no longer than `ms`. */
  async within(work: Promise<unknown>, ms: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = this.#clock.after(ms, late.resolve);
    await Promise.race([work, late.promise]);
    cancel();
  }
}
