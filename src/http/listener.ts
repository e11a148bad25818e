import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import type { Config } from "../config/config.ts";
import { Answer, AnswerHeaders } from "../http1/answer.ts";
import type { Handler } from "../http1/connection.ts";
import { connectionLimit } from "./connection-limit.ts";
import { HttpServer } from "../http1/server.ts";
import { ErrorCode, errorText } from "../protocol/errors.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";

/** How long answers that are on their way may take when the listener closes. */
const CLOSING_MS = 1_000;

/** How often it is said that there are too many connections. */
const AGAIN_MS = 10_000;
const CROWDED =
  "a connection was closed: as many are open as this process may have files (LimitNOFILE, ulimit -n), but for a share that servers need";

const JSON_TYPE = new AnswerHeaders({ "Content-Type": "application/json" });

/** The open socket. */
export interface Listener {
  /** Where it listens. */
  readonly url: string;
  /**
   * Ends it: nobody is let in from now on, what was answered still leaves.
   * @param until what is waited for before connections are cut
   */
  close(until?: Promise<void>): Promise<void>;
}

/**
 * Listens where the configuration says.
 * @throws Error of the system when the address cannot be used
 */
export async function openListener(
  { listen, tls }: Pick<Config, "listen" | "tls">,
  handler: Handler,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<Listener> {
  if (listen.kind === "unix") await removeStaleSocket(listen.path);
  const server = new HttpServer({
    at: listen.kind === "unix" ? { unix: listen.path } : { hostname: listen.host, port: listen.port },
    tls: tls === undefined ? undefined : { cert: Bun.file(tls.cert), key: Bun.file(tls.key) },
    maxConnections: connectionLimit(),
    crowded: seldom(clock, () => log.warn({}, CROWDED)),
    clock,
    handler,
    refuse: (status, text) => new Answer(status, JSON_TYPE, errorText("null", ErrorCode.server, text)),
    failed: (error) => {
      log.error({ error: String(error), stack: (error as Error).stack }, "a request failed");
      return new Answer(500, JSON_TYPE, errorText("null", ErrorCode.internal, "Internal error"));
    },
  });
  if (listen.kind === "unix") chmodSync(listen.path, listen.mode);
  return {
    url: listen.kind === "unix" ? `unix:${listen.path}` : urlOf(listen.host, server.port ?? 0, tls !== undefined),
    close: async (until) => {
      // Graceful first: a stop by force cuts answers that were given a moment ago.
      const graceful = server.stop();
      await until;
      await Promise.race([graceful, Bun.sleep(CLOSING_MS)]);
      server.cut();
    },
  };
}

/** At most once in a while, however often it is called. */
function seldom(clock: Clock, call: () => void): () => void {
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    if (clock.now() - last < AGAIN_MS) return;
    last = clock.now();
    call();
  };
}

function urlOf(host: string, port: number, secure: boolean): string {
  return new URL(`${secure ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}/`).href;
}

/** A socket that `kill -9` left behind refuses connections; one that is in use accepts, and stays. */
async function removeStaleSocket(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const alive = await Bun.connect({ unix: path, socket: { data() {} } }).then(
    (socket) => {
      socket.end();
      return true;
    },
    () => false,
  );
  if (!alive) unlinkSync(path);
}
