import type { Limits } from "../config/config.ts";
import { Recent } from "../store/recent.ts";
import type { Principal } from "./principal.ts";

const MINUTE_MS = 60_000;
/** Somebody who asks for a short while under ever new names must not fill the memory. */
const MAX_COUNTED = 20_000;
/** What a caller who already has too much in flight is told to wait, in seconds. */
const BUSY_SECONDS = 1;

/** Why a request is not taken now. */
export interface Excess {
  readonly message: string;
  /** When it may be tried again. */
  readonly retryAfterSeconds: number;
}

interface Count {
  /** What is left of the minute's allowance, refilled evenly. */
  tokens: number;
  at: number;
  running: number;
}

/**
 * Counts what each principal asks for: at all servers together, and at each one. Addresses are not counted: hosted
 * clients share a few of them.
 */
export class RequestLimits {
  #total: Limits;
  /** Counts with something in flight are kept apart: forgetting one would let its caller begin anew. */
  readonly #counts = new Recent<Count>(MAX_COUNTED);
  readonly #running = new Map<string, Count>();

  constructor(total: Limits) {
    this.#total = total;
  }

  replace(total: Limits): void {
    this.#total = total;
  }

  /**
   * One more request.
   * @param server its name and its limits for each principal
   * @param now milliseconds
   */
  request(principal: Principal, server: ServerLimits | undefined, now: number): Excess | undefined {
    const all = this.#allowances(principal, server).filter(({ limits }) => limits.requestsPerMinute > 0);
    const counted = all.map((each) => ({
      ...each,
      count: this.#refilled(each.key, each.limits.requestsPerMinute, now),
    }));
    // What one limit refuses must not be counted against another one.
    for (const { count, limits, where } of counted) {
      if (count.tokens >= 1) continue;
      const seconds = Math.max(1, Math.ceil((((1 - count.tokens) / limits.requestsPerMinute) * MINUTE_MS) / 1_000));
      const message = `Too many requests${where}: ${limits.requestsPerMinute} a minute are allowed; try again in ${seconds} s`;
      return { message, retryAfterSeconds: seconds };
    }
    for (const { count } of counted) count.tokens--;
    return undefined;
  }

  /** A call begins. @returns what ends it */
  call(principal: Principal, server: ServerLimits | undefined, now: number): (() => void) | Excess | undefined {
    const all = this.#allowances(principal, server).filter(({ limits }) => limits.concurrent > 0);
    if (all.length === 0) return undefined;
    const counted = all.map((each) => ({ ...each, count: this.#count(each.key, now) }));
    for (const { count, limits, where } of counted) {
      if (count.running < limits.concurrent) continue;
      const message = `Too many calls in flight${where}: ${limits.concurrent} are allowed at the same time; try again when one has ended`;
      return { message, retryAfterSeconds: BUSY_SECONDS };
    }
    for (const { key, count } of counted) {
      count.running++;
      this.#running.set(key, count);
    }
    let over = false;
    return () => {
      if (over) return;
      over = true;
      for (const { key, count } of counted) if (--count.running === 0) this.#running.delete(key);
    };
  }

  #allowances(principal: Principal, server: ServerLimits | undefined): Allowance[] {
    const own = principal.limits?.();
    const who = principal.id;
    // A user's own limit is his with all his clients together.
    const total: Allowance =
      own === undefined
        ? { key: who, limits: this.#total, where: "" }
        : { key: `user ${principal.user ?? who}`, limits: own, where: "" };
    if (server === undefined) return [total];
    const there = { key: JSON.stringify([server.name, who]), limits: server.limits, where: ` at ${server.shown}` };
    return [total, there];
  }

  #refilled(key: string, perMinute: number, now: number): Count {
    const count = this.#count(key, now, perMinute);
    count.tokens = Math.min(perMinute, count.tokens + (Math.max(0, now - count.at) / MINUTE_MS) * perMinute);
    count.at = now;
    return count;
  }

  #count(key: string, now: number, tokens = Number.POSITIVE_INFINITY): Count {
    let count = this.#counts.get(key) ?? this.#running.get(key);
    if (count === undefined) {
      count = { tokens, at: now, running: 0 };
    }
    this.#counts.set(key, count);
    return count;
  }
}

export interface ServerLimits {
  readonly name: string;
  /** The name as it may be shown. */
  readonly shown: string;
  readonly limits: Limits;
}

interface Allowance {
  readonly key: string;
  readonly limits: Limits;
  /** Words for the message. */
  readonly where: string;
}

export function limitsAnything(limits: Limits | undefined): boolean {
  return limits !== undefined && (limits.requestsPerMinute > 0 || limits.concurrent > 0);
}
