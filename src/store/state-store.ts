/** A key in parts, so that no text of a stranger can forge the prefix of another kind of record. */
export type StateKey = readonly [string, ...string[]];

export interface StateEntry {
  readonly key: StateKey;
  readonly value: string;
}

/**
 * Where state lives that must survive a restart. Whatever must be atomic is one operation, so that a store shared by
 * several processes fits behind it. A promise resolves when the change is durable: an answer that depends on it may
 * leave then, and not before. `test/store/conformance.ts` holds every store to this.
 */
export interface StateStore {
  /** The value, unless it is absent or has expired. */
  get(key: StateKey): Promise<string | undefined>;
  /** @param expiresAt milliseconds since the epoch; undefined: never */
  set(key: StateKey, value: string, expiresAt?: number): Promise<void>;
  delete(key: StateKey): Promise<void>;
  /** Reads and removes in one step: of any number of callers, one gets the value. */
  take(key: StateKey): Promise<string | undefined>;
  /** Every live record whose key begins with these parts, in the order of the keys. */
  scan(prefix: StateKey): Promise<StateEntry[]>;
  /** Removes what has expired. */
  sweep(): Promise<void>;
  /** Nothing may be asked of it afterwards. */
  close(): Promise<void>;
}

/** The directory cannot be used: another process has it open, or it cannot be written. The message names it. */
export class StoreUnusable extends Error {}
