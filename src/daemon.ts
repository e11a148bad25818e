import { TokenGate } from "./auth/bearer.ts";
import type { Gate } from "./auth/gate.ts";
import { OAuthGate } from "./auth/oauth-gate.ts";
import type { Config, ServerConfig } from "./config/config.ts";
import { Heartbeat } from "./downstream/heartbeat.ts";
import { StreamableHttp } from "./downstream/streamable-http.ts";
import { ClientAddress } from "./http/client-address.ts";
import { Door } from "./http/door.ts";
import type { Room } from "./http/door.ts";
import { HostRule, OriginRule } from "./http/origin.ts";
import { createPages } from "./http/pages.ts";
import { PathTable, pathOf } from "./http/paths.ts";
import { plainReplyHeaders } from "./http/reply-headers.ts";
import { viewerOf } from "./http/viewer.ts";
import type { AuthorizationServer } from "./oauth/authorization-server.ts";
import { PublicUrls } from "./oauth/public-urls.ts";
import { serverAudience } from "./oauth/resources.ts";
import { ServerEndpoint } from "./relay/endpoint.ts";
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
const LOGIN_SWEEP_MS = 60_000;
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
  readonly #urls: PublicUrls;
  #login: AuthorizationServer | undefined;
  #server: Bun.Server<undefined> | undefined;
  readonly #stopSweeps: (() => void)[] = [];

  constructor(config: Config, deps: DaemonDeps) {
    const { clock, log, random } = deps;
    this.#config = config;
    this.#deps = deps;
    this.#urls = new PublicUrls(config, () => this.#server?.port ?? (config.listen.kind === "tcp" ? config.listen.port : 0));
    this.#watchdog = new Watchdog({ log: (message) => log.warn({}, message) });
    this.#heartbeat = new Heartbeat(clock);
    this.#sessions = new Sessions(new Sealer("session", deps.keys.keys), clock, random, {
      idleMs: config.sessionIdleMs,
      maxAgeMs: config.sessionMaxAgeMs,
    });
  }

  #furnish(): void {
    const config = this.#config;
    const { clock, log, random, onPanic } = this.#deps;
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
            if (config_.panicIfInvalid) onPanic(config_.displayName, fault.message);
          },
        },
      );
      this.#rooms.set(server.name, { endpoint: new ServerEndpoint(switchboard), gate: this.#gateOf(server) });
    }
  }

  /**
   * Opens the state, where there is a login, and the listener at once; connects the servers in the background.
   * @throws StoreUnusable when the state cannot be opened
   * @throws Error when the address cannot be used
   */
  async start(): Promise<{ url: string }> {
    await this.#openLogin();
    this.#furnish();
    const door = this.#makeDoor();
    const { listen, tls } = this.#config;
    const common = {
      fetch: (request: Request, server: Bun.Server<undefined>) => door.handle(request, server),
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
    const { clock, log } = this.#deps;
    const sweep = clock.every(SWEEP_MS, () => {
      this.#sessions.sweep();
      for (const { endpoint } of this.#rooms.values()) endpoint.switchboard.sweep(this.#config.sessionIdleMs);
    });
    const loginSweep = clock.every(LOGIN_SWEEP_MS, () => {
      this.#login?.sweep().catch((error: unknown) => log.error({ error: String(error) }, "old logins could not be removed"));
    });
    this.#stopSweeps.push(sweep, loginSweep);
    return { url: this.#server.url?.href ?? "" };
  }

  /** Ends everything; no process and no socket is left when it resolves. */
  async stop(): Promise<void> {
    for (const stop of this.#stopSweeps) stop();
    this.#heartbeat.stop();
    const closing = this.#server?.stop(false);
    this.#sessions.close();
    await Promise.all([...this.#rooms.values()].map(({ endpoint }) => endpoint.switchboard.upstream.stop()));
    await this.#server?.stop(true);
    await closing;
    await this.#watchdog.stop();
    await this.#login?.close();
  }

  /** The login's room, with its pages and its state, is needed by few configurations and costs a start some time. */
  async #openLogin(): Promise<void> {
    const config = this.#config;
    const { oauth } = config;
    if (oauth === undefined) return;
    const { openAuthorizationServer } = await import("./oauth/open.ts");
    const { clock, log, keys } = this.#deps;
    const onEnd = (principal: string): void => this.#sessions.endOf(principal);
    this.#login = await openAuthorizationServer({ config, oauth, keys: keys.keys, urls: this.#urls, clock, log, onEnd });
    if (config.users.size === 0) log.warn({}, "OAuth is on, but there are no users: nobody can log in. Add them to oauth2.users");
  }

  /**
   * What the configuration protects by means that do not exist yet stays shut: a server that was meant to be behind
   * API keys must never be found open.
   */
  #gateOf(server: ServerConfig): Gate {
    const { apiKeys, apiKeysFile } = this.#config;
    const { authTokens, oauth, name, displayName } = server;
    if (oauth === true && this.#login !== undefined) {
      const tokens = authTokens === undefined ? undefined : new TokenGate(authTokens);
      return new OAuthGate(tokens, this.#login.grants, serverAudience(name));
    }
    if (authTokens !== undefined || (oauth !== true && apiKeys === undefined && apiKeysFile === undefined)) {
      return new TokenGate(authTokens);
    }
    this.#deps.log.warn({ server: displayName }, "this version has no API keys: nobody can use this server. Give it authTokens");
    return new TokenGate([]);
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
      metadataUrl: (request) => {
        const local = paths.local(pathOf(request.url));
        return local === undefined ? undefined : this.#urls.resourceMetadata(request.headers.get("host"), local);
      },
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
        login: this.#login,
        addresses: new ClientAddress(config),
        viewer: (request, peers) => viewerOf(request, peers, rooms),
      }),
    });
  }
}
