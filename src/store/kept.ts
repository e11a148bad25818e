import { createHash } from "node:crypto";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { Recent } from "./recent.ts";
import type { StateStore } from "./state-store.ts";

export interface KeptOptions {
  /** First part of the keys of its records. */
  readonly room: string;
  /** Facts at the most; the oldest are forgotten first, for strangers may make them in a loop. */
  readonly max: number;
  /** How long each is remembered, in milliseconds. */
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Small facts that are asked for on the way of a request, so they are all in memory, and in a store where there is one,
 * so that they outlive the process. What they are about is kept as a digest: it may be a credential.
 */
export class Kept {
  readonly #options: KeptOptions;
  readonly #facts: Recent<string>;
  #store: StateStore | undefined;

  constructor(options: KeptOptions) {
    const { room, max, ttlMs } = options;
    this.#options = options;
    this.#facts = new Recent(max, {
      ttl: ttlMs,
      dispose: (_, key, reason) => {
        if (reason === "evict") this.#written(this.#store?.delete([room, key]));
      },
    });
  }

  /** Reads what a store has of it, and writes there from now on; undefined: nowhere. */
  async in(store: StateStore | undefined): Promise<void> {
    if (store === this.#store) return;
    this.#store = undefined;
    for (const { key, value } of (await store?.scan([this.#options.room])) ?? []) {
      const [, digest] = key;
      if (digest !== undefined && !this.#facts.has(digest)) this.#facts.set(digest, value);
    }
    this.#store = store;
  }

  get(...about: string[]): string | undefined {
    return this.#facts.get(digestOf(about));
  }

  set(value: string, ...about: string[]): void {
    const { room, ttlMs, clock } = this.#options;
    const digest = digestOf(about);
    this.#facts.set(digest, value);
    this.#written(this.#store?.set([room, digest], value, clock.now() + ttlMs));
  }

  #written(done: Promise<void> | undefined): void {
    const { log, room } = this.#options;
    done?.catch((error: unknown) => log.error({ error: String(error) }, `the state of ${room} could not be written`));
  }
}

/** One text for what a fact is about. */
export function digestOf(about: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(about)).digest("base64url");
}
