import type { Principal } from "../policy/principal.ts";
import { Accepted } from "./accepted.ts";
import type { Gate, Refusal } from "./gate.ts";

/** Knows which access tokens live. */
export interface AccessTokens {
  /** Whether this principal has a login that lives. */
  lives(principal: string): boolean;
  /**
   * Who the bearer of a token is, at an audience.
   * @returns `invalid` for a token that is unknown, expired, revoked, or was issued for another audience
   */
  bearer(token: string, audience: string): Principal | "invalid" | "insufficient";
  /** Checks a token beforehand whose check takes time. @returns undefined where nothing needs to be done */
  learn?(token: string): Promise<void> | undefined;
}

/** The gate of an endpoint that OAuth protects; static tokens keep working beside it. */
export class OAuthGate implements Gate {
  readonly open = false;
  readonly login = true;
  readonly #tokens: Gate | undefined;
  readonly #access: AccessTokens;
  readonly #audience: string;
  /** Access tokens by the headers they came in. */
  readonly #bearers = new Accepted<string>();

  constructor(tokens: Gate | undefined, access: AccessTokens, audience: string) {
    this.#tokens = tokens;
    this.#access = access;
    this.#audience = audience;
  }

  knows(principal: Principal): boolean {
    if (principal.kind === "user") return this.#access.lives(principal.id);
    return this.#tokens?.knows(principal) ?? false;
  }

  check(header: string | null, audience = this.#audience): Principal | Refusal {
    if (header === null) return "missing";
    const before = this.#bearers.get(header);
    const again = before === undefined ? undefined : this.#access.bearer(before, audience);
    if (typeof again === "object") return again;
    const known = this.#tokens?.check(header);
    if (typeof known === "object") return known;
    const bearer = bearerOf(header);
    if (bearer === undefined) return "invalid";
    const found = this.#access.bearer(bearer, audience);
    if (typeof found === "object") this.#bearers.set(header, bearer);
    return found;
  }

  learn(header: string | null): Promise<void> | undefined {
    if (header === null || this.#access.learn === undefined) return undefined;
    const bearer = bearerOf(header);
    return bearer === undefined ? undefined : this.#access.learn(bearer);
  }
}

function bearerOf(header: string): string | undefined {
  return /^bearer +([^\s]+) *$/i.exec(header)?.[1];
}
