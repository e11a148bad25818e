import { isDeepStrictEqual } from "node:util";
import type { Config, ServerConfig } from "./config/config.ts";
import { AccessWatch } from "./daemon/access-watch.ts";
import { adjustBase, makeBase } from "./daemon/base.ts";
import type { Base, DaemonDeps } from "./daemon/base.ts";
import { Departures } from "./daemon/departures.ts";
import { buildHouse, emptyHouse, switchboardsOf } from "./daemon/house.ts";
import type { House } from "./daemon/house.ts";
import { LoginKeeper } from "./daemon/login-keeper.ts";
import { makeDoor } from "./daemon/make-door.ts";
import { moveOver } from "./daemon/move-over.ts";
import { startUpkeep } from "./daemon/upkeep.ts";
import { Stdio } from "./downstream/stdio.ts";
import { Answer, AnswerHeaders } from "./http1/answer.ts";
import type { Door } from "./http/door.ts";
import { openListener } from "./http/listener.ts";
import type { Listener } from "./http/listener.ts";
import { EVERYTHING_ENDPOINT } from "./http/paths.ts";
import type { AuthorizationServer } from "./oauth/authorization-server.ts";
import { PublicUrls } from "./oauth/public-urls.ts";
import type { Switchboard } from "./relay/switchboard.ts";
import { AuditFile } from "./telemetry/audit.ts";
import type { UpstreamStatus } from "./upstream/upstream.ts";

/** What is left of the time to drain for ending children and closing sockets. */
const STOPPING_MS = 2_000;
/** Children get so long to end, however short the time to drain is. */
const MIN_STOPPING_MS = 4_500;
/** Whatever is left so long before the end is killed: an operator's patience is not the servers' to use up. */
const KILLING_MS = 700;

/** Everything that runs for one configuration, and for the ones that follow it. */
export class Daemon {
  readonly #base: Base;
  readonly #logins: LoginKeeper;
  readonly #access: AccessWatch;
  readonly #departures: Departures;
  #house: House;
  #audit: AuditFile | undefined;
  #door: Door | undefined;
  #listener: Listener | undefined;
  #stopUpkeep: (() => void) | undefined;
  #draining = false;

  constructor(config: Config, deps: DaemonDeps) {
    this.#base = makeBase(config, deps);
    this.#house = emptyHouse(config);
    this.#access = new AccessWatch(this.#base, () => this.#house);
    this.#logins = new LoginKeeper(this.#base, (ended) => this.#access.expel(({ id }) => id === ended));
    this.#departures = new Departures(deps.clock);
  }

  /** Calls in flight. */
  get open(): number {
    return switchboardsOf(this.#house).reduce((sum, { open }) => sum + open, 0);
  }

  /** Every server as it is now, in the order of the configuration. */
  get servers(): readonly { readonly config: ServerConfig; readonly status: UpstreamStatus }[] {
    return [...this.#house.rooms.values()].map(({ endpoint }) => ({
      config: endpoint.config,
      status: endpoint.switchboard.upstream.status,
    }));
  }

  /**
   * Opens the state, where there is a login, and the listener; connects the servers in the background.
   * @throws StoreUnusable when the state cannot be opened
   * @throws Error when the address cannot be used
   */
  async start(): Promise<{ url: string }> {
    const { config } = this.#house;
    this.#base.directory.configure(config);
    this.#audit = this.#openAudit(config);
    await this.#logins.take(await this.#logins.open(config, this.#urlsOf(config)));
    this.#house = this.#build(config, this.#logins.current);
    this.#door = this.#makeDoor(this.#house, this.#logins.current);
    this.#listener = await this.#listen(config);
    this.#startServers();
    this.#access.expectPatterns();
    await this.#startUpkeep();
    return { url: this.#listener.url };
  }

  /**
   * Serves one client over stdio instead of the network: no listener is opened, and the servers are connected when the
   * client says who it is. A single server is served as it is, several are served as one.
   * @param write takes one line for the client
   * @throws Error when there is no server
   */
  async startStdio(write: (line: string) => void): Promise<Stdio> {
    const { sessions, log } = this.#base;
    this.#house = this.#build(this.#house.config, undefined, true);
    const [only, another] = this.#house.rooms.values();
    const room = another === undefined ? only : this.#house.joint.get(EVERYTHING_ENDPOINT);
    if (room === undefined) throw new Error("there is no server to serve");
    await this.#startUpkeep();
    return new Stdio({ endpoint: room.endpoint, sessions, log, write });
  }

  /** Connects the servers and nothing else: nobody can call them. For a look at whether they would start. */
  async startServers(): Promise<void> {
    this.#house = this.#build(this.#house.config, undefined);
    this.#startServers();
    await this.#startUpkeep();
  }

  /**
   * Takes another configuration over: all of it is built first, then swapped; only what changed is touched, and calls
   * in flight finish.
   * @throws Error when its address cannot be used; then nothing has changed
   */
  async reload(config: Config): Promise<void> {
    if (this.#draining) return;
    const before = this.#house;
    const moved = !isDeepStrictEqual([config.listen, config.tls], [before.config.listen, before.config.tls]);
    const login = await this.#logins.open(config, this.#urlsOf(config));
    const listener = moved
      ? await this.#listen(config).catch(async (error: unknown) => {
          await this.#logins.giveUp(login);
          throw error;
        })
      : this.#listener;
    if (this.#draining) {
      await this.#logins.giveUp(login);
      return moved ? await listener?.close() : undefined;
    }
    const change = this.#base.directory.configure(config);
    const auditBefore = this.#audit;
    if (config.auditFile !== before.config.auditFile) this.#audit = this.#openAudit(config);
    adjustBase(this.#base, config);
    const house = this.#build(config, login);
    this.#door = this.#makeDoor(house, login);
    this.#house = house;
    if (moved && this.#listener !== undefined) this.#leave(this.#listener, before);
    this.#listener = listener;
    await this.#logins.take(login);
    moveOver(this.#base.sessions, before, house);
    this.#access.changed(change);
    if (auditBefore !== this.#audit) auditBefore?.close();
    for (const [name, { endpoint }] of before.rooms) {
      if (house.rooms.get(name)?.endpoint.switchboard !== endpoint.switchboard)
        this.#retire(name, endpoint.switchboard);
    }
  }

  /**
   * Refuses new work, lets calls in flight finish for as long as the configuration allows, then ends everything. No
   * process and no socket is left when it resolves.
   */
  async stop(): Promise<void> {
    this.#draining = true;
    const boards = switchboardsOf(this.#house);
    for (const { endpoint } of this.#house.joint.values()) endpoint.finishListening();
    for (const board of boards) board.finishListening();
    // Each by itself: a server whose calls are done need not wait for another one's.
    const { drainMs } = this.#house.config;
    const patience = Math.max(0, drainMs - STOPPING_MS);
    const ending = Promise.all([
      ...boards.map((board) => this.#departures.within(board.quiet(), patience).then(() => board.stop())),
      this.#departures.done(),
    ]);
    await this.#departures.within(ending, Math.max(drainMs, MIN_STOPPING_MS) - KILLING_MS);
    const killed = this.#base.watchdog.killAll();
    if (killed > 0) this.#base.log.warn({ killed }, "servers that did not end in time were killed");
    this.#stopUpkeep?.();
    this.#base.sessions.close();
    this.#base.heartbeat.stop();
    await this.#listener?.close();
    await this.#base.watchdog.stop();
    await this.#logins.close();
    this.#audit?.close();
  }

  #build(config: Config, login: AuthorizationServer | undefined, own = false): House {
    const running = this.#listener !== undefined;
    return buildHouse(this.#base, config, this.#house, { access: login?.access, audit: this.#audit, running, own });
  }

  #makeDoor(house: House, login: AuthorizationServer | undefined): Door {
    return makeDoor(this.#base, house, { urls: this.#urlsOf(house.config), login, draining: () => this.#draining });
  }

  #urlsOf(config: Config): PublicUrls {
    const chosen = config.listen.kind === "tcp" ? config.listen.port : 0;
    return new PublicUrls(config, () => Number(URL.parse(this.#listener?.url ?? "")?.port || chosen));
  }

  #openAudit({ auditFile }: Config): AuditFile | undefined {
    const { clock, log } = this.#base;
    return auditFile === undefined ? undefined : new AuditFile(auditFile, clock, log);
  }

  #listen(config: Config): Promise<Listener> {
    return openListener(
      config,
      (request) => this.#door?.handle(request) ?? new Answer(503, new AnswerHeaders({ "Retry-After": "5" })),
      this.#base,
    );
  }

  #startServers(): void {
    for (const { upstream } of switchboardsOf(this.#house)) upstream.start();
  }

  async #startUpkeep(): Promise<void> {
    this.#stopUpkeep = await startUpkeep({
      base: this.#base,
      house: () => this.#house,
      logins: this.#logins,
      access: this.#access,
      open: () => this.open,
    });
  }

  /** Leaves an address: nobody gets in there any more, but calls that came in by it are answered. */
  #leave(listener: Listener, before: House): void {
    const quiet = Promise.all(switchboardsOf(before).map((board) => board.quiet()));
    this.#departures.add(listener.close(this.#departures.within(quiet, this.#house.config.drainMs)));
  }

  /** Ends a server that is gone or has changed, after its calls in flight. Sessions of one that has changed go on. */
  #retire(name: string, switchboard: Switchboard): void {
    const quiet = this.#departures.within(switchboard.quiet(), this.#house.config.drainMs);
    this.#departures.add(
      quiet.then(async () => {
        await switchboard.stop();
        if (!this.#house.rooms.has(name)) this.#base.sessions.drop(name);
      }),
    );
  }
}
