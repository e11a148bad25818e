import { InFlight } from "../store/in-flight.ts";
import type { Clock } from "../telemetry/clock.ts";

const TICK_MS = 5_000;

export interface Beating {
  beat(now: number): void;
}

/** One timer for all that has to say something from time to time: a timer per stream costs more than the streams. */
export class Heartbeat {
  readonly #members = new InFlight<Beating, Beating>();
  readonly stop: () => void;

  constructor(clock: Clock) {
    this.stop = clock.every(TICK_MS, () => {
      const now = clock.now();
      for (const member of this.#members) member.beat(now);
    });
  }

  add(member: Beating): void {
    this.#members.set(member, member);
  }

  delete(member: Beating): void {
    this.#members.delete(member);
  }
}
