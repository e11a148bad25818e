import type { Config } from "../config/config.ts";
import { hiddenPath } from "../config/names.ts";

/** What a URL of a server stands for. */
export interface EndpointPath {
  readonly server: string;
  /** Streamable HTTP, the stream of HTTP+SSE, or where clients of such a stream post. */
  readonly kind: "mcp" | "sse" | "message";
  /** What the stream announces as the place to post to, up to the value of its session; `""` for the other kinds. */
  readonly announces: string;
}

/**
 * Every path of every endpoint, found by one look-up. Paths that are written in another way (percent-encoded, with a
 * trailing slash) are brought to the one form first, so that no spelling can reach an endpoint past its checks.
 */
export class PathTable {
  readonly #paths = new Map<string, EndpointPath>();
  readonly #bases: readonly string[];
  /** What stands before a path that is told to clients: as a reverse proxy shows it. */
  readonly #shown: string;

  constructor(config: Pick<Config, "baseURL" | "pathPrefix" | "servers" | "serves" | "defaultServer">) {
    const { streamableHttp, sse } = config.serves;
    this.#bases = basesOf(config);
    this.#shown = publicPath(config) + encodeURI(config.pathPrefix);
    const { defaultServer } = config;
    const names = [...config.servers.keys()].filter((name) => name !== defaultServer);
    if (defaultServer !== undefined) {
      if (streamableHttp) this.#add("/mcp", defaultServer);
      if (sse) this.#addSse("", defaultServer, "/messages/?session_id=");
    }
    // A configured name wins over the word `servers`, so those come first and are not overwritten.
    for (const name of names) {
      if (streamableHttp) {
        this.#add(`/${name}/mcp`, name);
        if (hiddenPath(name) === undefined) this.#add(`/${name}`, name);
      }
      if (sse) this.#addSse(`/${name}`, name, "/message?sessionId=");
    }
    for (const name of names) {
      if (streamableHttp) {
        this.#add(`/servers/${name}/mcp`, name);
        this.#add(`/servers/${name}`, name);
      }
      if (sse) this.#addSse(`/servers/${name}`, name, "/messages/?session_id=");
    }
  }

  /** The path of a URL below one of the bases, in the one form; undefined when it is outside or badly written. */
  local(path: string): string | undefined {
    const plain = normalize(path);
    if (plain === undefined) return undefined;
    for (const base of this.#bases) {
      if (base === "") return plain;
      if (plain === base) return "/";
      if (plain.startsWith(`${base}/`)) return plain.slice(base.length);
    }
    return undefined;
  }

  find(path: string): EndpointPath | undefined {
    const exact = this.#paths.get(path);
    if (exact !== undefined) return exact;
    const plain = normalize(path);
    return plain === undefined ? undefined : this.#paths.get(plain);
  }

  /** @param message where to post, in the manner of the program whose layout this is */
  #addSse(path: string, server: string, message: string): void {
    this.#add(`${path}/sse`, server, "sse", this.#shown + encodeURI(path) + message);
    this.#add(`${path}/message`, server, "message");
    this.#add(`${path}/messages`, server, "message");
  }

  #add(path: string, server: string, kind: EndpointPath["kind"] = "mcp", announces = ""): void {
    for (const base of this.#bases) {
      const whole = base + path;
      if (!this.#paths.has(whole)) this.#paths.set(whole, { server, kind, announces });
    }
  }
}

/** Longest first. Below the path of `baseURL` too, for a reverse proxy may or may not take that off. */
function basesOf(config: Pick<Config, "baseURL" | "pathPrefix">): string[] {
  const path = publicPath(config);
  return path === "" ? [config.pathPrefix] : [path + config.pathPrefix, config.pathPrefix];
}

/** The path of `baseURL`, without a trailing slash. */
function publicPath({ baseURL }: Pick<Config, "baseURL">): string {
  return baseURL === undefined ? "" : new URL(baseURL).pathname.replace(/\/+$/, "");
}

/** Decodes once and takes the trailing slash off; refuses what decodes into another path structure. */
function normalize(path: string): string | undefined {
  let plain = path;
  if (path.includes("%")) {
    // An encoded slash or dot segment is a way of saying one path to a reverse proxy and another one here.
    if (/%(2f|5c|00)/i.test(path)) return undefined;
    try {
      plain = decodeURIComponent(path);
    } catch {
      return undefined;
    }
    if (plain.split("/").some((segment) => segment === "." || segment === "..")) return undefined;
  }
  return plain.length > 1 && plain.endsWith("/") ? plain.slice(0, -1) : plain;
}

/** The path of an absolute URL as it came, without the query. */
export function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", start);
  return end === -1 ? url.slice(start) : url.slice(start, end);
}
