import { LRUCache } from "lru-cache";
import { randomBytes } from "node:crypto";
import type { Sealer } from "../../store/sealer.ts";
import type { StateKey, StateStore } from "../../store/state-store.ts";
import type { Clock } from "../../telemetry/clock.ts";
import { digest, sameText } from "../digest.ts";
import type { LoginRequest } from "../transaction.ts";
import type { ProviderChecks } from "./provider-client.ts";

/** How long somebody may take at the provider. */
const LIFETIME_MS = 15 * 60_000;
/** Browsers keep cookies of 4096 bytes, name included; larger ones vanish without a word. */
const MAX_COOKIE = 3_900;
/** Logins of one browser that wait at the same time, and their characters all together: they come with every request. */
const MAX_AT_A_TIME = 4;
const MAX_COOKIES = 6_000;
/** Characters of requests too long for a cookie that are remembered here, all together. */
const MAX_LONG = 4 * 1_024 * 1_024;

interface Sealed extends ProviderChecks {
  /** Undefined: it was too long, and is remembered here. */
  readonly request: LoginRequest | undefined;
  readonly until: number;
  readonly browser: string;
}

/** What was allowed here and now waits for the provider. */
export interface PendingLogin {
  readonly request: LoginRequest;
  readonly checks: ProviderChecks;
}

/**
 * Logins on their way through the provider. Each is sealed in a cookie of the browser that began it, so waiting ones
 * cost nothing here and a flood of them fills nothing. It opens once, in that browser, for the `state` it was made for;
 * that it was opened is stored, so that neither a restart nor a new configuration opens it again.
 */
export class PendingLogins {
  readonly #sealer: Sealer;
  readonly #store: StateStore;
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #attributes: string;
  readonly #opening = new Set<string>();
  /** A flood of these displaces its like alone. */
  readonly #long = new LRUCache<string, LoginRequest>({
    maxSize: MAX_LONG,
    sizeCalculation: (request) => JSON.stringify(request).length,
  });

  /** @param secure whether the public URL is https */
  constructor(sealer: Sealer, store: StateStore, clock: Clock, secure: boolean) {
    this.#sealer = sealer;
    this.#store = store;
    this.#clock = clock;
    this.#prefix = secure ? "__Host-mcp-proxy-provider-" : "mcp-proxy-provider-";
    this.#attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
  }

  /** @param browser what names this browser */
  begin(
    request: LoginRequest,
    browser: string,
    cookies: string | null,
  ): { checks: ProviderChecks; setCookies: string[] } {
    const secret = (): string => randomBytes(32).toString("base64url");
    const checks = { state: secret(), nonce: secret(), verifier: secret() };
    const sealed: Sealed = {
      ...checks,
      // It is only shown, and may be long.
      request: { ...request, resource: undefined },
      until: this.#clock.now() + LIFETIME_MS,
      browser: digest(browser),
    };
    let value = this.#sealer.seal(JSON.stringify(sealed));
    if (value.length > MAX_COOKIE) {
      this.#long.set(digest(checks.state), request);
      value = this.#sealer.seal(JSON.stringify({ ...sealed, request: undefined }));
    }
    const cookie = `${this.#nameOf(checks.state)}=${value}; Max-Age=${LIFETIME_MS / 1_000}; ${this.#attributes}`;
    const surplus = this.#surplus(cookies, value.length);
    return { checks, setCookies: [...surplus.map((name) => this.#removal(name)), cookie] };
  }

  /** @returns undefined when it was not begun in this browser, was used, or is too old */
  async take(state: string, browser: string | undefined, cookies: string | null): Promise<PendingLogin | undefined> {
    if (!/^[\w-]{43}$/.test(state)) return undefined;
    const value = valueOf(cookies, this.#nameOf(state));
    const text = value === undefined ? undefined : this.#sealer.open(value);
    if (text === undefined || browser === undefined) return undefined;
    const { request: carried, until, browser: bound, ...checks } = JSON.parse(text) as Sealed;
    const name = digest(state);
    const request = carried ?? this.#long.get(name);
    if (request === undefined || !sameText(checks.state, state) || !sameText(bound, digest(browser))) return undefined;
    if (this.#clock.now() >= until || !(await this.#first(name, until))) return undefined;
    this.#long.delete(name);
    return { request, checks };
  }

  /** Of any number of callers with the same name one is the first, now and for as long as the login could be opened. */
  async #first(name: string, until: number): Promise<boolean> {
    if (this.#opening.has(name)) return false;
    this.#opening.add(name);
    try {
      const key: StateKey = ["used login", name];
      if ((await this.#store.get(key)) !== undefined) return false;
      await this.#store.set(key, "", until);
      return true;
    } finally {
      this.#opening.delete(name);
    }
  }

  /** The header that takes the cookie of a login away. */
  end(state: string): string {
    return this.#removal(this.#nameOf(state));
  }

  #nameOf(state: string): string {
    return this.#prefix + state.slice(0, 12);
  }

  /** The cookies that have to go, the oldest first, so that one with a value so long fits in. */
  #surplus(cookies: string | null, length: number): string[] {
    const mine = pairs(cookies).filter(([name]) => name.startsWith(this.#prefix) && /^[\w-]+$/.test(name));
    const kept = mine.toReversed().filter(([, value], index) => {
      length += value.length;
      return index < MAX_AT_A_TIME - 1 && length <= MAX_COOKIES;
    });
    return mine.filter((pair) => !kept.includes(pair)).map(([name]) => name);
  }

  #removal(name: string): string {
    return `${name}=; Max-Age=0; ${this.#attributes}`;
  }
}

function pairs(header: string | null): [string, string][] {
  return (header ?? "").split(";").map((pair) => {
    const [name = "", value = ""] = pair.trim().split("=");
    return [name, value];
  });
}

function valueOf(header: string | null, wanted: string): string | undefined {
  const found = pairs(header).filter(([name]) => name === wanted);
  return found.length === 1 ? found[0]?.[1] : undefined;
}
