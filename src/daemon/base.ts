import { Directory } from "../auth/directory.ts";
import type { Config } from "../config/config.ts";
import { Heartbeat } from "../downstream/heartbeat.ts";
import type { SseLines } from "../downstream/http-sse.ts";
import { Replays } from "../downstream/replay.ts";
import { RequestLimits } from "../policy/limits.ts";
import type { Dialogue } from "../relay/dialogue.ts";
import { Parking } from "../relay/parking.ts";
import { Sessions } from "../relay/sessions.ts";
import { Kept } from "../store/kept.ts";
import { Sealer } from "../store/sealer.ts";
import type { SealingKeys } from "../store/sealing-key.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { Meters } from "../telemetry/meters.ts";
import { Watchdog } from "../upstream/watchdog.ts";

/** Ids of ended sessions and owners of tasks that are remembered: clients can make both in a loop. */
const MAX_ENDED = 200_000;
const MAX_TASKS = 10_000;

export interface DaemonDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: () => number;
  readonly keys: SealingKeys;
  readonly version: string;
  /** A server with `panicIfInvalid` cannot be started. */
  readonly onPanic: (server: string, reason: string) => void;
}

/** What all configurations of one process have in common: it outlives reloads. */
export interface Base extends DaemonDeps {
  readonly sessions: Sessions;
  readonly parking: Parking<Dialogue>;
  readonly heartbeat: Heartbeat;
  readonly watchdog: Watchdog;
  /** Ids of sessions that their clients have ended. */
  readonly ended: Kept;
  /** Whose tasks are whose. */
  readonly tasks: Kept;
  readonly replays: Replays;
  /** Users and API keys; their files are followed whether or not the configuration is. */
  readonly directory: Directory;
  readonly limits: RequestLimits;
  /** The open streams of HTTP+SSE; they live on when a reload replaces what serves them. */
  readonly sseLines: SseLines;
  readonly meters: Meters;
  readonly startedAt: number;
}

export function makeBase(config: Config, deps: DaemonDeps): Base {
  const { clock, log, random, keys } = deps;
  const kept = { ttlMs: config.sessionMaxAgeMs, clock, log };
  const ended = new Kept({ ...kept, room: "ended sessions", max: MAX_ENDED });
  return {
    ...deps,
    sessions: new Sessions(new Sealer("session", keys.keys), clock, random, agesOf(config), ended),
    parking: new Parking(new Sealer("request state", keys.keys), clock),
    heartbeat: new Heartbeat(clock),
    watchdog: new Watchdog({ log: (message) => log.warn({}, message) }),
    ended,
    tasks: new Kept({ ...kept, room: "tasks", max: MAX_TASKS }),
    replays: new Replays(memoryOf(config)),
    directory: new Directory({ clock, log }),
    limits: new RequestLimits(config.limits),
    sseLines: new Map(),
    meters: new Meters(),
    startedAt: clock.now(),
  };
}

/** Hands the limits of another configuration to what stays. */
export function adjustBase({ limits, sessions, replays, meters }: Base, config: Config): void {
  limits.replace(config.limits);
  sessions.limit(agesOf(config));
  replays.limit(memoryOf(config));
  meters.keep(new Set([...config.servers.values()].map((server) => server.displayName)));
}

function agesOf(config: Config): { idleMs: number; maxAgeMs: number } {
  return { idleMs: config.sessionIdleMs, maxAgeMs: config.sessionMaxAgeMs };
}

function memoryOf(config: Config): { events: number; bytes: number } {
  return { events: config.replayEvents, bytes: config.replayBytes };
}
