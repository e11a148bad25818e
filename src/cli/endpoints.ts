import type { Config, ServerConfig } from "../config/config.ts";

/** One URL for people to copy. */
export interface EndpointLine {
  readonly label: string;
  readonly url: string;
  /** `page` is the one for people: how to connect a client. */
  readonly kind: "all" | "server" | "group" | "page";
  /** Of `all`: how many servers are there. */
  readonly members?: number;
}

/**
 * Where clients find everything, each server and each group: final URLs, whole, ready to copy.
 * @param url where the listener is
 */
export function endpointsOf(config: Config, url: string): EndpointLine[] {
  const local = url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "127.0.0.1").replace(/\/$/, "");
  const base = (config.baseURL ?? local) + encodeURI(config.pathPrefix);
  const end = config.serves.streamableHttp ? "mcp" : "sse";
  const { defaultServer } = config;
  const lines: EndpointLine[] = [];
  // One server at the root takes that place.
  const members = [...config.servers.values()].filter(joins).length;
  if (config.aggregate.enabled && defaultServer === undefined && members > 0)
    lines.push({ label: "all", url: `${base}/${end}`, kind: "all", members });
  for (const { name, displayName } of config.servers.values()) {
    if (name === defaultServer) {
      for (const each of ["mcp", "sse"]) lines.push({ label: displayName, url: `${base}/${each}`, kind: "server" });
      continue;
    }
    const secret = displayName !== name;
    const folder = config.flavour === "bridge" ? "/servers" : "";
    const path = encodeURI(displayName) + (secret ? "/…" : "");
    const label = secret ? `${displayName}/…` : displayName;
    lines.push({ label, url: `${base}${folder}/${path}/${end}`, kind: "server" });
  }
  for (const { name } of config.groups.values())
    lines.push({ label: `${name} (group)`, url: `${base}/${encodeURI(name)}/${end}`, kind: "group" });
  if (config.startPage !== "off" && config.listen.kind === "tcp")
    lines.push({ label: "connect a client", url: `${base}/`, kind: "page" });
  return lines;
}

/** Whether a server is among all of them at one URL: who knows a name with a secret in it has it from its owner. */
export function joins({ name, displayName }: ServerConfig): boolean {
  return name === displayName;
}
