import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import type { Config } from "../config/config.ts";
import type { Log } from "../telemetry/log.ts";
import { IDLE_TIMEOUT_SECONDS } from "./caller.ts";
import type { Peers } from "./caller.ts";

/** The runtime must not answer for us: what is too large is refused by the endpoints, in words. */
const RUNTIME_BODY_LIMIT = 2 ** 40;
/** How long answers that are on their way may take when the listener closes. */
const CLOSING_MS = 1_000;

export type Handler = (request: Request, peers: Peers) => Response | Promise<Response>;

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
  config: Pick<Config, "listen" | "tls">,
  handler: Handler,
  log: Log,
): Promise<Listener> {
  const { listen, tls } = config;
  const common = {
    fetch: (request: Request, server: Bun.Server<undefined>) => handler(request, server),
    error: (error: Error) => {
      log.error({ error: String(error), stack: error.stack }, "a request failed");
      const body = { jsonrpc: "2.0", id: null, error: { code: -32603, message: "Internal error" } };
      return Response.json(body, { status: 500 });
    },
    maxRequestBodySize: RUNTIME_BODY_LIMIT,
    development: false,
    ...(tls === undefined ? {} : { tls: { cert: Bun.file(tls.cert), key: Bun.file(tls.key) } }),
  };
  if (listen.kind === "unix") await removeStaleSocket(listen.path);
  const server =
    listen.kind === "unix"
      ? Bun.serve({ ...common, unix: listen.path })
      : Bun.serve({
          ...common,
          hostname: listen.host,
          port: listen.port,
          idleTimeout: IDLE_TIMEOUT_SECONDS,
          // Outside its development mode the runtime would let a second proxy listen here and share the clients.
          reusePort: false,
        });
  if (listen.kind === "unix") chmodSync(listen.path, listen.mode);
  return {
    url: listen.kind === "unix" ? `unix:${listen.path}` : server.url.href,
    close: async (until) => {
      // Graceful first: a stop by force cuts answers that were given a moment ago.
      const graceful = server.stop(false);
      await until;
      await Promise.race([graceful, Bun.sleep(CLOSING_MS)]);
      await server.stop(true);
    },
  };
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
