import type { AccessTokens } from "../auth/oauth-gate.ts";
import type { Config } from "../config/config.ts";
import { makeJointRooms } from "../http/joint-rooms.ts";
import type { JointRoom } from "../http/joint-rooms.ts";
import { makeRooms } from "../http/rooms.ts";
import type { Room } from "../http/rooms.ts";
import type { Switchboard } from "../relay/switchboard.ts";
import type { Audit } from "../telemetry/audit.ts";
import type { Base } from "./base.ts";

/** The endpoints of one configuration. A reload builds another house and moves everybody over. */
export interface House {
  readonly config: Config;
  /** One for each server. */
  readonly rooms: ReadonlyMap<string, Room>;
  /** Those of several servers: all together, and groups. */
  readonly joint: ReadonlyMap<string, JointRoom>;
}

export interface HouseDeps {
  /** The tokens of those who logged in; undefined where there is no login. */
  readonly access: AccessTokens | undefined;
  readonly audit: Audit | undefined;
  /** Whether clients are served already. */
  readonly running: boolean;
  /** Everything is for the one client of this process. */
  readonly own: boolean;
}

export function emptyHouse(config: Config): House {
  return { config, rooms: new Map(), joint: new Map() };
}

/** @param before what of it has not changed is kept, with its connections */
export function buildHouse(base: Base, config: Config, before: House, deps: HouseDeps): House {
  const { log, sessions } = base;
  const { running, own } = deps;
  const common = {
    ...base,
    keys: base.directory.keys,
    access: deps.access,
    audit: deps.audit,
    // What a reload brings must not end what runs.
    onPanic: (server: string, reason: string): void =>
      running
        ? log.error({ server }, `${reason} (panicIfInvalid counts at the start only)`)
        : base.onPanic(server, reason),
  };
  // One server alone is listed by its own URL; only of several something has to be known together.
  const together = own && config.servers.size > 1;
  const rooms = makeRooms(config, before.rooms, before.config, { ...common, own: together });
  const sessionsOf = (endpoint: string): ReturnType<typeof sessions.of> => sessions.of(endpoint);
  return { config, rooms, joint: makeJointRooms(config, rooms, before.joint, { ...common, own, sessionsOf }) };
}

export function switchboardsOf({ rooms }: House): Switchboard[] {
  return [...rooms.values()].map(({ endpoint }) => endpoint.switchboard);
}
