import { isDeepStrictEqual } from "node:util";
import { TokenGate } from "../auth/bearer.ts";
import type { Gate } from "../auth/gate.ts";
import { OAuthGate } from "../auth/oauth-gate.ts";
import type { AccessTokens } from "../auth/oauth-gate.ts";
import type { Config, ServerConfig } from "../config/config.ts";
import { serverAudience } from "../oauth/resources.ts";
import { ServerEndpoint } from "../relay/endpoint.ts";
import type { Dialogue } from "../relay/dialogue.ts";
import type { Parking } from "../relay/parking.ts";
import { Switchboard } from "../relay/switchboard.ts";
import type { Clock } from "../telemetry/clock.ts";
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
  readonly parking: Parking<Dialogue>;
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
    const gate = gateOf(server, config, deps);
    rooms.set(server.name, { endpoint: new ServerEndpoint(server, switchboard, deps.parking), gate });
  }
  return rooms;
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
      meter: deps.meters.server(server.displayName),
      restartDelayMs: config.restartDelayMs,
      openWire: (wanted, need) => openWire(wanted, need, wires),
      onFault: (failed, fault) => {
        if (failed.panicIfInvalid) deps.onPanic(failed.displayName, fault.message);
      },
    },
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

/**
 * What the configuration protects by means that do not exist yet stays shut: a server that was meant to be behind API
 * keys must never be found open.
 */
function gateOf(server: ServerConfig, config: Config, { access, log }: RoomDeps): Gate {
  const { authTokens, oauth, name, displayName } = server;
  const tokens = authTokens === undefined ? undefined : new TokenGate(authTokens);
  if (oauth === true && access !== undefined) return new OAuthGate(tokens, access, serverAudience(name));
  if (tokens !== undefined) return tokens;
  if (oauth !== true && config.apiKeys === undefined && config.apiKeysFile === undefined)
    return new TokenGate(undefined);
  log.warn({ server: displayName }, "this version has no API keys: nobody can use this server. Give it authTokens");
  return new TokenGate([]);
}
