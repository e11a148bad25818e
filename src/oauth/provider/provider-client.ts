import type { Configuration } from "openid-client";
import { identityOf } from "../../auth/identity.ts";
import type { Identity } from "../../auth/identity.ts";
import { ProviderTrouble } from "../../auth/provider-fetch.ts";
import type { ProviderDirectory, ProviderMetadata } from "../../auth/provider-metadata.ts";
import type { Log } from "../../telemetry/log.ts";

/** What must come back from the provider, or be shown to it, unchanged. */
export interface ProviderChecks {
  readonly state: string;
  readonly nonce: string;
  /** PKCE (RFC 7636): a code that is stolen on its way back is worth nothing without it. */
  readonly verifier: string;
}

/** A login that the provider has confirmed. */
export interface Confirmed {
  readonly identity: Identity;
  /** With it the provider can be asked later whether the login still holds; undefined where it gave none. */
  readonly refreshToken: string | undefined;
}

/** The provider did not log the person in, and says so. */
export class ProviderRefusal extends Error {
  readonly code: string;

  /** @param code `error` of its answer (RFC 6749 section 4.1.2.1) */
  constructor(code: string) {
    super(`the identity provider refused the login: ${code}`);
    this.code = code;
  }
}

/** The provider knows nothing (any more) of a login it had confirmed. */
export class LoginWithdrawn extends Error {}

/** The scope for a login that lasts while the person is away (OpenID Connect Core section 11). */
const OFFLINE = "offline_access";

type SecretWay = "basic" | "post" | "none";

/** The proxy as a client of the identity provider (OpenID Connect Core section 3.1, code flow). */
export class ProviderClient {
  readonly #directory: ProviderDirectory;
  readonly #log: Log;
  #way: SecretWay;
  /** Kept while the document is the same: the library remembers the provider's keys with it. */
  readonly #made = new Map<SecretWay, { readonly metadata: ProviderMetadata; readonly configuration: Configuration }>();

  constructor(directory: ProviderDirectory, log: Log) {
    this.#directory = directory;
    this.#log = log;
    this.#way = directory.config.clientSecret === undefined ? "none" : directory.preset.secretBy;
  }

  get label(): string {
    return this.#directory.label;
  }

  /**
   * Where to send the browser.
   * @param again ask for the password also of somebody who is logged in there: the last one was not who we want
   * @throws ProviderTrouble
   */
  async begin(redirectUri: string, checks: ProviderChecks, again: boolean): Promise<URL> {
    const { buildAuthorizationUrl, calculatePKCECodeChallenge } = await import("openid-client");
    const { config, preset } = this.#directory;
    const lasting = config.scopes.includes(OFFLINE);
    const extra = { ...preset.extra, ...(lasting ? preset.offline : {}) };
    return buildAuthorizationUrl(await this.#configuration(this.#way), {
      ...extra,
      // `select_account` would do as well, but not all providers know it.
      ...(again ? { prompt: /\bconsent\b/.test(extra["prompt"] ?? "") ? "login consent" : "login" } : {}),
      ...this.#audience(),
      redirect_uri: redirectUri,
      scope: config.scopes.filter((scope) => scope !== OFFLINE || preset.offlineScope).join(" "),
      state: checks.state,
      nonce: checks.nonce,
      code_challenge: await calculatePKCECodeChallenge(checks.verifier),
      code_challenge_method: "S256",
    });
  }

  /**
   * Redeems what the provider sent the browser back with. `iss` (RFC 9207), state, nonce, signature, issuer, audience
   * and times of the ID token are checked on the way.
   * @param callback the public URL of the callback with the query that came
   * @throws ProviderRefusal, ProviderTrouble
   */
  async finish(callback: URL, checks: ProviderChecks): Promise<Confirmed> {
    const { authorizationCodeGrant } = await import("openid-client");
    const expected = {
      expectedState: checks.state,
      expectedNonce: checks.nonce,
      pkceCodeVerifier: checks.verifier,
      idTokenExpected: true,
    };
    const tokens = await this.#asClient((configuration) =>
      authorizationCodeGrant(configuration, callback, expected, this.#audience()),
    );
    const claims = tokens.claims();
    if (claims === undefined) throw new ProviderTrouble("it sent no ID token", false);
    return {
      identity: await this.#identity(claims, tokens.access_token),
      refreshToken: tokens.refresh_token,
    };
  }

  /**
   * Asks whether a login still holds.
   * @returns who it is now; `identity` is undefined where the answer says nothing new
   * @throws LoginWithdrawn, ProviderTrouble
   */
  async renew(
    refreshToken: string,
    subject: string,
  ): Promise<{ identity: Identity | undefined; refreshToken: string }> {
    const { refreshTokenGrant } = await import("openid-client");
    const tokens = await this.#asClient((configuration) => refreshTokenGrant(configuration, refreshToken)).catch(
      (error: unknown) => {
        throw error instanceof ProviderRefusal && error.code === "invalid_grant" ? new LoginWithdrawn() : error;
      },
    );
    const claims = tokens.claims();
    if (claims !== undefined && claims.sub !== subject)
      throw new ProviderTrouble("it answered for somebody else", false);
    const identity = claims === undefined ? undefined : identityOf(claims, this.#directory.preset.vouchers);
    // An ID token without the address says nothing about it; with one, it is the latest word.
    const told = identity !== undefined && claims?.["email"] !== undefined ? identity : undefined;
    return { identity: told, refreshToken: tokens.refresh_token ?? refreshToken };
  }

  /** ID tokens need not carry the address where UserInfo has it (OpenID Connect Core section 5.4). */
  async #identity(claims: Readonly<Record<string, unknown>>, accessToken: string): Promise<Identity> {
    const { preset } = this.#directory;
    const told = identityOf(claims, preset.vouchers);
    if (told === undefined) throw new ProviderTrouble("its ID token has no usable subject", false);
    if (claims["email"] !== undefined) return told;
    const { fetchUserInfo } = await import("openid-client");
    try {
      const configuration = await this.#configuration(this.#way);
      if (configuration.serverMetadata().userinfo_endpoint === undefined) return told;
      const info = await fetchUserInfo(configuration, accessToken, told.subject);
      return identityOf(info, preset.vouchers) ?? told;
    } catch (error) {
      this.#log.warn({ provider: this.label, reason: reasonOf(error) }, "the provider's UserInfo could not be read");
      return told;
    }
  }

  /** Runs a request to the token endpoint; shows the secret the other way once where the first one is refused. */
  async #asClient<T>(run: (configuration: Configuration) => Promise<T>): Promise<T> {
    try {
      return await run(await this.#configuration(this.#way));
    } catch (error) {
      const other = this.#way === "basic" ? "post" : "basic";
      if (this.#way === "none" || codeOf(error) !== "invalid_client") throw translated(error);
      try {
        const result = await run(await this.#configuration(other));
        this.#way = other;
        return result;
      } catch (second) {
        throw translated(second);
      }
    }
  }

  async #configuration(way: SecretWay): Promise<Configuration> {
    const openid = await import("openid-client");
    const metadata = await this.#directory.metadata();
    const made = this.#made.get(way);
    if (made?.metadata === metadata) return made.configuration;
    const { clientId, clientSecret } = this.#directory.config;
    const shown = {
      basic: () => openid.ClientSecretBasic(clientSecret),
      post: () => openid.ClientSecretPost(clientSecret),
      none: () => openid.None(),
    }[way]();
    const algorithms = (metadata["id_token_signing_alg_values_supported"] as string[] | undefined) ?? ["RS256"];
    const configuration = new openid.Configuration(
      { ...(metadata as ProviderMetadata & Record<string, never>), id_token_signing_alg_values_supported: algorithms },
      clientId,
      clientSecret,
      shown,
    );
    // The code flow would trust the connection alone; the signature is checked as well.
    openid.enableNonRepudiationChecks(configuration);
    configuration[openid.customFetch] = this.#directory.fetch;
    if (this.#directory.issuer.protocol === "http:") openid.allowInsecureRequests(configuration);
    this.#made.set(way, { metadata, configuration });
    return configuration;
  }

  #audience(): Record<string, string> {
    const { config, preset } = this.#directory;
    return config.audience === undefined || !preset.takesAudience ? {} : { audience: config.audience };
  }
}

/** The error of an OAuth answer, if it is one; only what looks like a code, for the rest is a stranger's text. */
function codeOf(error: unknown): string | undefined {
  const { error: code } = error as { error?: unknown };
  return typeof code === "string" && /^[\w.-]{1,64}$/.test(code) ? code : undefined;
}

function translated(error: unknown): Error {
  const cause = (error as { cause?: unknown }).cause;
  for (const each of [error, cause]) if (each instanceof ProviderTrouble) return each;
  const code = codeOf(error);
  if (code !== undefined) return new ProviderRefusal(code);
  return new ProviderTrouble(`its answer cannot be used: ${reasonOf(error)}`, false);
}

function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: unknown; code?: unknown };
  const inner = (error as { cause?: { message?: unknown } }).cause?.message;
  const parts = [message, typeof inner === "string" ? inner : undefined, code].filter(
    (part) => typeof part === "string",
  );
  return parts.join("; ").slice(0, 300);
}
