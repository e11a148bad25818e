import { createHmac, hkdfSync } from "node:crypto";
import { costOf, isHash } from "../config/password-hash.ts";
import type { UserSource } from "../auth/accounts.ts";
import { sameText } from "./digest.ts";

/** bcrypt sees no more than this of a password. */
const BCRYPT_BYTES = 72;
/** Password checks that run at a time, on a thread of the runtime: more would take the cores from the relay. */
const AT_A_TIME = 1;
/** Those that may wait; a flood beyond is told to come back. */
const MAX_WAITING = 64;
/** Of no password; checked for users that do not exist, so that they cost the same time. */
const NOBODY = "abcdefghijklmnopqrstuuFJi7iFaRgYdrpjIJmmcKDkMWYZQdqgm";

/** Too many logins at the same time. */
export class Overloaded extends Error {}

/** The users that log in here with a password. */
export class Users {
  readonly #users: UserSource;
  readonly #keys: readonly Buffer[];
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param keys the sealing keys, newest first: marks of passwords are made with them */
  constructor(users: UserSource, keys: readonly Uint8Array[]) {
    this.#users = users;
    this.#keys = keys.map((key) => Buffer.from(hkdfSync("sha256", key, "", "mcp-proxy password mark", 32)));
  }

  has(name: string): boolean {
    return this.#users.find(name) !== undefined;
  }

  /** Words for people who read the log; nothing depends on them. */
  rolesOf(name: string): readonly string[] {
    return this.#users.find(name)?.roles ?? [];
  }

  /**
   * A name as it is configured: an e-mail address is known in any letters, and what somebody has allowed, and has open,
   * is kept by the name.
   */
  nameOf(name: string): string {
    const names = [...this.#users.all()].map(([each]) => each);
    if (names.includes(name) || !name.includes("@")) return name;
    return names.find((each) => each.toLowerCase() === name.toLowerCase()) ?? name;
  }

  /** Names somebody who could log in with a password. */
  get any(): boolean {
    return [...this.#users.all()].some(([, { password }]) => password !== undefined);
  }

  /**
   * Whether this is the user's password. Somebody unknown costs as much time as somebody known.
   * @throws Overloaded
   */
  async check(name: string, password: string): Promise<boolean> {
    const stored = this.#users.find(name)?.password;
    const hashed = stored !== undefined && isHash(stored);
    // Text comparison is done in every case, and one hash where anybody has one.
    const plain = sameText(password, stored ?? `no ${name}`) && stored !== undefined && !hashed;
    const hash = hashed ? stored : this.#decoy();
    const matches = hash === undefined ? false : await this.#verify(password, hash);
    return hashed ? matches : plain;
  }

  /** A keyed fingerprint of what is configured as the password: another one means that it was changed. */
  mark(name: string): string | undefined {
    return this.#mark(name, this.#keys[0]);
  }

  /** Whether the password is still the one it was when this mark was made. */
  unchanged(name: string, mark: string | undefined): boolean {
    return this.has(name) && (mark === undefined || this.#keys.some((key) => this.#mark(name, key) === mark));
  }

  #mark(name: string, key: Buffer | undefined): string | undefined {
    const password = this.#users.find(name)?.password;
    if (password === undefined || key === undefined) return undefined;
    return createHmac("sha256", key)
      .update(JSON.stringify([name, password]))
      .digest("base64url");
  }

  /** A hash of no password, as dear as most of those that are there. */
  #decoy(): string | undefined {
    const costs = [...this.#users.all()]
      .map(([, { password }]) => costOf(password ?? ""))
      .filter((cost) => cost !== undefined);
    const usual = mostFrequent(costs);
    return usual === undefined ? undefined : `$2b$${usual}$${NOBODY}`;
  }

  async #verify(password: string, hash: string): Promise<boolean> {
    if (this.#running >= AT_A_TIME) {
      if (this.#waiting.length >= MAX_WAITING) throw new Overloaded("too many logins at the same time");
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    } else this.#running++;
    try {
      // NUL would end the password for other implementations of bcrypt.
      const bytes = Buffer.from(password, "utf8").subarray(0, BCRYPT_BYTES);
      const usable = bytes.length > 0 && !bytes.includes(0);
      return (await Bun.password.verify(usable ? bytes : Buffer.from("-"), hash)) && usable;
    } catch {
      return false;
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

function mostFrequent(values: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}
