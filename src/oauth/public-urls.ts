import type { Config } from "../config/config.ts";

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;

/**
 * The URLs under which others see this proxy. They come from the configuration, never from forwarding headers, which
 * anybody can send.
 */
export class PublicUrls {
  readonly #configured: string | undefined;
  readonly #prefix: string;
  readonly #scheme: "http" | "https";
  readonly #host: string;
  readonly #port: () => number;

  /** @param port the port of the listener, known once it listens */
  constructor(config: Pick<Config, "baseURL" | "pathPrefix" | "listen" | "tls">, port: () => number) {
    const base = config.baseURL;
    // WHATWG form: lower case scheme and host, no default port.
    this.#configured = base === undefined ? undefined : new URL(base).href.replace(/\/+$/, "");
    this.#prefix = config.pathPrefix;
    this.#scheme = config.tls === undefined ? "http" : "https";
    this.#host = config.listen.kind === "tcp" ? listenHost(config.listen.host) : "localhost";
    this.#port = port;
  }

  /** Without a trailing slash. */
  get issuer(): string {
    return (this.#configured ?? `${this.#scheme}://${this.#host}:${this.#port()}`) + this.#prefix;
  }

  /** Where the identity provider sends people back to: below the base URL, and never below a secret prefix. */
  get providerCallback(): string {
    return `${this.#configured ?? `${this.#scheme}://${this.#host}:${this.#port()}`}/auth/callback`;
  }

  /** The style sheet of the pages at the callback. */
  get providerStyle(): string {
    return this.providerCallbackPath.replace(/callback$/, "style.css");
  }

  get providerCallbackPath(): string {
    return new URL(this.providerCallback).pathname;
  }

  /** Everything is below a path that only its users know. */
  get prefixed(): boolean {
    return this.#prefix !== "";
  }

  get secure(): boolean {
    return this.issuer.startsWith("https:");
  }

  /** Path of the issuer: empty, or with a leading and no trailing slash. */
  get basePath(): string {
    return new URL(this.issuer).pathname.replace(/\/+$/, "");
  }

  /** The base as this caller typed it: without `baseURL` one reaches a machine by several names of loopback. */
  baseFor(host: string | null): string {
    if (this.#configured !== undefined || host === null || !LOOPBACK_HOST.test(host)) return this.issuer;
    return `${this.#scheme}://${host.toLowerCase()}${this.#prefix}`;
  }

  /** The resource at a local path, as this caller typed it. Names may hold what a URL may not. */
  resource(host: string | null, local: string): string {
    return this.baseFor(host) + (local === "/" ? "" : encodeURI(local));
  }

  /**
   * The base for a person who looks at a page: without `baseURL`, the name in that browser's address bar, which must
   * have been checked. It is shown to nobody else.
   */
  seenAs(host: string | null): string {
    if (this.#configured !== undefined || host === null) return this.issuer;
    return `${this.#scheme}://${host.toLowerCase()}${this.#prefix}`;
  }

  /** Where the metadata of the resource at a local path is (RFC 9728 section 3.1). */
  resourceMetadata(host: string | null, local: string): string {
    const base = new URL(this.baseFor(host));
    const path = base.pathname.replace(/\/+$/, "") + (local === "/" ? "" : encodeURI(local));
    return `${base.origin}/.well-known/oauth-protected-resource${path}`;
  }

  /** The local path of a resource that a client names; undefined for what is not ours. */
  localPath(resource: string, host: string | null): string | undefined {
    const url = URL.parse(resource);
    if (url === null || url.search !== "" || url.hash !== "" || url.username !== "" || url.password !== "")
      return undefined;
    const bases =
      this.#configured === undefined ? [this.issuer, this.baseFor(host), ...this.#loopbackBases()] : [this.issuer];
    const path = url.pathname.replace(/\/+$/, "");
    for (const base of bases.map((each) => new URL(each))) {
      const prefix = base.pathname.replace(/\/+$/, "");
      if (base.origin !== url.origin || (path !== prefix && !path.startsWith(`${prefix}/`))) continue;
      return decoded(path.slice(prefix.length) || "/");
    }
    return undefined;
  }

  #loopbackBases(): string[] {
    return ["localhost", "127.0.0.1", "[::1]"].map(
      (name) => `${this.#scheme}://${name}:${this.#port()}${this.#prefix}`,
    );
  }
}

/** Undefined for what would decode into another path. */
function decoded(path: string): string | undefined {
  if (/%(2f|5c|00)/i.test(path)) return undefined;
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

function listenHost(host: string): string {
  const everywhere = ["", "0.0.0.0", "::", "127.0.0.1", "::1", "localhost"].includes(host);
  if (everywhere) return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}
