import type { JWTVerifyGetKey } from "jose";
import type { Clock } from "../telemetry/clock.ts";
import { isSafeEndpoint, PROVIDER_DEADLINE_MS, ProviderTrouble } from "./provider-fetch.ts";
import type { ProviderDirectory } from "./provider-metadata.ts";

/** An unknown key id makes the key set be fetched again, but not more often than this: anybody can make ids up. */
const COOLDOWN_MS = 30_000;
/** Keys the provider has withdrawn are forgotten after this. */
const MAX_AGE_MS = 10 * 60_000;
/** After a failed fetch nobody tries again for so long. */
const RETRY_MS = 5_000;

/** The public keys of a provider. They come from its key set only, whatever a token says of `jku`, `jwk` or `x5u`. */
export class ProviderKeys {
  readonly #directory: ProviderDirectory;
  readonly #clock: Clock;
  #set: Promise<{ readonly keys: JWTVerifyGetKey; readonly uri: string }> | undefined;
  #failed: { readonly error: unknown; readonly at: number } | undefined;

  constructor(directory: ProviderDirectory, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  /** @throws ProviderTrouble while they cannot be had */
  async get(): Promise<JWTVerifyGetKey> {
    const uri = await this.#directory.jwksUri();
    if (!isSafeEndpoint(uri, this.#directory.issuer))
      throw new ProviderTrouble("the address of its keys (jwksUri) has no https", false);
    const before = await this.#set?.catch(() => undefined);
    if (before?.uri === uri.href) return before.keys;
    this.#set = this.#make(uri);
    return (await this.#set).keys;
  }

  async #make(uri: URL): Promise<{ keys: JWTVerifyGetKey; uri: string }> {
    const { createRemoteJWKSet, customFetch } = await import("jose");
    const keys = createRemoteJWKSet(uri, {
      timeoutDuration: PROVIDER_DEADLINE_MS,
      cooldownDuration: COOLDOWN_MS,
      cacheMaxAge: MAX_AGE_MS,
      [customFetch]: (url: string, init: RequestInit) => this.#fetch(url, init),
    });
    return { keys, uri: uri.href };
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const now = this.#clock.now();
    if (this.#failed !== undefined && now - this.#failed.at < RETRY_MS) throw this.#failed.error;
    try {
      const response = await this.#directory.fetch(url, init);
      if (response.status !== 200) throw new ProviderTrouble(`its keys: status ${response.status}`, true);
      this.#failed = undefined;
      return response;
    } catch (error) {
      this.#failed = { error, at: now };
      throw error;
    }
  }
}
