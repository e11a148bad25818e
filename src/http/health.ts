import type { ServerConfig } from "../config/config.ts";
import type { Sessions } from "../relay/sessions.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { remedyOf } from "../upstream/remedy.ts";
import type { UpstreamStatus } from "../upstream/upstream.ts";
import type { Room } from "./rooms.ts";

export interface HealthDeps {
  readonly version: string;
  readonly pathPrefix: string;
  readonly rooms: ReadonlyMap<string, Room>;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly startedAt: number;
  readonly log: Log;
}

/** Who looks, and at what. */
export interface Viewer {
  /** Has a credential, or sits on this machine. */
  readonly known: boolean;
  /** Is logged in on the start page. */
  readonly user?: string | undefined;
  /** Has a credential. */
  readonly credential: boolean;
  /** Sits on this machine, with nothing in between. */
  readonly direct: boolean;
  /** May read `/status`. */
  readonly mayAsk: boolean;
  /** The servers this viewer may use. */
  readonly servers: readonly string[];
  /** The servers named to this viewer by `/health`: on this machine all of them. */
  readonly health: readonly string[];
  /** Whether a tool of one of the servers is for this viewer. */
  tool(server: string, name: string): boolean;
}

/** Servers that have not been tried to their end yet. */
export function readiness(deps: HealthDeps): string[] {
  const starting: string[] = [];
  for (const { endpoint } of deps.rooms.values()) {
    const { config } = endpoint;
    const { upstream } = endpoint.switchboard;
    const { state, fault, catalogue } = upstream.status;
    const patience = deps.startedAt + config.connectTimeoutMs > deps.clock.now();
    if ((state === "connecting" || state === "idle") && fault === undefined && catalogue === undefined && patience) {
      starting.push(config.displayName);
    }
  }
  return starting;
}

/** @param outside asked for outside the path prefix, where it is told only to who may use what is below it */
export function healthReport(deps: HealthDeps, viewer: Viewer, outside: boolean): object {
  const sees = viewer.credential || (viewer.known && !outside);
  return {
    status: "healthy",
    service: "mcp-proxy",
    version: deps.version,
    path_prefix: sees && deps.pathPrefix !== "" ? deps.pathPrefix : null,
    ...(viewer.known ? { servers: viewer.health.map((name) => displayName(deps, name)) } : {}),
  };
}

export function statusReport(deps: HealthDeps, viewer: Viewer): object {
  const servers: Record<string, object> = Object.create(null) as Record<string, object>;
  const instances: Record<string, string> = Object.create(null) as Record<string, string>;
  let last = deps.startedAt;
  for (const name of viewer.servers) {
    const room = deps.rooms.get(name);
    if (room === undefined) continue;
    const { switchboard, config } = room.endpoint;
    const { status } = switchboard.upstream;
    const key = freeKey(config.displayName, servers);
    servers[key] = serverReport(status, switchboard.requests, config, viewer.known);
    instances[key] = status.state;
    last = Math.max(last, switchboard.lastActivity ?? 0);
  }
  return {
    status: "running",
    version: deps.version,
    uptime_seconds: Math.round((deps.clock.now() - deps.startedAt) / 1_000),
    api_last_activity: new Date(last).toISOString(),
    server_instances: instances,
    active_sse_connections: deps.sessions.streams,
    sessions: deps.sessions.size,
    servers,
  };
}

/** Names are shown up to their first slash only, and two may be alike so far. */
function freeKey(name: string, taken: object): string {
  if (!(name in taken)) return name;
  let number = 2;
  while (`${name} (${number})` in taken) number++;
  return `${name} (${number})`;
}

/** @param known what a server writes to stderr is for callers with a credential and on this machine */
function serverReport(status: UpstreamStatus, requests: number, config: ServerConfig, known: boolean): object {
  return {
    state: status.state,
    requests,
    connections: status.connections,
    restarts: status.restarts,
    ...(status.catalogue === undefined ? {} : { tools: status.catalogue.tools.size }),
    ...(status.fault === undefined
      ? {}
      : {
          code: status.fault.code,
          error: status.fault.message,
          hint: remedyOf(status.fault, config),
        }),
    ...(status.readyMs === undefined ? {} : { ready_ms: status.readyMs }),
    ...(known && status.state === "connecting" && status.progress !== undefined ? { progress: status.progress } : {}),
    ...(status.retryAt === undefined ? {} : { next_try: new Date(status.retryAt).toISOString() }),
  };
}

function displayName(deps: HealthDeps, name: string): string {
  return deps.rooms.get(name)?.endpoint.config.displayName ?? name;
}
