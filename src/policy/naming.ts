import { createHash } from "node:crypto";

/** What model providers accept as the name of a tool. */
const ACCEPTED = /^[a-zA-Z0-9_-]{1,64}$/;
const MAX_LENGTH = 64;
const HASH_DIGITS = 10;
const LONG_HASH_DIGITS = 32;
/** Names that end like a hash are never used as they are: a server could pass a tool of its own off as another's. */
const LIKE_A_HASH = /_[0-9a-f]{10}$/;

/** One server of several, in their order. */
export interface Named {
  readonly name: string;
  /** First part of its names, `""` for none. */
  readonly prefix: string;
}

/** One thing of one server. */
export interface Pair<T extends Named> {
  readonly owner: T;
  readonly name: string;
}

/** What each server has under a name of its own, in the order of the servers. */
export type Holdings<T extends Named> = readonly (readonly [owner: T, names: Iterable<string>])[];

/**
 * The names of one kind of things of several servers, and whose each of them is. A name that begins with the prefix of
 * a server is that server's, of several such prefixes the longest counts, whether or not the server is there: so a name
 * does not change hands when a server goes, or grows a tool.
 */
export class Names<T extends Named> {
  readonly #members: readonly T[];
  readonly #separator: string;
  readonly #byName = new Map<string, Pair<T>>();
  readonly #names = new Map<T, Map<string, string>>();
  /** Pairs that had to be renamed because an earlier server has their name. */
  readonly clashes: readonly (Pair<T> & { readonly first: T })[];

  constructor(members: readonly T[], separator: string, holdings: Holdings<T>) {
    this.#members = members;
    this.#separator = separator;
    const clashes: (Pair<T> & { first: T })[] = [];
    const later: Pair<T>[] = [];
    for (const [owner, names] of holdings) {
      for (const name of names) {
        const plain = this.#plain(owner, name);
        const taken = plain === undefined ? undefined : this.#byName.get(plain);
        if (plain !== undefined && taken === undefined) this.#take(plain, { owner, name });
        else later.push({ owner, name });
        if (taken !== undefined) clashes.push({ owner, name, first: taken.owner });
      }
    }
    for (const pair of later) {
      const short = this.#hashed(pair, HASH_DIGITS);
      this.#take(this.#byName.has(short) ? this.#hashed(pair, LONG_HASH_DIGITS) : short, pair);
    }
    this.clashes = clashes;
  }

  /** The one name of a thing of a server. */
  of(owner: T, name: string): string {
    const known = this.#names.get(owner)?.get(name);
    if (known !== undefined) return known;
    const plain = this.#plain(owner, name);
    const pair = { owner, name };
    const mine = plain === undefined || this.#byName.has(plain) ? this.#hashed(pair, HASH_DIGITS) : plain;
    return this.#byName.has(mine) ? this.#hashed(pair, LONG_HASH_DIGITS) : mine;
  }

  /** Whose thing a listed name is. */
  get(text: string): Pair<T> | undefined {
    return this.#byName.get(text);
  }

  /**
   * Everything a text could mean that is no listed name: other separators, the server's name for its prefix, a name
   * without the server's.
   */
  otherwise(text: string): Pair<T>[] {
    const found: Pair<T>[] = [];
    for (const owner of this.#members) {
      const has = this.#names.get(owner);
      const rests = new Set([text, ...this.#rests(owner, text)]);
      for (const name of rests) if (has?.has(name) === true) found.push({ owner, name });
    }
    return found;
  }

  /** What a text would mean if the server whose name it begins with had such a thing. */
  presumed(text: string): Pair<T> | undefined {
    const owner = this.#territory(text);
    if (owner !== undefined) {
      // Of several with the same prefix it could be any.
      const alone = this.#members.every((member) => member === owner || member.prefix !== owner.prefix);
      return alone ? { owner, name: text.slice(this.#start(owner.prefix).length) } : undefined;
    }
    const presumed = this.#members.flatMap((member) =>
      this.#rests(member, text).map((name) => ({ owner: member, name })),
    );
    return presumed.length === 1 ? presumed[0] : undefined;
  }

  /** What follows a server's name or prefix, with each separator that may stand between. */
  #rests({ name, prefix }: T, text: string): string[] {
    const rests = new Set<string>();
    for (const first of [prefix, name]) {
      for (const separator of [this.#separator, "__", "_", ":"]) {
        const start = first + separator;
        if (first !== "" && text.length > start.length && text.startsWith(start)) rests.add(text.slice(start.length));
      }
    }
    return [...rests];
  }

  /** The name as it should be; undefined where it cannot be had. */
  #plain(owner: T, name: string): string | undefined {
    const text = this.#start(owner.prefix) + name;
    const usable = ACCEPTED.test(text) && !LIKE_A_HASH.test(text);
    return usable && this.#territory(text)?.prefix === owner.prefix ? text : undefined;
  }

  #start(prefix: string): string {
    return prefix === "" ? "" : prefix + this.#separator;
  }

  /** The first server with the longest prefix that a text begins with. */
  #territory(text: string): T | undefined {
    let found: T | undefined;
    for (const member of this.#members) {
      if (!text.startsWith(this.#start(member.prefix))) continue;
      if (found === undefined || member.prefix.length > found.prefix.length) found = member;
    }
    return found;
  }

  #hashed({ owner, name }: Pair<T>, digits: number): string {
    const readable = (this.#start(owner.prefix) + name).replaceAll(/[^a-zA-Z0-9_-]/g, "_");
    const hash = createHash("sha256")
      .update(JSON.stringify([owner.name, name]))
      .digest("hex")
      .slice(0, digits);
    return `${readable.slice(0, MAX_LENGTH - digits - 1)}_${hash}`;
  }

  #take(text: string, pair: Pair<T>): void {
    this.#byName.set(text, pair);
    const names = this.#names.get(pair.owner) ?? new Map<string, string>();
    names.set(pair.name, text);
    this.#names.set(pair.owner, names);
  }
}
