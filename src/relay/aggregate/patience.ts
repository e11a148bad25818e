import type { Clock } from "../../telemetry/clock.ts";
import type { Switchboard } from "../switchboard.ts";
import type { Member } from "./member.ts";

/** How long what several servers say together waits for one of them. */
const DEADLINE_MS = 3_000;
/** How long for one that was late the last time. */
const LATE_MS = 100;

/** The patience with one server. */
export type PatienceWith = (member: Member) => Patience;

/** Each server has a patience of its own, as long as its connections are not made again. */
export function patienceByServer(clock: Clock): PatienceWith {
  const known = new WeakMap<Switchboard, Patience>();
  return ({ endpoint: { switchboard } }) => {
    const patience = known.get(switchboard) ?? new Patience(clock);
    known.set(switchboard, patience);
    return patience;
  };
}

/**
 * How long one server is waited for. One that is late is left out, and hardly waited for again until it was in time:
 * a server that hangs must not make every list slow.
 */
export class Patience {
  readonly #clock: Clock;
  readonly #late = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits for a server to be there. */
  async connected(switchboard: Switchboard): Promise<boolean> {
    const up = switchboard.comesUp().then((is) => (is ? true : Promise.reject(new Error("it did not come up"))));
    return (await this.within("connection", up)) === true;
  }

  /**
   * Waits for some work. A failure counts as nothing.
   * @param what kind of work, for which being late is remembered
   * @param cameLate called when the work is done after all
   * @returns undefined when it is late or fails
   */
  within<T>(what: string, work: Promise<T>, cameLate: () => void = () => undefined): Promise<T | undefined> {
    const { promise, resolve } = Promise.withResolvers<T | undefined>();
    let over = false;
    const cancel = this.#clock.after(this.#late.has(what) ? LATE_MS : DEADLINE_MS, () => {
      over = true;
      this.#late.add(what);
      resolve(undefined);
    });
    work.then(
      (value) => {
        cancel();
        this.#late.delete(what);
        if (over) cameLate();
        resolve(value);
      },
      () => {
        cancel();
        resolve(undefined);
      },
    );
    return promise;
  }
}
