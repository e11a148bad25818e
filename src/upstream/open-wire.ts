import type { ServerConfig } from "../config/config.ts";
import type { Clock } from "../telemetry/clock.ts";
import { DetectWire } from "./detect-wire.ts";
import type { Memory } from "./detect-wire.ts";
import type { Fetch } from "./http-link.ts";
import { HttpWire } from "./http-wire.ts";
import { SseWire } from "./sse-wire.ts";
import { StdioWire } from "./stdio-wire.ts";
import type { Need } from "./upstream.ts";
import type { Watchdog } from "./watchdog.ts";
import type { Wire } from "./wire.ts";

export interface WireDeps {
  readonly clock: Clock;
  readonly watchdog: Watchdog;
  readonly maxMessageBytes: number;
  /** Of this server. */
  readonly memory: Memory;
  /** Adds to each request what the server's configuration asks for. */
  readonly fetch: Fetch;
}

/** Makes the wire that a server's configuration asks for, with what one caller adds to it. */
export function openWire(server: ServerConfig, need: Need, deps: WireDeps): Wire {
  const { target } = server;
  if (target.kind !== "stdio") {
    const options = {
      url: target.url,
      headers: { ...target.headers, ...need.headers },
      rejectUnauthorized: target.verifyTls,
      maxMessageBytes: deps.maxMessageBytes,
      clock: deps.clock,
      fetch: deps.fetch,
    };
    if (target.kind === "detect") return new DetectWire(options, deps.memory);
    return target.kind === "sse" ? new SseWire(options) : new HttpWire(options);
  }
  return new StdioWire({
    command: target.command,
    args: target.args,
    cwd: target.cwd,
    env: { ...target.env, ...need.env },
    maxMessageBytes: deps.maxMessageBytes,
    watchdog: deps.watchdog,
    clock: deps.clock,
    redact: redactor([...Object.values(target.env), ...Object.values(need.env)]),
  });
}

/** Shorter values are words that occur everywhere; taking them out would only hide what is being said. */
const SHORTEST_SECRET = 8;

/** Takes the values of a child's environment out of a text: some of them are secrets, and which ones is not known. */
function redactor(values: readonly string[]): (text: string) => string {
  const secrets = values
    .filter((value) => value.length >= SHORTEST_SECRET && !value.startsWith("/"))
    .toSorted((a, b) => b.length - a.length);
  return (text) => secrets.reduce((clean, secret) => clean.replaceAll(secret, "[redacted]"), text);
}
