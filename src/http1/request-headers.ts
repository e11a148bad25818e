/** The header fields of a request. Values are what stands there, read as Latin-1 (Fetch, "isomorphic decode"). */
export class RequestHeaders implements Iterable<readonly [name: string, value: string]> {
  /** By names in lower case. */
  readonly #fields = new Map<string, string>();

  /** Adds a line; several of one name are one list (RFC 9110 section 5.3, for cookies RFC 6265 section 5.4). */
  add(name: string, value: string): void {
    const key = name.toLowerCase();
    const before = this.#fields.get(key);
    this.#fields.set(key, before === undefined ? value : `${before}${key === "cookie" ? "; " : ", "}${value}`);
  }

  /** Puts one value in the place of all others. */
  set(name: string, value: string): void {
    this.#fields.set(name.toLowerCase(), value);
  }

  get(name: string): string | null {
    const value = this.#fields.get(name);
    if (value !== undefined) return value;
    const key = name.toLowerCase();
    return key === name ? null : (this.#fields.get(key) ?? null);
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  [Symbol.iterator](): MapIterator<[string, string]> {
    return this.#fields.entries();
  }
}
