import type { Accounts } from "../auth/accounts.ts";
import type { AccessTokens } from "../auth/oauth-gate.ts";
import type { Principal } from "../policy/principal.ts";
import { Recent } from "../store/recent.ts";
import type { StateStore } from "../store/state-store.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { DEFAULT_SCOPE } from "./capabilities.ts";
import { digest } from "./digest.ts";
import { isGrant, readRecords } from "./records.ts";
import { expiryOf, prune } from "./grant.ts";
import type { Grant, PendingCode, TokenPair } from "./grant.ts";
import { grantIdOf, makeGrantId, makeToken } from "./tokens.ts";
import type { TokenKind } from "./tokens.ts";

/** Tokens whose digest is remembered, so that a request costs a look-up and not a hash. */
const MAX_REMEMBERED = 10_000;
/** How long a client may take to come with its first token. */
const UNUSED_MS = 60_000;

export interface GrantsDeps {
  readonly store: StateStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly accounts: Accounts;
  /** A grant has ended: what its principal has open must end too. */
  readonly onEnd: (principal: string) => void;
  /** A login succeeded, and nobody came with its token. */
  readonly onUnused?: () => void;
}

export interface Issued {
  readonly access: string;
  readonly refresh: string | undefined;
  readonly expiresInSeconds: number;
  readonly scopes: readonly string[];
}

/** How long tokens are good, in milliseconds. */
export interface Lifetimes {
  readonly accessMs: number;
  readonly refreshMs: number;
}

export interface TokenWish {
  /** The pair whose refresh token is used. */
  readonly parent?: TokenPair;
  readonly scopes: readonly string[];
  readonly audience: string | undefined;
  readonly refreshable: boolean;
  readonly lifetimes: Lifetimes;
}

interface Known {
  readonly grant: Grant;
  readonly pair: TokenPair;
  readonly principal: Principal;
}

/** Every live grant, in memory for the check of each request, and in the store before anybody hears of it. */
export class Grants implements AccessTokens {
  readonly #deps: GrantsDeps;
  readonly #grants = new Map<string, Grant>();
  readonly #perClient = new Counts();
  readonly #perPrincipal = new Counts();
  readonly #known = new Recent<Known>(MAX_REMEMBERED);

  constructor(deps: GrantsDeps) {
    this.#deps = deps;
  }

  /** @returns how many could not be read, and are left as they are */
  async load(): Promise<number> {
    const { sound, damaged } = readRecords(await this.#deps.store.scan(["grant"]), isGrant);
    for (const grant of sound) this.#keep(grant);
    return damaged;
  }

  get all(): Iterable<Grant> {
    return this.#grants.values();
  }

  hasGrant(client: string): boolean {
    return this.#perClient.has(client);
  }

  lives(principal: string): boolean {
    return this.#perPrincipal.has(principal);
  }

  bearer(token: string, audience: string): Principal | "invalid" | "insufficient" {
    const known = this.#known.get(token) ?? this.#recognize(token);
    if (known === undefined) return "invalid";
    const { grant, pair, principal } = known;
    const now = this.#deps.clock.now();
    if (this.#grants.get(grant.id) !== grant || now >= pair.accessExpires) return "invalid";
    if (pair.audience !== undefined && pair.audience !== audience) return "invalid";
    if (grant.user !== undefined && !this.#deps.accounts.admits(grant.user)) return "invalid";
    if (!pair.scopes.includes(DEFAULT_SCOPE)) return "insufficient";
    grant.used = now;
    this.#markSeen(grant, pair);
    return principal;
  }

  /** Whose refresh or access token this is; undefined unless it lives. */
  find(token: string, kind: "access" | "refresh"): { grant: Grant; pair: TokenPair } | undefined {
    const grant = this.#grants.get(grantIdOf(token, kind));
    const hash = digest(token);
    const pair = grant?.pairs.find((each) => each[kind] === hash);
    return grant === undefined || pair === undefined ? undefined : { grant, pair };
  }

  /** The grant a text belongs to by its name alone; whether it is real is for the caller to check. */
  named(token: string, kind: TokenKind): Grant | undefined {
    return this.#grants.get(grantIdOf(token, kind));
  }

  /** A consent was given. @returns the code, to be redeemed within its time */
  async begin(
    about: Pick<Grant, "client" | "user" | "passwordMark" | "provided" | "scopes" | "audience">,
    code: Omit<PendingCode, "digest" | "redeemed">,
  ): Promise<string> {
    const id = makeGrantId();
    const made = makeToken("code", id);
    const pending: PendingCode = { ...code, digest: made.digest, redeemed: undefined };
    const grant: Grant = { ...about, id, made: this.#deps.clock.now(), code: pending, pairs: [], retired: [] };
    this.#keep(grant);
    await this.save(grant);
    return made.text;
  }

  /** Makes a pair of tokens in a family. The caller saves the grant before anybody hears of them. */
  issue(grant: Grant, about: TokenWish): Issued {
    const { clock } = this.#deps;
    const { accessMs, refreshMs } = about.lifetimes;
    const now = clock.now();
    const access = makeToken("access", grant.id);
    const refresh = about.refreshable ? makeToken("refresh", grant.id) : undefined;
    prune(grant, now);
    grant.pairs.push({
      id: (grant.pairs.at(-1)?.id ?? about.parent?.id ?? 0) + 1,
      parent: about.parent?.id,
      access: access.digest,
      accessExpires: now + accessMs,
      refresh: refresh?.digest,
      refreshExpires: refresh === undefined ? 0 : now + refreshMs,
      scopes: about.scopes,
      audience: about.audience,
      seen: false,
      refreshed: undefined,
      children: 0,
    });
    return {
      access: access.text,
      refresh: refresh?.text,
      expiresInSeconds: Math.floor(accessMs / 1_000),
      scopes: about.scopes,
    };
  }

  /**
   * Says so once when nobody has used a token of a new login after a minute. The person sees a login that worked and
   * a client that does not, and no request ever arrives here that a log could show.
   */
  expectUse(grant: Grant): void {
    const { clock, log, onUnused } = this.#deps;
    clock.after(UNUSED_MS, () => {
      if (this.#grants.get(grant.id) !== grant || grant.pairs.length === 0 || grant.pairs.some(({ seen }) => seen))
        return;
      onUnused?.();
      log.warn(
        { code: "login.token_unused", client: grant.client, user: grant.user },
        "a login succeeded, but its token was not used within a minute. Usually something in front of this proxy, such " +
          "as a rule of Cloudflare against AI bots, stops the client: allow its user agent (Claude-User for Claude) for " +
          "/.well-known/*, /oauth/* and the MCP endpoints. From outside this shows it: mcp-proxy check --public URL",
      );
    });
  }

  /** Something about tokens that may be remembered has changed. */
  forgetTokens(): void {
    this.#known.clear();
  }

  /** Resolves when the grant as it is now is durable. */
  async save(grant: Grant): Promise<void> {
    if (this.#grants.get(grant.id) !== grant) return;
    await this.#deps.store.set(["grant", grant.id], JSON.stringify(grant), expiryOf(grant));
  }

  /** Takes over a grant that was made elsewhere. */
  async adopt(grant: Grant): Promise<void> {
    this.#keep(grant);
    await this.save(grant);
  }

  /** Ends a grant, with every token and everything open. */
  async end(grant: Grant, why: string): Promise<void> {
    if (!this.#forget(grant)) return;
    this.#deps.log.info({ user: grant.user, client: grant.client }, `a login has ended: ${why}`);
    this.#deps.onEnd(principalOf(grant).id);
    await this.#deps.store.delete(["grant", grant.id]);
  }

  /** Forgets what has run out. */
  async sweep(): Promise<void> {
    const now = this.#deps.clock.now();
    const over = [...this.#grants.values()].filter(
      (grant) => expiryOf(grant) <= now && grant.pairs.every((pair) => now >= pair.accessExpires),
    );
    for (const grant of over) {
      if (this.#forget(grant) && grant.pairs.length > 0) this.#deps.onEnd(principalOf(grant).id);
    }
    await Promise.all(over.map((grant) => this.#deps.store.delete(["grant", grant.id])));
  }

  #recognize(token: string): Known | undefined {
    const found = this.find(token, "access");
    if (found === undefined) return undefined;
    const { user } = found.grant;
    const { accounts } = this.#deps;
    // Tokens taken over from an older program may name no user; those are nobody's to narrow.
    const narrowed =
      user === undefined ? {} : { rights: accounts.rightsOf(user), limits: () => accounts.find(user)?.limits };
    const known = { ...found, principal: { ...principalOf(found.grant), ...narrowed } };
    this.#known.set(token, known);
    return known;
  }

  /** Its receiver has it, so an earlier refresh token is not needed again; must be known after a restart as well. */
  #markSeen(grant: Grant, pair: TokenPair): void {
    if (pair.seen) return;
    pair.seen = true;
    this.save(grant).catch((error: unknown) =>
      this.#deps.log.error({ error: String(error) }, "the use of a token could not be kept"),
    );
  }

  #keep(grant: Grant): void {
    this.#grants.set(grant.id, grant);
    this.#perClient.add(grant.client);
    this.#perPrincipal.add(principalOf(grant).id);
  }

  #forget(grant: Grant): boolean {
    if (this.#grants.get(grant.id) !== grant) return false;
    this.#grants.delete(grant.id);
    this.#perClient.remove(grant.client);
    this.#perPrincipal.remove(principalOf(grant).id);
    return true;
  }
}

/** How often each text is there. */
class Counts {
  readonly #counts = new Map<string, number>();

  has(text: string): boolean {
    return this.#counts.has(text);
  }

  add(text: string): void {
    this.#counts.set(text, (this.#counts.get(text) ?? 0) + 1);
  }

  remove(text: string): void {
    const left = (this.#counts.get(text) ?? 1) - 1;
    if (left > 0) this.#counts.set(text, left);
    else this.#counts.delete(text);
  }
}

/** A user with a client. A new login of the same two goes on with the same sessions. */
export function principalOf(grant: Grant): Principal {
  const { user, client } = grant;
  const name = user === undefined ? "" : encodeURIComponent(user);
  return { kind: "user", id: `user:${name}:${client}`, client, ...(user === undefined ? {} : { user }) };
}
