import { randomBytes } from "node:crypto";
import type { Rights } from "../policy/rights.ts";
import type { Sealer } from "../store/sealer.ts";
import type { StateStore } from "../store/state-store.ts";
import type { Clock } from "../telemetry/clock.ts";
import { digest, sameText } from "./digest.ts";
import { BrowserCookie } from "./transaction.ts";

/** How long somebody stays logged in on the start page. */
const VISIT_MS = 12 * 3_600_000;
/** How long the form for a login may stay open. */
const FORM_MS = 30 * 60_000;

interface Record {
  readonly user: string;
  /** Of the password when it was typed; another one ends the visit. */
  readonly mark: string | undefined;
}

/** Stands for the start page where a login through a provider names the client it is for; no client is called so. */
export const START_PAGE = "";

/** Somebody who is logged in on the start page. */
export interface Visit {
  readonly user: string;
  /** What this user may use, as it is now. */
  readonly rights: Rights;
  /** Proves that a form was made for this browser. */
  readonly csrf: string;
}

export interface VisitDeps {
  readonly store: StateStore;
  readonly sealer: Sealer;
  readonly clock: Clock;
  /** Whether the public URL is https. */
  readonly secure: boolean;
  rights(user: string): Rights;
  mark(user: string): string | undefined;
  unchanged(user: string, mark: string | undefined): boolean;
}

/**
 * Logins on the start page. Their cookie shows pages and ends consents; no MCP endpoint looks at it. Only its digest is
 * stored, so logging out ends it for good, also where somebody has copied it.
 */
export class Visits {
  readonly #deps: VisitDeps;
  readonly #cookie: string;
  readonly #attributes: string;
  readonly #browser: BrowserCookie;

  constructor(deps: VisitDeps) {
    this.#deps = deps;
    // `__Host-`: no other host can set it (RFC 6265bis section 4.1.3.2).
    this.#cookie = deps.secure ? "__Host-mcp-proxy-visit" : "mcp-proxy-visit";
    this.#browser = new BrowserCookie(deps.secure);
    this.#attributes = `Path=/; HttpOnly; SameSite=Lax${deps.secure ? "; Secure" : ""}`;
  }

  /** Who sends this `Cookie` header; undefined where nobody is logged in, or may log in any more. */
  async find(header: string | null): Promise<Visit | undefined> {
    const secret = this.#secret(header);
    const text = secret === undefined ? undefined : await this.#deps.store.get(keyOf(secret));
    if (secret === undefined || text === undefined) return undefined;
    const { user, mark } = JSON.parse(text) as Record;
    return this.#deps.unchanged(user, mark)
      ? { user, rights: this.#deps.rights(user), csrf: csrfOf(secret) }
      : undefined;
  }

  /**
   * @param provided the identity provider has said who it is, so a new password here changes nothing
   * @returns the `Set-Cookie` header
   */
  async begin(user: string, provided = false): Promise<string> {
    const { store, clock } = this.#deps;
    const secret = randomBytes(32).toString("base64url");
    const record: Record = { user, mark: provided ? undefined : this.#deps.mark(user) };
    await store.set(keyOf(secret), JSON.stringify(record), clock.now() + VISIT_MS);
    return `${this.#cookie}=${secret}; ${this.#attributes}; Max-Age=${VISIT_MS / 1_000}`;
  }

  /** @returns the `Set-Cookie` header that takes the cookie away */
  async end(header: string | null): Promise<string> {
    const secret = this.#secret(header);
    if (secret !== undefined) await this.#deps.store.delete(keyOf(secret));
    return `${this.#cookie}=; ${this.#attributes}; Max-Age=0`;
  }

  /**
   * Binds a form for a login to the browser, so that no other site can log its visitor in as somebody else.
   * @returns the field of the form, and the `Set-Cookie` header where the browser has no cookie yet
   */
  makeForm(header: string | null): { readonly token: string; readonly cookie: string | undefined } {
    const known = this.#browser.read(header);
    const fresh = known === undefined ? this.#browser.make() : undefined;
    const until = this.#deps.clock.now() + FORM_MS;
    const bound = { until, browser: digest(known ?? fresh?.value ?? "") };
    return { token: this.#deps.sealer.seal(JSON.stringify(bound)), cookie: fresh?.header };
  }

  /** Whether a form was made here, for this browser, and not long ago. */
  madeForm(token: string | undefined, header: string | null): boolean {
    const text = token === undefined ? undefined : this.#deps.sealer.open(token);
    const browser = this.#browser.read(header);
    if (text === undefined || browser === undefined) return false;
    const bound = JSON.parse(text) as { until: number; browser: string };
    return this.#deps.clock.now() < bound.until && sameText(bound.browser, digest(browser));
  }

  /** Whether a form carries the proof of this visit. */
  proves(visit: Visit, token: string | undefined): boolean {
    return token !== undefined && sameText(visit.csrf, token);
  }

  #secret(header: string | null): string | undefined {
    for (const pair of (header ?? "").split(";")) {
      const [name, value] = pair.trim().split("=");
      if (name === this.#cookie && value !== undefined && /^[A-Za-z0-9_-]{43}$/.test(value)) return value;
    }
    return undefined;
  }
}

function keyOf(secret: string): [string, string] {
  return ["visit", digest(secret)];
}

function csrfOf(secret: string): string {
  return digest(`form ${secret}`);
}
