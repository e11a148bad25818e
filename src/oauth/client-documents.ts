import { Recent } from "../store/recent.ts";
import type { Clock } from "../telemetry/clock.ts";
import { GRANT_TYPES, RESPONSE_TYPES } from "./capabilities.ts";
import type { Client } from "./clients.ts";
import { OAuthError } from "./errors.ts";
import type { Fetched } from "./pinned-fetch.ts";
import { OFFICIAL_HOSTS } from "./redirect-uri.ts";
import type { RedirectPolicy } from "./redirect-uri.ts";
import { readMetadata } from "./registration.ts";
import type { ClientMetadata } from "./registration.ts";

const MAX_CACHED = 1_000;
const DEFAULT_SECONDS = 300;
const MAX_SECONDS = 24 * 3_600;
/** Fetches at a time: anybody can ask for one. */
const MAX_FETCHES = 16;

export interface DocumentsConfig {
  readonly enabled: boolean;
  readonly allowedHosts: readonly string[];
  readonly allowPrivateNetwork: boolean;
  /** `allowedIPs` restricts who registers; then documents come from the well-known clients only. */
  readonly restricted: boolean;
}

/** Why a document cannot be used, in words for the person at the login page. */
export class DocumentError extends Error {}

/**
 * Clients whose id is the address of a document about them (OAuth Client ID Metadata Document). The document is fetched
 * when a login begins, and kept as long as its headers say.
 */
export class ClientDocuments {
  readonly #config: DocumentsConfig;
  readonly #policy: RedirectPolicy;
  readonly #clock: Clock;
  readonly #fetch: (url: URL, allowPrivate: boolean) => Promise<Fetched>;
  readonly #cache = new Recent<{ client: Client; until: number }>(MAX_CACHED);
  readonly #fetching = new Map<string, Promise<Client>>();

  constructor(
    config: DocumentsConfig,
    policy: RedirectPolicy,
    clock: Clock,
    fetch: (url: URL, allowPrivate: boolean) => Promise<Fetched>,
  ) {
    this.#config = config;
    this.#policy = policy;
    this.#clock = clock;
    this.#fetch = fetch;
  }

  /** Whether an id is meant as the address of a document. */
  isAddress(id: string): boolean {
    return /^https:\/\//i.test(id);
  }

  /**
   * The client as its token requests see it: without a secret, since a document is public. Nothing is fetched, for the
   * code or token decides, and that was given to this id.
   */
  bare(id: string): Client | undefined {
    if (!this.#config.enabled || addressMistake(id) !== undefined) return undefined;
    const metadata: ClientMetadata = {
      redirect_uris: [],
      token_endpoint_auth_method: "none",
      grant_types: GRANT_TYPES,
      response_types: RESPONSE_TYPES,
    };
    return { id, made: 0, secretDigest: undefined, metadata };
  }

  /** @throws DocumentError */
  async find(id: string): Promise<Client> {
    if (!this.#config.enabled)
      throw new DocumentError("Apps that identify themselves by a web address are not accepted here.");
    const mistake = addressMistake(id);
    if (mistake !== undefined)
      throw new DocumentError(`The web address the app identifies itself by cannot be used: ${mistake}.`);
    const url = new URL(id);
    if (!this.#trusted(url))
      throw new DocumentError("Apps of this host are not on the list of this server (clientIdMetadata.allowedHosts).");
    const cached = this.#cache.get(id);
    if (cached !== undefined && this.#clock.now() < cached.until) return cached.client;
    const running = this.#fetching.get(id);
    if (running !== undefined) return await running;
    if (this.#fetching.size >= MAX_FETCHES)
      throw new DocumentError("Too many logins begin at the same time. Try again in a moment.");
    const fetching = this.#load(id, url).finally(() => this.#fetching.delete(id));
    this.#fetching.set(id, fetching);
    return await fetching;
  }

  #trusted(url: URL): boolean {
    const { allowedHosts, restricted } = this.#config;
    const hosts = allowedHosts.length > 0 ? allowedHosts : restricted ? OFFICIAL_HOSTS : undefined;
    return (
      hosts === undefined ||
      hosts.some(
        (host) =>
          host.toLowerCase() === url.host ||
          (url.port === "" && host.toLowerCase() === `${url.host}:443`) ||
          host.toLowerCase() === url.hostname,
      )
    );
  }

  async #load(id: string, url: URL): Promise<Client> {
    let fetched: Fetched;
    try {
      fetched = await this.#fetch(url, this.#config.allowPrivateNetwork);
    } catch (error) {
      throw new DocumentError(
        `The app's description at ${id} cannot be had: ${error instanceof Error ? error.message : "it failed"}.`,
      );
    }
    const client: Client = {
      id,
      made: this.#clock.now(),
      secretDigest: undefined,
      metadata: this.#read(id, fetched.body),
      verifiedHost: url.host,
    };
    const seconds = freshFor(fetched.headers);
    if (seconds > 0) this.#cache.set(id, { client, until: this.#clock.now() + seconds * 1_000 });
    return client;
  }

  #read(id: string, body: string): ClientMetadata {
    const wrong = (why: string): DocumentError => new DocumentError(`The app's description at ${id} is wrong: ${why}.`);
    let document: unknown;
    try {
      document = JSON.parse(body);
    } catch {
      throw wrong("it is not JSON");
    }
    if (typeof document !== "object" || document === null) throw wrong("it is no JSON object");
    const fields = document as Record<string, unknown>;
    if (fields["client_id"] !== id) throw wrong("its client_id is another address");
    if ("client_secret" in fields || "client_secret_expires_at" in fields) throw wrong("it holds a secret");
    const method = fields["token_endpoint_auth_method"] ?? "none";
    if (method !== "none") throw wrong("token_endpoint_auth_method must be none");
    try {
      return readMetadata({ ...fields, token_endpoint_auth_method: method }, this.#policy);
    } catch (error) {
      if (error instanceof OAuthError) throw wrong(error.message);
      throw error;
    }
  }
}

/** What the draft asks of such an address (section 3): https, a path, no dot segments, fragment or user. */
function addressMistake(id: string): string | undefined {
  const url = URL.parse(id);
  if (url === null || url.protocol !== "https:") return "it is no https URL";
  if (id.length > 1_024) return "it is too long";
  if (url.username !== "" || url.password !== "" || id.includes("#")) return "it holds a user name or a fragment";
  if (url.pathname === "/") return "it has no path";
  // One text for one address: otherwise one client would have several identities.
  if (url.href !== id) return "it is not written in its normal form";
  return undefined;
}

/** Seconds an answer may be reused (RFC 9111). */
function freshFor(headers: Fetched["headers"]): number {
  const control = headers["cache-control"] ?? "";
  if (/\b(no-store|no-cache)\b/i.test(control)) return 0;
  const age = /\bmax-age="?(\d+)/i.exec(control)?.[1];
  return Math.min(age === undefined ? DEFAULT_SECONDS : Number(age), MAX_SECONDS);
}
