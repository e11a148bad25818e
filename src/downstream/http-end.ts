import type { Sessions } from "../relay/sessions.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Heartbeat } from "./heartbeat.ts";

/** What both ends for clients over HTTP need, Streamable HTTP and HTTP+SSE. */
export interface HttpEndDeps {
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly heartbeat: Heartbeat;
  /** Requests before `initialize` are answered on the shared connection instead of with an error. */
  readonly stateless: boolean;
  /** Longest body, in bytes. */
  readonly maxRequestBytes: number;
  readonly log: Log;
  /** The proxy is about to end: what runs may finish, nothing new begins. */
  readonly draining: () => boolean;
}
