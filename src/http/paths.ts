import type { Config } from "../config/config.ts";
import { hiddenPath } from "../config/names.ts";

/** The endpoint that serves all servers together. No server has such a name: none begins with a slash. */
export const EVERYTHING_ENDPOINT = "/";

export function groupEndpoint(group: string): string {
  return `/${group}`;
}

/** What a URL of a server stands for. */
export interface EndpointPath {
  /** Name of the endpoint. */
  readonly server: string;
  /** Streamable HTTP, the stream of HTTP+SSE, or where clients of such a stream post. */
  readonly kind: "mcp" | "sse" | "message";
  /** What the stream announces as the place to post to, up to the value of its session; `""` for the other kinds. */
  readonly announces: string;
  /** The bare base URL, where people find a page. */
  readonly root?: true;
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

  constructor(
    config: Pick<Config, "baseURL" | "pathPrefix" | "servers" | "serves" | "defaultServer" | "aggregate" | "groups">,
  ) {
    const { streamableHttp, sse } = config.serves;
    this.#bases = basesOf(config);
    this.#shown = publicPath(config) + encodeURI(config.pathPrefix);
    const { defaultServer } = config;
    const servers = [...config.servers.keys()].filter((name) => name !== defaultServer);
    const names = new Map(servers.map((name) => [name, name]));
    for (const name of config.groups.keys()) names.set(name, groupEndpoint(name));
    const atRoot = defaultServer ?? (config.aggregate.enabled ? EVERYTHING_ENDPOINT : undefined);
    if (atRoot !== undefined) {
      if (streamableHttp) this.#add("/mcp", atRoot);
      if (sse) this.#addSse("", atRoot, "/messages/?session_id=");
    }
    if (atRoot === EVERYTHING_ENDPOINT) this.#addRoot(atRoot, streamableHttp);
    // A configured name wins over the word `servers`, so those come first and are not overwritten.
    for (const [name, endpoint] of names) {
      if (streamableHttp) {
        this.#add(`/${name}/mcp`, endpoint);
        if (hiddenPath(name) === undefined) this.#add(`/${name}`, endpoint);
      }
      if (sse) this.#addSse(`/${name}`, endpoint, "/message?sessionId=");
    }
    for (const [name, endpoint] of names) {
      if (streamableHttp) {
        this.#add(`/servers/${name}/mcp`, endpoint);
        this.#add(`/servers/${name}`, endpoint);
      }
      if (sse) this.#addSse(`/servers/${name}`, endpoint, "/messages/?session_id=");
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

  /** The bare base URL is what people type into their clients. */
  #addRoot(server: string, streamableHttp: boolean): void {
    const announces = streamableHttp ? "" : `${this.#shown}/messages/?session_id=`;
    for (const base of this.#bases) {
      this.#paths.set(base || "/", { server, kind: streamableHttp ? "mcp" : "sse", announces, root: true });
    }
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
