import { isDeepStrictEqual } from "node:util";
import { AnyGate } from "../auth/any-gate.ts";
import type { ApiKeys } from "../auth/api-keys.ts";
import { TokenGate } from "../auth/bearer.ts";
import type { Gate } from "../auth/gate.ts";
import { OAuthGate } from "../auth/oauth-gate.ts";
import type { AccessTokens } from "../auth/oauth-gate.ts";
import type { Config, ServerConfig } from "../config/config.ts";
import { serverAudience } from "../oauth/resources.ts";
import { limitsAnything } from "../policy/limits.ts";
import type { RequestLimits } from "../policy/limits.ts";
import { ServerEndpoint } from "../relay/endpoint.ts";
import type { Dialogue } from "../relay/dialogue.ts";
import type { OversightDeps } from "../relay/oversight.ts";
import { AuditLog } from "../telemetry/audit.ts";
import type { Audit } from "../telemetry/audit.ts";
import type { Parking } from "../relay/parking.ts";
import { Switchboard } from "../relay/switchboard.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Kept } from "../store/kept.ts";
import type { Log } from "../telemetry/log.ts";
import type { Meters } from "../telemetry/meters.ts";
import { openWire } from "../upstream/open-wire.ts";
import { upstreamFetch } from "../upstream/upstream-fetch.ts";
import type { Watchdog } from "../upstream/watchdog.ts";

/** One endpoint with what protects it. */
export interface Room {
  readonly endpoint: ServerEndpoint;
  readonly gate: Gate;
}

export interface RoomDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly meters: Meters;
  readonly watchdog: Watchdog;
  /** The tokens of those who logged in; undefined where there is no login. */
  readonly access: AccessTokens | undefined;
  readonly keys: ApiKeys;
  readonly parking: Parking<Dialogue>;
  /** Whose tasks are whose. */
  readonly tasks: Kept;
  /** The file in which calls are kept; undefined: the log. */
  readonly audit: Audit | undefined;
  readonly limits: RequestLimits;
  /** What several servers list is to be known from the connections of the one client there is. */
  readonly own: boolean;
  /** A server with `panicIfInvalid` cannot be started. */
  readonly onPanic: (server: string, reason: string) => void;
}

/**
 * Makes the rooms for a configuration. A server whose connections would be made in the same way as before keeps them,
 * whatever else about it has changed.
 */
export function makeRooms(
  config: Config,
  before: ReadonlyMap<string, Room>,
  previous: Config | undefined,
  deps: RoomDeps,
): Map<string, Room> {
  const rooms = new Map<string, Room>();
  for (const server of config.servers.values()) {
    const old = before.get(server.name)?.endpoint;
    const kept =
      old !== undefined && previous !== undefined && sameConnections(old.switchboard.config, server, previous, config);
    const switchboard = kept ? old.switchboard : makeSwitchboard(server, config, deps);
    const gate = gateOf(server, config, deps, serverAudience(server.name));
    rooms.set(server.name, {
      endpoint: new ServerEndpoint(server, switchboard, deps.parking, oversightOf(server, config, deps)),
      gate,
    });
  }
  return rooms;
}

/** Who called what is kept in the file, else in the log: there of everybody where requests are logged, else of those with a name. */
export function oversightOf(
  server: Pick<ServerConfig, "logEnabled" | "logSilenced">,
  config: Config,
  { clock, log, audit, limits }: Pick<RoomDeps, "clock" | "log" | "audit" | "limits">,
): OversightDeps {
  const inLog = server.logSilenced === true ? undefined : new AuditLog(log);
  const limited =
    limitsAnything(config.limits) ||
    config.usersFile !== undefined ||
    [...config.users.values()].some((user) => limitsAnything(user.limits));
  const onlyNamed = audit === undefined && !server.logEnabled;
  return { clock, audit: audit ?? inLog, onlyNamed, limits, limited };
}

function makeSwitchboard(server: ServerConfig, config: Config, deps: RoomDeps): Switchboard {
  const { clock, random, log, watchdog } = deps;
  const fetch = upstreamFetch(server.target, clock);
  const wires = { clock, watchdog, maxMessageBytes: config.maxMessageBytes, memory: { kind: undefined }, fetch };
  return new Switchboard(
    server,
    { name: config.name, version: config.version },
    {
      clock,
      random,
      log,
      own: deps.own,
      meter: deps.meters.server(server.displayName),
      restartDelayMs: config.restartDelayMs,
      openWire: (wanted, need) => openWire(wanted, need, wires),
      onFault: (failed, fault) => {
        if (failed.panicIfInvalid) deps.onPanic(failed.displayName, fault.message);
      },
    },
    deps.tasks,
  );
}

function sameConnections(a: ServerConfig, b: ServerConfig, before: Config, after: Config): boolean {
  const linked = (server: ServerConfig, config: Config): unknown => [
    server.target,
    server.invalid,
    server.isolation,
    server.maxConnections,
    server.roots,
    server.connectTimeoutMs,
    server.timeoutMs,
    config.name,
    config.version,
    config.maxMessageBytes,
  ];
  return isDeepStrictEqual(linked(a, before), linked(b, after));
}

/** What stands in front of a server, or a group: its own tokens, API keys and a login, each beside the others. */
export function gateOf(
  guarded: Pick<ServerConfig, "authTokens" | "oauth">,
  config: Config,
  { access, keys }: Pick<RoomDeps, "access" | "keys">,
  audience: string,
): Gate {
  const { authTokens, oauth } = guarded;
  const withKeys = config.apiKeys !== undefined || config.apiKeysFile !== undefined;
  const secrets: Gate[] = [
    ...(authTokens === undefined ? [] : [new TokenGate(authTokens)]),
    ...(withKeys ? [keys] : []),
  ];
  const [first, second] = secrets;
  const either = first === undefined || second === undefined ? first : new AnyGate(secrets);
  if (oauth === true && access !== undefined) return new OAuthGate(either, access, audience);
  // A login that is configured and not there must leave nothing open.
  return either ?? new TokenGate(oauth === true ? [] : undefined);
}
