import type { Config } from "../config/config.ts";

/** Audience of the endpoint that serves everything, at `/mcp` and at the bare base URL. */
export const EVERYTHING = "all";

export const serverAudience = (name: string): string => `server:${name}`;
export const groupAudience = (name: string): string => `group:${name}`;

/**
 * The resources that OAuth protects: every form of an endpoint's URL has one audience, since all forms reach the same
 * tools.
 */
export class Resources {
  readonly #audiences = new Map<string, string>();
  readonly #secret = new Set<string>();

  constructor(config: Pick<Config, "servers" | "groups" | "serves" | "aggregate">) {
    const { serves } = config;
    const ends = [...(serves.streamableHttp ? ["/mcp", ""] : []), ...(serves.sse ? ["/sse"] : [])];
    const add = (path: string, audience: string): void => {
      if (!this.#audiences.has(path)) this.#audiences.set(path, audience);
    };
    const audiences: [string, string][] = [];
    for (const { name, oauth, displayName } of config.servers.values()) {
      if (oauth !== true) continue;
      audiences.push([name, serverAudience(name)]);
      if (displayName !== name) this.#secret.add(serverAudience(name));
    }
    const together = audiences.length > 0;
    for (const { name, servers, options } of config.groups.values()) {
      const joint = servers.some((server) => config.servers.get(server)?.oauth === true);
      if (options?.oauth ?? joint) audiences.push([name, groupAudience(name)]);
    }
    // Where tokens alone open an endpoint, metadata would send clients into a login that cannot help them.
    if (config.aggregate.enabled && together) for (const end of ends) add(end || "/", EVERYTHING);
    // A configured name wins over the word `servers`.
    for (const [name, audience] of audiences) for (const end of ends) add(`/${name}${end}`, audience);
    for (const [name, audience] of audiences) for (const end of ends) add(`/servers/${name}${end}`, audience);
    // The bare URL is what people type; its metadata exists in any case, since logins begin with it.
    if (audiences.length > 0) add("/", EVERYTHING);
  }

  /** @param local path below the base URL, without a trailing slash */
  audience(local: string): string | undefined {
    return this.#audiences.get(local);
  }

  /** What people may read about it. */
  name(audience: string | undefined): string {
    if (audience === undefined || audience === EVERYTHING) return "everything you may use here";
    const name = audience.slice(audience.indexOf(":") + 1);
    return this.#secret.has(audience) ? (name.split("/")[0] ?? "") : name;
  }
}
