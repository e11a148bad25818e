import { LRUCache } from "lru-cache";
import { randomBytes } from "node:crypto";
import type { Sealer } from "../../store/sealer.ts";
import type { Clock } from "../../telemetry/clock.ts";
import { digest, sameText } from "../digest.ts";
import type { LoginRequest } from "../transaction.ts";
import type { ProviderChecks } from "./provider-client.ts";

/** How long somebody may take at the provider. */
const LIFETIME_MS = 15 * 60_000;
/** Browsers keep cookies of 4096 bytes, name included; larger ones vanish without a word. */
const MAX_COOKIE = 3_900;
/** Logins of one browser that wait at the same time; each costs a part of its request headers. */
const MAX_AT_A_TIME = 4;
const MAX_USED = 10_000;

interface Sealed extends ProviderChecks {
  readonly request: LoginRequest;
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
 * cost nothing here and a flood of them fills nothing. It opens once, in that browser, for the `state` it was made for.
 */
export class PendingLogins {
  readonly #sealer: Sealer;
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #attributes: string;
  readonly #used: LRUCache<string, true>;

  /** @param secure whether the public URL is https */
  constructor(sealer: Sealer, clock: Clock, secure: boolean) {
    this.#sealer = sealer;
    this.#clock = clock;
    this.#prefix = secure ? "__Host-mcp-proxy-provider-" : "mcp-proxy-provider-";
    this.#attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
    this.#used = new LRUCache({ max: MAX_USED });
  }

  /**
   * @param browser what names this browser
   * @returns undefined where the request is too long to be carried
   */
  begin(
    request: LoginRequest,
    browser: string,
    cookies: string | null,
  ): { checks: ProviderChecks; setCookies: string[] } | undefined {
    const secret = (): string => randomBytes(32).toString("base64url");
    const checks = { state: secret(), nonce: secret(), verifier: secret() };
    const sealed: Sealed = {
      ...checks,
      // It is only shown, and may be long.
      request: { ...request, resource: undefined },
      until: this.#clock.now() + LIFETIME_MS,
      browser: digest(browser),
    };
    const value = this.#sealer.seal(JSON.stringify(sealed));
    if (value.length > MAX_COOKIE) return undefined;
    const surplus = this.#names(cookies).slice(0, -(MAX_AT_A_TIME - 1));
    const cookie = `${this.#nameOf(checks.state)}=${value}; Max-Age=${LIFETIME_MS / 1_000}; ${this.#attributes}`;
    return { checks, setCookies: [...surplus.map((name) => this.#removal(name)), cookie] };
  }

  /** @returns undefined when it was not begun in this browser, was used, or is too old */
  take(state: string, browser: string | undefined, cookies: string | null): PendingLogin | undefined {
    if (!/^[\w-]{43}$/.test(state)) return undefined;
    const value = valueOf(cookies, this.#nameOf(state));
    const text = value === undefined ? undefined : this.#sealer.open(value);
    if (text === undefined || browser === undefined || this.#used.has(digest(state))) return undefined;
    const { request, until, browser: bound, ...checks } = JSON.parse(text) as Sealed;
    if (!sameText(checks.state, state) || !sameText(bound, digest(browser)) || this.#clock.now() >= until)
      return undefined;
    this.#used.set(digest(state), true);
    return { request, checks };
  }

  /** The header that takes the cookie of a login away. */
  end(state: string): string {
    return this.#removal(this.#nameOf(state));
  }

  #nameOf(state: string): string {
    return this.#prefix + state.slice(0, 12);
  }

  #names(cookies: string | null): string[] {
    return pairs(cookies)
      .map(([name]) => name)
      .filter((name) => name.startsWith(this.#prefix) && /^[\w-]+$/.test(name));
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
