import { randomBytes } from "node:crypto";
import type { Sealer } from "../store/sealer.ts";
import type { Clock } from "../telemetry/clock.ts";
import { digest, sameText } from "./digest.ts";

/** How long a login page may stay open. */
const LIFETIME_MS = 30 * 60_000;

/** A checked request for a login, as the page carries it. */
export interface LoginRequest {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly redirectGiven: boolean;
  readonly state: string | undefined;
  readonly challenge: string;
  readonly scopes: readonly string[];
  readonly audience: string | undefined;
  /** As the client named it. */
  readonly resource: string | undefined;
}

/**
 * Binds a login page to the browser it was made for: the form carries the sealed request, which holds the digest of a
 * cookie only that browser has. A form of another site, or of another browser, is refused.
 */
export class Transactions {
  readonly #sealer: Sealer;
  readonly #clock: Clock;

  constructor(sealer: Sealer, clock: Clock) {
    this.#sealer = sealer;
    this.#clock = clock;
  }

  seal(request: LoginRequest, browser: string): string {
    return this.#sealer.seal(
      JSON.stringify({ ...request, until: this.#clock.now() + LIFETIME_MS, browser: digest(browser) }),
    );
  }

  /** @returns undefined when it was not made here, for this browser, or is too old */
  open(sealed: string | undefined, browser: string | undefined): LoginRequest | undefined {
    const text = sealed === undefined ? undefined : this.#sealer.open(sealed);
    if (text === undefined || browser === undefined) return undefined;
    const { until, browser: bound, ...request } = JSON.parse(text) as LoginRequest & { until: number; browser: string };
    return this.#clock.now() < until && sameText(bound, digest(browser)) ? request : undefined;
  }
}

/** The cookie that names a browser. `__Host-`: no other host can set it (RFC 6265bis section 4.1.3.2). */
export class BrowserCookie {
  readonly #name: string;
  readonly #attributes: string;

  /** @param secure whether the public URL is https, whatever the socket is */
  constructor(secure: boolean) {
    this.#name = secure ? "__Host-mcp-proxy-login" : "mcp-proxy-login";
    this.#attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
  }

  read(header: string | null): string | undefined {
    for (const pair of (header ?? "").split(";")) {
      const [name, value] = pair.trim().split("=");
      if (name === this.#name && value !== undefined && /^[A-Za-z0-9_-]{43}$/.test(value)) return value;
    }
    return undefined;
  }

  make(): { value: string; header: string } {
    const value = randomBytes(32).toString("base64url");
    return { value, header: `${this.#name}=${value}; ${this.#attributes}` };
  }
}
