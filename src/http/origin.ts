import type { Config } from "../config/config.ts";

const LOOPBACK_NAMES = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Which web pages may call (MCP, transports, "Security Warning"): those of `baseURL`, of this machine, and the
 * configured ones. A request without the header comes from no page.
 */
export class OriginRule {
  readonly #allowed: ReadonlySet<string>;
  readonly #all: boolean;

  constructor(config: Pick<Config, "baseURL" | "allowedOrigins">) {
    const base = config.baseURL === undefined ? [] : [new URL(config.baseURL).origin];
    this.#allowed = new Set([
      ...base,
      ...config.allowedOrigins.map((origin) => origin.replace(/\/$/, "").toLowerCase()),
    ]);
    this.#all = config.allowedOrigins.includes("*");
  }

  allows(origin: string): boolean {
    if (this.#all || this.#allowed.has(origin.toLowerCase())) return true;
    const url = URL.parse(origin);
    // `null` and made-up schemes are no pages of this machine.
    return url !== null && /^https?:$/.test(url.protocol) && url.origin === origin && LOOPBACK_NAMES.has(url.hostname);
  }
}

const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/i;

/**
 * Which names anonymous callers may use for this proxy. A page of a foreign site can make the browser resolve its own
 * name to this address (DNS rebinding) and would then be "same origin"; it cannot do that with an address, nor with a
 * name without a dot.
 */
export class HostRule {
  readonly #allowed: ReadonlySet<string>;

  constructor(config: Pick<Config, "baseURL" | "allowedHosts">) {
    const base = config.baseURL === undefined ? [] : [new URL(config.baseURL).hostname];
    this.#allowed = new Set([...base, ...config.allowedHosts].map((host) => nameOf(host) ?? host.toLowerCase()));
  }

  /** @param host the `Host` header; absent or malformed ones are refused */
  allows(host: string | null): boolean {
    const name = host === null ? undefined : nameOf(host);
    if (name === undefined) return false;
    if (name.startsWith("[") || isIPv4(name) || !name.replace(/\.$/, "").includes(".")) return true;
    return this.#allowed.has(name);
  }
}

/** Whether a `Host` header is a host and nothing more (RFC 9112 section 3.2): the runtime builds the URL from it. */
export function isHost(host: string): boolean {
  return HOST.test(host);
}

function nameOf(host: string): string | undefined {
  return HOST.exec(host)?.[1]?.toLowerCase();
}

function isIPv4(name: string): boolean {
  return /^(\d{1,3}\.){3}\d{1,3}$/.test(name);
}
