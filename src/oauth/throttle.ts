import ipaddr from "ipaddr.js";
import { Recent } from "../store/recent.ts";
import type { Clock } from "../telemetry/clock.ts";

const WINDOW_MS = 5 * 60_000;
const PER_BOTH = 10;
const PER_ACCOUNT = 50;
const PER_ADDRESS = 100;
const FRESH_MS = 60_000;
/** Accounts and addresses that are counted; guessing with ever new ones must not fill the memory. */
const MAX_COUNTED = 50_000;

/**
 * Slows down guessing of passwords without ever locking anybody out: by account and address together, and more loosely
 * by each. Beyond the account's limit an address that has not failed before still gets one try a minute, so a stranger
 * who fails on purpose cannot keep the owner out.
 */
export class LoginThrottle {
  readonly #clock: Clock;
  readonly #failures = new Recent<number[]>(MAX_COUNTED);
  readonly #fresh = new Recent<number>(MAX_COUNTED);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Counts a try as failed before it is made, so that tries at the same time count as well.
   * @returns `again`: seconds to wait, and nothing may be tried; `succeeded` takes the count back
   */
  begin(account: string, address: string): { again: number } | { again: 0; succeeded: () => void } {
    const now = this.#clock.now();
    const [who, from] = [accountKey(account), networkOf(address)];
    const keys = { both: `both ${from} ${who}`, account: `account ${who}`, address: `address ${from}` };
    const wait = Math.max(this.#wait(keys.both, PER_BOTH, now), this.#wait(keys.address, PER_ADDRESS, now));
    if (wait > 0) return { again: wait };
    const crowded = this.#wait(keys.account, PER_ACCOUNT, now);
    if (crowded > 0) {
      if (this.#recent(keys.address, now).length > 0) return { again: crowded };
      const last = this.#fresh.get(keys.both);
      if (last !== undefined && now - last < FRESH_MS) return { again: Math.ceil((last + FRESH_MS - now) / 1_000) };
      this.#fresh.set(keys.both, now);
    }
    const counted = Object.values(keys);
    for (const key of counted) this.#failures.set(key, [...this.#recent(key, now), now]);
    return {
      again: 0,
      succeeded: () => {
        for (const key of counted) this.#takeBack(key, now);
      },
    };
  }

  #recent(key: string, now: number): number[] {
    return (this.#failures.get(key) ?? []).filter((time) => now - time < WINDOW_MS);
  }

  #wait(key: string, limit: number, now: number): number {
    const recent = this.#recent(key, now);
    const first = recent.at(-limit);
    return first === undefined ? 0 : Math.max(1, Math.ceil((first + WINDOW_MS - now) / 1_000));
  }

  #takeBack(key: string, time: number): void {
    const times = this.#failures.get(key);
    const index = times?.indexOf(time) ?? -1;
    if (index !== -1) times?.splice(index, 1);
  }
}

/** One account is found by several spellings of its e-mail address; each must not have tries of its own. */
function accountKey(name: string): string {
  return name.normalize("NFKC").toLowerCase();
}

/** Who has one IPv6 address has the 2^64 of its network as well (RFC 6177), so those are counted as one. */
function networkOf(address: string): string {
  if (!address.includes(":") || !ipaddr.IPv6.isValid(address)) return address;
  return ipaddr.IPv6.parse(address).toNormalizedString().split(":").slice(0, 4).join(":");
}

/** At most so many of something a minute and address. */
export class MinuteLimit {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #times = new Recent<number[]>(MAX_COUNTED);

  /** @param limit 0: none */
  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  /** @returns seconds to wait, 0 when it may go on */
  take(address: string): number {
    if (this.#limit === 0) return 0;
    const now = this.#clock.now();
    const from = networkOf(address);
    const recent = (this.#times.get(from) ?? []).filter((time) => now - time < 60_000);
    const first = recent.at(-this.#limit);
    if (first !== undefined) return Math.max(1, Math.ceil((first + 60_000 - now) / 1_000));
    this.#times.set(from, [...recent, now]);
    return 0;
  }
}
