import type { ServerConfig } from "../config/config.ts";
import { nearest } from "../config/nearest.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Catalogue } from "./catalogue.ts";
import { FailureNews } from "./failure-news.ts";
import type { Fault } from "./fault.ts";
import type { Introduction } from "./greeting.ts";
import { remedyOf } from "./remedy.ts";

/** Says in the log how a server fares, and knows how far its present start is. */
export class UpstreamLog {
  readonly #config: ServerConfig;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #server: string;
  readonly #news = new FailureNews();
  #attemptAt: number | undefined;
  #readyMs: number | undefined;
  #progress: string | undefined;

  constructor(config: ServerConfig, clock: Clock, log: Log) {
    this.#config = config;
    this.#clock = clock;
    this.#log = log;
    this.#server = config.displayName;
  }

  /** When the present attempt of the shared connection began, in milliseconds since the epoch. */
  get attemptAt(): number | undefined {
    return this.#attemptAt;
  }

  /** How long the first successful attempt took, its lists included, in milliseconds. */
  get readyMs(): number | undefined {
    return this.#readyMs;
  }

  /** What the server last wrote to stderr while it starts: npx and uvx show there how far they are. */
  get progress(): string | undefined {
    return this.#progress;
  }

  /** The shared connection is being made. */
  attempt(): void {
    this.#attemptAt = this.#clock.now();
    this.#progress = undefined;
  }

  /** A line that is no message. */
  noise(line: string, stream: "stdout" | "stderr", shared: boolean): void {
    if (shared) this.#progress = line;
    const fields = { server: this.#server, stream };
    if (!this.#news.isNew(line)) this.#log.debug(fields, line);
    else if (stream === "stderr") this.#log.info(fields, line);
    else this.#log.warn(fields, `not a JSON-RPC message, skipped: ${line}`);
  }

  /** A connection has said hello. @param again in the place of one that was lost */
  connected({ protocolVersion }: Introduction, shared: boolean, again: boolean): void {
    const server = this.#server;
    this.#news.well();
    if (shared && again) this.#log.info({ server, ms: this.#attemptMs() }, "upstream ready again");
    this.#log.debug({ server, shared, protocolVersion }, "connection open");
  }

  /** The server has forgotten a session. */
  lost(): void {
    this.#log.debug({ server: this.#server }, "the server has forgotten the session; it is opened anew");
  }

  /** A connection could not be made, or has ended. @param retryMs until the next attempt */
  failed(fault: Fault, retryMs: number): void {
    const { count, tell } = this.#news.failed(fault);
    this.#log[tell ? "warn" : "debug"](
      {
        server: this.#server,
        code: fault.code,
        ...(fault.detail === undefined ? {} : { detail: fault.detail }),
        hint: remedyOf(fault, this.#config),
        retryMs: Math.round(retryMs),
        ...(count === 1 ? {} : { failures: count }),
      },
      `upstream failed: ${fault.message}`,
    );
  }

  /** The entry in the configuration cannot be started as it stands. */
  invalid(fault: Fault): void {
    const fields = { server: this.#server, code: fault.code, hint: remedyOf(fault, this.#config) };
    this.#log.warn(fields, `upstream failed: ${fault.message}`);
  }

  unread(error: unknown): void {
    this.#log.warn({ server: this.#server, error: String(error) }, "the server's lists could not be read");
  }

  /** A tool is kept from clients of this HTTP server. */
  leftOut(tool: string, why: string): void {
    const server = this.#server;
    this.#log.warn({ server, tool }, `<${server}> the tool ${tool} is left out of the lists: ${why}`);
  }

  /** The tools were read. @param before undefined: for the first time, with which the server is ready */
  tools(now: Catalogue, before: Catalogue | undefined): void {
    const server = this.#server;
    for (const tool of now.tools) {
      if (before?.tools.has(tool) !== true) this.#log.info({ server }, `<${server}> Adding tool ${tool}`);
    }
    if (before !== undefined) return;
    this.#readyMs = this.#attemptMs();
    this.#log.info({ server, tools: now.tools.size, ms: this.#readyMs }, "upstream ready");
    for (const name of this.#config.toolFilter?.names ?? []) {
      if (now.tools.has(name)) continue;
      const known = nearest(name, [...now.tools]);
      const hint = known === undefined ? "" : `; did you mean "${known}"?`;
      this.#log.warn(
        { server, code: "filter.no_match" },
        `toolFilter.list: "${name}" matches no tool of ${server}${hint}`,
      );
    }
  }

  #attemptMs(): number {
    const now = this.#clock.now();
    return now - (this.#attemptAt ?? now);
  }
}
