import type { Principal } from "../policy/principal.ts";
import type { AccessTokens } from "./oauth-gate.ts";
import type { ProviderTokens } from "./provider-tokens.ts";

/** Tokens of this server's own login, and beside them those that the identity provider issued itself. */
export class EitherTokens implements AccessTokens {
  readonly #own: AccessTokens;
  readonly #provider: ProviderTokens;

  constructor(own: AccessTokens, provider: ProviderTokens) {
    this.#own = own;
    this.#provider = provider;
  }

  lives(principal: string): boolean {
    return this.#own.lives(principal) || this.#provider.lives(principal);
  }

  /** A token of the provider names the API in `aud`, which is the whole proxy here. */
  bearer(token: string, audience: string): Principal | "invalid" | "insufficient" {
    // Ours begin with a word of their own.
    return token.startsWith("eyJ") ? this.#either(token, audience) : this.#own.bearer(token, audience);
  }

  learn(token: string): Promise<void> | undefined {
    return token.startsWith("eyJ") ? this.#provider.learn(token) : undefined;
  }

  /** Tokens taken over from an older program may begin like that as well. */
  #either(token: string, audience: string): Principal | "invalid" | "insufficient" {
    const found = this.#provider.bearer(token);
    return found === "invalid" ? this.#own.bearer(token, audience) : found;
  }
}
