import { OAuthError } from "./errors.ts";

/** Longest value of one parameter; `state` of some clients is long, nothing is longer than this. */
const MAX_VALUE = 4_096;

/** Parameters of a request, each at most once (RFC 6749 section 3.1: "MUST NOT be included more than once"). */
export class Params {
  readonly #all: URLSearchParams;

  constructor(all: URLSearchParams) {
    this.#all = all;
  }

  /** Whether it was sent at all more than once, or longer than anything sensible. */
  broken(name: string): boolean {
    const values = this.#all.getAll(name);
    return values.length > 1 || values.some((value) => value.length > MAX_VALUE);
  }

  /** Empty means absent (RFC 6749 section 3.1). @throws OAuthError when it is repeated */
  get(name: string): string | undefined {
    if (this.broken(name))
      throw new OAuthError("invalid_request", `${name} must be sent once, with at most ${MAX_VALUE} characters`);
    return this.#all.get(name) || undefined;
  }

  /** @throws OAuthError when it is absent or repeated */
  need(name: string): string {
    const value = this.get(name);
    if (value === undefined) throw new OAuthError("invalid_request", `${name} is missing`);
    return value;
  }

  /** @param many those that may be repeated. @throws OAuthError for any other, whether anybody reads it or not */
  refuseRepeated(...many: string[]): void {
    const seen = new Set<string>();
    for (const name of this.#all.keys()) {
      if (seen.has(name) && !many.includes(name))
        throw new OAuthError("invalid_request", "every parameter must be sent once");
      seen.add(name);
    }
  }

  all(name: string): string[] {
    return this.#all.getAll(name).filter((value) => value !== "");
  }
}
