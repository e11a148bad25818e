import { isDeepStrictEqual } from "node:util";
import type { Gate } from "../auth/gate.ts";
import { JointGate } from "../auth/joint-gate.ts";
import type { Config, GroupConfig } from "../config/config.ts";
import { EVERYTHING, groupAudience } from "../oauth/resources.ts";
import type { Principal } from "../policy/principal.ts";
import { Rights, mayHear } from "../policy/rights.ts";
import { AggregateEndpoint } from "../relay/aggregate/aggregate-endpoint.ts";
import type { AggregatePlan } from "../relay/aggregate/aggregate-endpoint.ts";
import type { Member } from "../relay/aggregate/member.ts";
import { ServerEndpoint } from "../relay/endpoint.ts";
import type { Place } from "../relay/endpoint.ts";
import type { OversightDeps } from "../relay/oversight.ts";
import type { Session } from "../relay/session.ts";
import { EVERYTHING_ENDPOINT, groupEndpoint } from "./paths.ts";
import { gateOf, oversightOf } from "./rooms.ts";
import type { Room, RoomDeps } from "./rooms.ts";

const EVERYTHING_NAME = "all servers";

/** Several servers at one URL, with what protects it. */
export interface JointRoom {
  readonly endpoint: AggregateEndpoint;
  readonly gate: Gate;
  readonly plan: AggregatePlan;
}

export type JointDeps = Pick<RoomDeps, "access" | "keys" | "log" | "clock" | "parking" | "audit" | "limits"> & {
  /** The sessions of an endpoint that are in memory. */
  readonly sessionsOf: (endpoint: string) => Iterable<Session>;
  /** Everything is for the one client of this process. */
  readonly own: boolean;
};

/**
 * Makes the rooms of several servers: of all together, and of the groups. Those that were there before are kept, for
 * their clients, and have the new servers once their plan is handed to them.
 */
export function makeJointRooms(
  config: Config,
  rooms: ReadonlyMap<string, Room>,
  before: ReadonlyMap<string, JointRoom>,
  deps: JointDeps,
): Map<string, JointRoom> {
  const joint = new Map<string, JointRoom>();
  const add = (name: string, displayName: string, gate: Gate, members: readonly Member[]): void => {
    const { separator, resourcesByServer } = config.aggregate;
    const identity = { name: config.name, version: config.version };
    const oversight = jointOversight(members, config, deps);
    const plan: AggregatePlan = { members, separator, resourcesByServer, identity, oversight };
    const { clock, log, own, sessionsOf } = deps;
    const endpoint =
      before.get(name)?.endpoint ??
      new AggregateEndpoint({ name, displayName, clock, log, own, sessions: () => sessionsOf(name) }, plan);
    joint.set(name, { endpoint, gate, plan });
  };
  if (config.aggregate.enabled && config.defaultServer === undefined) {
    // Who knows a name with a secret in it has it from its owner, and not from a list.
    const all = [...rooms.values()].filter(({ endpoint }) => endpoint.displayName === endpoint.name);
    const members = makeMembers({ name: EVERYTHING_ENDPOINT, displayName: EVERYTHING_NAME }, all, config, deps);
    add(EVERYTHING_ENDPOINT, EVERYTHING_NAME, jointGate(all, EVERYTHING, deps), members);
  }
  for (const group of config.groups.values()) {
    const name = groupEndpoint(group.name);
    const all = group.servers.flatMap((server) => rooms.get(server) ?? []);
    const { options } = group;
    const audience = groupAudience(group.name);
    const gate = options === undefined ? jointGate(all, audience, deps) : gateOf(options, config, deps, audience);
    const place = { name, displayName: group.name };
    add(name, group.name, gate, makeMembers(place, all, config, deps, group));
  }
  return joint;
}

/** After a reload: whether clients of an endpoint would see other things than before. */
export function looksDifferent(now: AggregatePlan, before: AggregatePlan): boolean {
  const seen = ({ members, separator, resourcesByServer }: AggregatePlan): unknown => [
    separator,
    resourcesByServer,
    members.map(({ name, prefix, endpoint }) => [name, prefix, endpoint.config.toolFilter, endpoint.tools]),
  ];
  return !isDeepStrictEqual(seen(now), seen(before));
}

/** Calls that reach none of the servers are kept as those of the most talkative of them. */
function jointOversight(members: readonly Member[], config: Config, deps: JointDeps): OversightDeps {
  const servers = members.map(({ endpoint }) => endpoint.config);
  const logEnabled = servers.some((server) => server.logEnabled);
  const logSilenced = servers.length > 0 && servers.every((server) => server.logSilenced === true);
  return oversightOf({ logEnabled, logSilenced }, config, deps);
}

function jointGate(rooms: readonly Room[], audience: string, { own }: JointDeps): Gate {
  return new JointGate(own ? [] : rooms.map(({ gate }) => gate), audience);
}

function makeMembers(
  at: Pick<Place, "name" | "displayName">,
  rooms: readonly Room[],
  config: Config,
  deps: JointDeps,
  group?: GroupConfig,
): Member[] {
  const bare = !config.aggregate.prefixSingle && rooms.length === 1;
  const taken = new Set<string>();
  const members: Member[] = [];
  for (const { endpoint, gate } of rooms) {
    const server = endpoint.config;
    const all = group?.tools === undefined ? undefined : new Rights({ allowed: group.tools, denied: [] });
    const rights = all?.of(server.name);
    if (rights?.any === false) continue;
    let name = server.displayName;
    for (let n = 2; taken.has(name); n++) name = `${server.displayName}-${n}`;
    taken.add(name);
    // A group with options of its own lets its callers have all of it.
    const admits = (principal: Principal): boolean =>
      deps.own || group?.options !== undefined || gate.open || gate.knows(principal);
    const place: Place = { ...at, name: `${at.name} ${server.name}`, rights, tools: group?.tools };
    members.push({
      name,
      displayName: server.displayName,
      prefix: server.prefix ?? (bare ? "" : name),
      endpoint: new ServerEndpoint(
        server,
        endpoint.switchboard,
        deps.parking,
        oversightOf(server, config, deps),
        place,
      ),
      hears: (method) => mayHear(all, server.name, method),
      admits,
      reaches: (principal) => admits(principal) && principal.rights?.of(server.name)?.any !== false,
    });
  }
  return members;
}
