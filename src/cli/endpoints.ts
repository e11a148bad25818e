import type { Config } from "../config/config.ts";
import type { EndpointLine } from "./table.ts";

/** Where clients find several servers at one URL. @param url where the listener is */
export function jointEndpointsOf(config: Config, url: string): EndpointLine[] {
  const base = baseOf(config, url);
  const kind = config.serves.streamableHttp ? "mcp" : "sse";
  const all = config.aggregate.enabled && config.defaultServer === undefined && config.servers.size > 0;
  return [
    ...(all ? [{ label: "all of it together", url: `${base}/${kind}` }] : []),
    ...[...config.groups.keys()].map((name) => ({ label: `the group ${name}`, url: `${base}/${name}/${kind}` })),
  ];
}

function baseOf(config: Config, url: string): string {
  const local = url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "127.0.0.1").replace(/\/$/, "");
  return (config.baseURL ?? local) + config.pathPrefix;
}

/**
 * Where clients find each server: final URLs, whole, ready to copy.
 * @param url where the listener is
 */
export function endpointsOf(config: Config, url: string): EndpointLine[] {
  const base = baseOf(config, url);
  const kind = config.serves.streamableHttp ? "mcp" : "sse";
  return [...config.servers.values()].flatMap(({ name, displayName }) => {
    if (name === config.defaultServer)
      return ["mcp", "sse"].map((end) => ({ label: displayName, url: `${base}/${end}` }));
    const shown = displayName === name ? name : `${displayName}/…`;
    const folder = config.flavour === "bridge" ? "/servers" : "";
    return [{ label: shown, url: `${base}${folder}/${shown}/${kind}` }];
  });
}
