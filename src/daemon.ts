import { TokenGate } from "./auth/bearer.ts";
import type { Config, ServerConfig } from "./config/config.ts";
import { Heartbeat } from "./downstream/heartbeat.ts";
import { StreamableHttp } from "./downstream/streamable-http.ts";
import { Door } from "./http/door.ts";
import type { Room } from "./http/door.ts";
import { HostRule, OriginRule } from "./http/origin.ts";
import { createPages } from "./http/pages.ts";
import { PathTable } from "./http/paths.ts";
import { plainReplyHeaders } from "./http/reply-headers.ts";
import { viewerOf } from "./http/viewer.ts";
import { ServerEndpoint } from "./relay/endpoint.ts";
import type { Dialogue } from "./relay/dialogue.ts";
import { Parking } from "./relay/parking.ts";
import { Sessions } from "./relay/sessions.ts";
import { Switchboard } from "./relay/switchboard.ts";
import { Sealer } from "./store/sealer.ts";
import type { SealingKeys } from "./store/sealing-key.ts";
import type { Clock } from "./telemetry/clock.ts";
import type { Log } from "./telemetry/log.ts";
import { openWire } from "./upstream/open-wire.ts";
import { Watchdog } from "./upstream/watchdog.ts";

/** Silent connections are closed after this; streams are kept alive more often than that. */
const IDLE_TIMEOUT_SECONDS = 40;
const SWEEP_MS = 10_000;
/** The runtime must not answer for us: what is too large is refused here, in words. */
const RUNTIME_BODY_LIMIT = 2 ** 40;

export interface DaemonDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: () => number;
  readonly keys: SealingKeys;
  readonly version: string;
  /** A server with `panicIfInvalid` cannot be started. */
  readonly onPanic: (server: string, reason: string) => void;
}

/** Everything that runs for one configuration. */
export class Daemon {
  readonly #config: Config;
  readonly #deps: DaemonDeps;
  readonly #rooms = new Map<string, Room>();
  readonly #sessions: Sessions;
  readonly #heartbeat: Heartbeat;
  readonly #watchdog: Watchdog;
  readonly #door: Door;
  #server: Bun.Server<undefined> | undefined;
  #stopSweep: (() => void) | undefined;

  constructor(config: Config, deps: DaemonDeps) {
    const { clock, log, random } = deps;
    this.#config = config;
    this.#deps = deps;
    this.#watchdog = new Watchdog({ log: (message) => log.warn({}, message) });
    this.#heartbeat = new Heartbeat(clock);
    this.#sessions = new Sessions(new Sealer("session", deps.keys.keys), clock, random, {
      idleMs: config.sessionIdleMs,
      maxAgeMs: config.sessionMaxAgeMs,
    });
    const parking = new Parking<Dialogue>(new Sealer("request state", deps.keys.keys), clock);
    for (const server of config.servers.values()) {
      const switchboard = new Switchboard(
        server,
        { name: config.name, version: config.version },
        {
          clock,
          random,
          log,
          restartDelayMs: config.restartDelayMs,
          openWire: (config_, need) =>
            openWire(config_, need, { clock, watchdog: this.#watchdog, maxMessageBytes: config.maxMessageBytes }),
          onFault: (config_, fault) => {
            if (config_.panicIfInvalid) deps.onPanic(config_.displayName, fault.message);
          },
        },
      );
      this.#rooms.set(server.name, { endpoint: new ServerEndpoint(switchboard, parking, clock), gate: new TokenGate(this.#tokensOf(server)) });
    }
    this.#door = this.#makeDoor();
  }

  /**
   * Opens the listener at once and connects the servers in the background.
   * @throws Error when the address cannot be used
   */
  start(): { url: string } {
    const { listen, tls } = this.#config;
    const common = {
      fetch: (request: Request, server: Bun.Server<undefined>) => this.#door.handle(request, server),
      error: (error: Error) => {
        this.#deps.log.error({ error: String(error), stack: error.stack }, "a request failed");
        return Response.json({ jsonrpc: "2.0", id: null, error: { code: -32603, message: "internal error" } }, { status: 500 });
      },
      maxRequestBodySize: RUNTIME_BODY_LIMIT,
      development: false,
      ...(tls === undefined ? {} : { tls: { cert: Bun.file(tls.cert), key: Bun.file(tls.key) } }),
    };
    this.#server =
      listen.kind === "unix"
        ? Bun.serve({ ...common, unix: listen.path })
        : Bun.serve({ ...common, hostname: listen.host, port: listen.port, idleTimeout: IDLE_TIMEOUT_SECONDS });
    for (const { endpoint } of this.#rooms.values()) endpoint.switchboard.upstream.start();
    this.#stopSweep = this.#deps.clock.every(SWEEP_MS, () => {
      this.#sessions.sweep();
      for (const { endpoint } of this.#rooms.values()) endpoint.switchboard.sweep(this.#config.sessionIdleMs);
    });
    return { url: this.#server.url?.href ?? "" };
  }

  /** Ends everything; no process and no socket is left when it resolves. */
  async stop(): Promise<void> {
    this.#stopSweep?.();
    this.#heartbeat.stop();
    for (const { endpoint } of this.#rooms.values()) endpoint.switchboard.finishListening();
    const closing = this.#server?.stop(false);
    this.#sessions.close();
    await Promise.all([...this.#rooms.values()].map(({ endpoint }) => endpoint.switchboard.upstream.stop()));
    await this.#server?.stop(true);
    await closing;
    await this.#watchdog.stop();
  }

  /**
   * What the configuration protects by other means than tokens stays shut until those means exist: a server that was
   * meant to be behind a login must never be found open.
   */
  #tokensOf(server: ServerConfig): readonly string[] | undefined {
    const { apiKeys, apiKeysFile } = this.#config;
    if (server.authTokens !== undefined || (server.oauth !== true && apiKeys === undefined && apiKeysFile === undefined)) {
      return server.authTokens;
    }
    this.#deps.log.warn(
      { server: server.displayName },
      "this version has no login and no API keys: nobody can use this server. Give it authTokens",
    );
    return [];
  }

  #makeDoor(): Door {
    const config = this.#config;
    const { log, clock, version } = this.#deps;
    const origins = new OriginRule(config);
    const hosts = new HostRule(config);
    const paths = new PathTable(config);
    const rooms = this.#rooms;
    return new Door({
      origins,
      hosts,
      plain: plainReplyHeaders(),
      paths,
      rooms,
      log,
      streamableHttp: new StreamableHttp({
        sessions: this.#sessions,
        clock,
        heartbeat: this.#heartbeat,
        stateless: config.stateless,
        maxRequestBytes: config.maxRequestBytes,
        log,
      }),
      pages: createPages({
        hosts,
        paths,
        rooms,
        sessions: this.#sessions,
        clock,
        log,
        version,
        pathPrefix: config.pathPrefix,
        startedAt: clock.now(),
        viewer: (request, peers) => viewerOf(request, peers, rooms),
      }),
    });
  }
}
