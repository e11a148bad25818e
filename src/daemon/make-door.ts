import { HttpSse } from "../downstream/http-sse.ts";
import { StreamableHttp } from "../downstream/streamable-http.ts";
import { ClientAddress } from "../http/client-address.ts";
import { Door } from "../http/door.ts";
import type { Guarded } from "../http/door.ts";
import { endpointExplainer } from "../http/endpoint-page.ts";
import { HostRule, OriginRule } from "../http/origin.ts";
import { createPages } from "../http/pages.ts";
import { PathTable } from "../http/paths.ts";
import { plainReplyHeaders } from "../http/reply-headers.ts";
import type { Incoming } from "../http1/incoming.ts";
import { viewerOf } from "../http/viewer.ts";
import type { AuthorizationServer } from "../oauth/authorization-server.ts";
import type { PublicUrls } from "../oauth/public-urls.ts";
import type { Base } from "./base.ts";
import type { House } from "./house.ts";

export interface DoorParts {
  readonly urls: PublicUrls;
  /** Where people log in; undefined where there is no login. */
  readonly login: AuthorizationServer | undefined;
  readonly draining: () => boolean;
}

/** The way in over the network: its rules, both transports, and the pages. */
export function makeDoor(base: Base, { config, rooms, joint }: House, { urls, login, draining }: DoorParts): Door {
  const { log, clock, version, sessions, heartbeat, replays, sseLines, meters, startedAt } = base;
  const hosts = new HostRule(config);
  const paths = new PathTable(config);
  const { stateless, maxRequestBytes, pathPrefix } = config;
  const common = { sessions, clock, log, draining };
  const ends = { ...common, heartbeat, stateless, maxRequestBytes };
  const explain = endpointExplainer({ config, rooms, paths, urls });
  return new Door({
    origins: new OriginRule(config),
    hosts,
    plain: plainReplyHeaders(),
    metadataUrl: (request) => metadataUrl(request, paths, urls),
    exposed: config.exposeHeaders ?? [],
    paths,
    rooms: new Map<string, Guarded>([...rooms, ...joint]),
    log,
    explain,
    streamableHttp: new StreamableHttp({ ...ends, replays }),
    httpSse: new HttpSse({ ...ends, lines: sseLines }),
    pages: createPages({
      ...common,
      config,
      urls,
      explain,
      hosts,
      paths,
      rooms,
      version,
      pathPrefix,
      login,
      addresses: new ClientAddress(config),
      startedAt,
      meters,
      viewer: (request, peer, visit) => viewerOf(request, peer, rooms, visit),
    }),
  });
}

/** Where a client without a credential reads how to get one (RFC 9728). */
function metadataUrl(request: Incoming, paths: PathTable, urls: PublicUrls): string | undefined {
  const { path } = request;
  const local = paths.local(path);
  if (local === undefined) return undefined;
  // Where clients of a stream post is no resource of its own: it belongs to the stream.
  const posted = paths.find(path)?.kind === "message";
  const resource = posted ? local.replace(/\/messages?$/, "/sse") : local;
  return urls.resourceMetadata(request.headers.get("host"), resource);
}
