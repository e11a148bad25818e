import { LRUCache } from "lru-cache";
import type { JWTPayload } from "jose";
import type { Limits } from "../config/config.ts";
import type { Principal } from "../policy/principal.ts";
import { Recent } from "../store/recent.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Accounts } from "./accounts.ts";
import { identityOf, memberOf } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { ProviderTrouble } from "./provider-fetch.ts";
import { ProviderKeys } from "./provider-keys.ts";
import type { ProviderDirectory } from "./provider-metadata.ts";

/**
 * What a provider may sign with. No `none`, and no `HS*`: with those, whoever has the public key could sign
 * (RFC 8725 section 3.1).
 */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
/** Larger ones fit no header of usual servers. */
const MAX_TOKEN = 12_000;
/** Characters of tokens that are remembered, all together. */
const MAX_REMEMBERED = 16 * 1_024 * 1_024;
/** A token is verified anew after this: its key may have been withdrawn. */
const TRUST_MS = 10 * 60_000;
/** What is no token of ours is remembered for so long, so that a client that repeats it costs little. */
const REFUSED_MS = 5_000;
/** Differences between clocks that are forgiven (RFC 7519 section 4.1.4), in seconds. */
const SKEW_S = 30;
const MAX_VERIFYING = 64;
const MAX_REFUSED = 1_000;
/** So often, at the most, the log says that tokens cannot be checked. */
const COMPLAIN_MS = 10_000;
const MAX_PRINCIPALS = 10_000;

interface Known {
  readonly identity: Identity;
  /** The application the token was issued to, where it says so. */
  readonly client: string;
  readonly expires: number;
  readonly trusted: number;
  /** Who this is here, for the members as they were at `version`. */
  principal: Principal | undefined;
  version: number;
}

interface Present {
  readonly identity: Identity;
  readonly user: string;
  expires: number;
}

export interface ProviderTokenDeps {
  readonly directory: ProviderDirectory;
  /** What the tokens must be for (`aud`). */
  readonly audience: string;
  readonly members: Accounts;
  readonly clock: Clock;
  readonly log: Log;
  /** Somebody may no longer come in: what this principal has open must end too. */
  readonly onEnd: (principal: string) => void;
}

/**
 * Access tokens (JWT, RFC 9068 and older habits) that the identity provider issued itself, for instance to a service.
 * Checking one takes time, so it is done once, ahead of `bearer`, which only looks up.
 */
export class ProviderTokens {
  readonly #deps: ProviderTokenDeps;
  readonly #keys: ProviderKeys;
  readonly #issuers: string[];
  readonly #known = new LRUCache<string, Known>({
    maxSize: MAX_REMEMBERED,
    sizeCalculation: (_value, token) => token.length,
  });
  /** Until when a token is refused unseen. Apart from the good ones, so that a flood of bad ones displaces none. */
  readonly #refused = new Recent<number>(MAX_REFUSED);
  #complainedAt = Number.NEGATIVE_INFINITY;
  readonly #verifying = new Map<string, Promise<void>>();
  /** Who has a token, by principal. */
  readonly #present = new Recent<Present>(MAX_PRINCIPALS);

  constructor(deps: ProviderTokenDeps) {
    this.#deps = deps;
    this.#keys = new ProviderKeys(deps.directory, deps.clock);
    const plain = deps.directory.issuer.href.replace(/\/+$/, "");
    // With and without the slash it is the same issuer; people copy it in either form.
    this.#issuers = [plain, `${plain}/`];
  }

  /** Checks a token that is not known yet. @returns undefined where nothing needs to be done */
  learn(token: string): Promise<void> | undefined {
    if (!looksLikeJwt(token)) return undefined;
    const known = this.#known.get(token);
    const now = this.#deps.clock.now();
    if (known !== undefined && now < known.trusted) return undefined;
    if (now < (this.#refused.get(token) ?? 0)) return undefined;
    const running = this.#verifying.get(token);
    if (running !== undefined) return running;
    // Beyond this many at a time the others are refused for now: signatures cost CPU time, and UserInfo waits.
    if (this.#verifying.size >= MAX_VERIFYING) return undefined;
    const work = this.#verify(token, known !== undefined && now < known.expires ? known : undefined).finally(() =>
      this.#verifying.delete(token),
    );
    this.#verifying.set(token, work);
    return work;
  }

  /** Who the bearer of a token is that was learned before. */
  bearer(token: string): Principal | "invalid" {
    const known = this.#known.get(token);
    if (known === undefined || this.#deps.clock.now() >= known.trusted) return "invalid";
    if (known.version !== this.#deps.members.version) this.#place(known);
    return known.principal ?? "invalid";
  }

  /** Whether somebody who came with such a token may still come. */
  lives(principal: string): boolean {
    const present = this.#present.get(principal);
    if (present === undefined || present.expires <= this.#deps.clock.now()) return false;
    return memberOf(present.identity, this.#deps.members) === present.user;
  }

  /** Ends what is open for those whose tokens have run out, or who may not come in any more. */
  sweep(): void {
    const now = this.#deps.clock.now();
    // A users file that is late must not end what is open.
    if (this.#deps.members.unread) return;
    for (const id of [...this.#present.keys()]) {
      if (this.lives(id)) continue;
      this.#present.delete(id);
      this.#deps.onEnd(id);
    }
    for (const [token, known] of [...this.#known.entries()]) if (now >= known.expires) this.#known.delete(token);
  }

  async #verify(token: string, before: Known | undefined): Promise<void> {
    const { clock, directory, log } = this.#deps;
    try {
      const payload = await this.#payload(token);
      const identity = before?.identity ?? (await this.#identity(payload, token));
      this.#keep(token, identity, clientOf(payload), (payload.exp ?? 0) * 1_000);
    } catch (error) {
      const trouble = error instanceof ProviderTrouble ? error : undefined;
      // An outage of the provider throws nobody out whose token was good a moment ago and has not run out.
      if (trouble?.down === true && before !== undefined)
        return this.#keep(token, before.identity, before.client, before.expires);
      this.#known.delete(token);
      this.#refused.set(token, clock.now() + REFUSED_MS);
      const reason = trouble?.message ?? reasonOf(error);
      const fields = { provider: directory.label, reason };
      // Anybody can send tokens; the log must not be theirs to fill.
      if (trouble === undefined)
        log.debug(fields, "a token was refused: it is not the identity provider's, or not for here");
      else if (clock.now() - this.#complainedAt > COMPLAIN_MS) {
        this.#complainedAt = clock.now();
        log.warn(fields, "a token of the identity provider could not be checked");
      }
    }
  }

  /** @throws jose's errors, ProviderTrouble */
  async #payload(token: string): Promise<JWTPayload> {
    const { jwtVerify } = await import("jose");
    const { clock, audience } = this.#deps;
    const { payload, protectedHeader } = await jwtVerify(token, await this.#keys.get(), {
      issuer: this.#issuers,
      audience,
      algorithms: ALGORITHMS,
      clockTolerance: SKEW_S,
      currentDate: new Date(clock.now()),
      requiredClaims: ["exp", "sub"],
    });
    if (!isAccessToken(protectedHeader.typ, payload)) throw new Error("it is no access token");
    return payload;
  }

  async #identity(payload: JWTPayload, token: string): Promise<Identity> {
    const { directory, members } = this.#deps;
    const told = identityOf(payload, directory.preset.vouchers);
    if (told === undefined) throw new Error("its subject is not usable");
    if (payload["email"] !== undefined || memberOf(told, members) !== undefined) return told;
    const { userinfo_endpoint: address } = await directory.metadata();
    if (address === undefined) return told;
    const response = await directory.fetch(address, {
      headers: { Authorization: `Bearer ${token}`, Accept: "application/json" },
    });
    if (response.status >= 500) throw new ProviderTrouble(`its UserInfo: status ${response.status}`, true);
    if (response.status !== 200) return told;
    const info: unknown = await response.json().catch(() => undefined);
    if (typeof info !== "object" || info === null || Array.isArray(info)) return told;
    const more = identityOf(info as Record<string, unknown>, directory.preset.vouchers);
    // OpenID Connect Core section 5.3.2: an answer about somebody else must not be used.
    return more?.subject === told.subject ? more : told;
  }

  #keep(token: string, identity: Identity, client: string, expires: number): void {
    const now = this.#deps.clock.now();
    const trusted = Math.min(expires, now + TRUST_MS);
    const known: Known = { identity, client, expires, trusted, principal: undefined, version: -1 };
    this.#place(known);
    this.#known.set(token, known);
    if (known.principal === undefined) {
      const fields = { subject: identity.subject, email: identity.email };
      this.#deps.log.warn(fields, "somebody with a token of the identity provider is not among the users");
    }
  }

  /** Looks up who this is among the members there are now. */
  #place(known: Known): void {
    const { members } = this.#deps;
    known.version = members.version;
    const user = memberOf(known.identity, members);
    if (user === undefined) {
      known.principal = undefined;
      return;
    }
    const id = `user:${encodeURIComponent(user)}:provider:${encodeURIComponent(known.client)}`;
    const limits = (): Limits | undefined => members.find(user)?.limits;
    known.principal = { kind: "user", id, user, client: known.client, rights: members.rightsOf(user), limits };
    const present = this.#present.get(id);
    const expires = Math.max(known.expires, present?.expires ?? 0);
    this.#present.set(id, { identity: known.identity, user, expires });
  }
}

/** Three parts, of which the first is a JSON object in base64url; nothing else is worth a look at the keys. */
function looksLikeJwt(token: string): boolean {
  return token.length <= MAX_TOKEN && /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/.test(token);
}

function clientOf(payload: JWTPayload): string {
  for (const name of ["azp", "client_id", "cid", "appid"]) {
    const value = payload[name];
    if (typeof value === "string" && value.length <= 256) return value;
  }
  return "";
}

/**
 * Keeps out the provider's other tokens, which it signs with the same keys: ID tokens, which say that somebody logged
 * in elsewhere, and those of log-out notices and of Keycloak's refresh tokens (RFC 8725 section 3.11).
 */
function isAccessToken(typ: string | undefined, payload: JWTPayload): boolean {
  const kind = typ?.toLowerCase().replace(/^application\//, "");
  if (kind !== undefined && kind !== "jwt" && kind !== "at+jwt") return false;
  const { typ: inner, events } = payload;
  if (events !== undefined || payload["at_hash"] !== undefined || payload["c_hash"] !== undefined) return false;
  return inner === undefined || (typeof inner === "string" && /^(bearer|at\+jwt|access)$/i.test(inner));
}

/** What is wrong with a token: jose's code, never its message, which may quote the token. */
function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === "string") return code;
  return typeof message === "string" ? message : "it cannot be read";
}
