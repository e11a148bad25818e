import type { IdentityProviderConfig } from "../config/config.ts";
import type { Clock } from "../telemetry/clock.ts";
import { isSafeEndpoint, providerFetch, ProviderTrouble } from "./provider-fetch.ts";
import { presetOf } from "./provider-presets.ts";
import type { ProviderPreset } from "./provider-presets.ts";

/** How long a discovery document counts; after that it is fetched anew, and the old one serves where that fails. */
const FRESH_MS = 60 * 60_000;
/** After a failure nobody asks again for so long: a flood of logins must not become a flood of requests. */
const RETRY_MS = 5_000;
/** `openid-client`: the document's issuer is not the one that was expected. */
const OTHER_ISSUER = "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED";

/** What a provider says about itself (OpenID Connect Discovery 1.0 section 3), as far as it is checked here. */
export interface ProviderMetadata {
  readonly issuer: string;
  readonly jwks_uri: string;
  readonly userinfo_endpoint?: string;
  readonly [field: string]: unknown;
}

/** A provider's discovery document, fetched when it is first needed: a provider that is down stops no start. */
export class ProviderDirectory {
  readonly config: IdentityProviderConfig;
  readonly issuer: URL;
  readonly preset: ProviderPreset;
  readonly fetch: (url: string | URL, init?: RequestInit) => Promise<Response>;
  readonly #clock: Clock;
  #known: { readonly metadata: ProviderMetadata; readonly at: number } | undefined;
  #failed: { readonly error: ProviderTrouble; readonly at: number } | undefined;
  #asking: Promise<ProviderMetadata> | undefined;

  constructor(config: IdentityProviderConfig, clock: Clock) {
    this.config = config;
    this.issuer = new URL(config.issuer);
    this.preset = presetOf(this.issuer, config.kind);
    this.fetch = providerFetch(this.issuer);
    this.#clock = clock;
  }

  /** What people call it. */
  get label(): string {
    return this.preset.label ?? this.issuer.host;
  }

  /** Where its keys are, without asking it where the configuration says so. @throws ProviderTrouble */
  async jwksUri(): Promise<URL> {
    return new URL(this.config.jwksUri ?? (await this.metadata()).jwks_uri);
  }

  /** @throws ProviderTrouble while it cannot be reached, or when what it says cannot be right */
  async metadata(): Promise<ProviderMetadata> {
    const now = this.#clock.now();
    if (this.#known !== undefined && now - this.#known.at < FRESH_MS) return this.#known.metadata;
    if (this.#failed !== undefined && now - this.#failed.at < RETRY_MS) {
      if (this.#known !== undefined) return this.#known.metadata;
      throw this.#failed.error;
    }
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return await this.#asking;
  }

  async #ask(): Promise<ProviderMetadata> {
    try {
      const metadata = await this.#discover();
      this.#known = { metadata, at: this.#clock.now() };
      this.#failed = undefined;
      return metadata;
    } catch (error) {
      const trouble =
        error instanceof ProviderTrouble
          ? error
          : new ProviderTrouble(`its discovery document: ${String(error)}`, false);
      this.#failed = { error: trouble, at: this.#clock.now() };
      if (this.#known !== undefined) return this.#known.metadata;
      throw trouble;
    }
  }

  async #discover(): Promise<ProviderMetadata> {
    const { discovery, customFetch, allowInsecureRequests } = await import("openid-client");
    const options = {
      [customFetch]: this.fetch,
      execute: this.issuer.protocol === "http:" ? [allowInsecureRequests] : [],
    };
    const find = async (server: URL): Promise<ProviderMetadata> => {
      const configuration = await discovery(server, this.config.clientId, undefined, undefined, options);
      return configuration.serverMetadata() as unknown as ProviderMetadata;
    };
    // With a path, some issuers end in a slash and some do not, and people copy either. The provider's own spelling
    // counts: its tokens have it.
    const plain = this.issuer.href.replace(/\/+$/, "");
    let found: ProviderMetadata;
    try {
      found = await find(new URL(plain)).catch((error: unknown) => {
        if (this.issuer.pathname === "/" || (error as { code?: unknown }).code !== OTHER_ISSUER) throw error;
        return find(new URL(`${plain}/`));
      });
    } catch (error) {
      throw this.#discoveryTrouble(error);
    }
    return this.#checked(found);
  }

  /** Endpoints may be on other hosts, as Google's are, but never without https. */
  #checked(found: ProviderMetadata): ProviderMetadata {
    if (new URL(found.issuer).href.replace(/\/+$/, "") !== this.issuer.href.replace(/\/+$/, ""))
      throw new ProviderTrouble("it says of itself that it is another issuer", false);
    const { jwksUri } = this.config;
    const metadata = { ...found, ...(jwksUri === undefined ? {} : { jwks_uri: jwksUri }) };
    for (const name of ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"]) {
      const value = (metadata as Record<string, unknown>)[name];
      if (value === undefined && name === "userinfo_endpoint") continue;
      const url = typeof value === "string" ? URL.parse(value) : null;
      if (url === null || !isSafeEndpoint(url, this.issuer))
        throw new ProviderTrouble(`its discovery document has no usable ${name} (https is needed)`, false);
    }
    return metadata;
  }

  #discoveryTrouble(error: unknown): ProviderTrouble {
    if (error instanceof ProviderTrouble) return error;
    const cause = (error as { cause?: unknown }).cause;
    if (cause instanceof ProviderTrouble) return cause;
    const { code, message } = error as { code?: unknown; message?: unknown };
    const status = cause instanceof Response ? cause.status : undefined;
    if (status !== undefined && status >= 500) return new ProviderTrouble(`it answered with status ${status}`, true);
    const { remedy } = this.preset;
    const hint = remedy ?? "compare the issuer with the one in its /.well-known/openid-configuration";
    const what = status === undefined ? `${String(message)} (${String(code)})` : `it answered with status ${status}`;
    return new ProviderTrouble(`its discovery document cannot be used: ${what}; ${hint}`, false);
  }
}
