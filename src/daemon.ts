import { Directory } from "./auth/directory.ts";
import type { AccessChange } from "./auth/directory.ts";
import type { Config, ServerConfig } from "./config/config.ts";
import { isDeepStrictEqual } from "node:util";
import { Heartbeat } from "./downstream/heartbeat.ts";
import { HttpSse } from "./downstream/http-sse.ts";
import type { SseLines } from "./downstream/http-sse.ts";
import { Replays } from "./downstream/replay.ts";
import { Stdio } from "./downstream/stdio.ts";
import { StreamableHttp } from "./downstream/streamable-http.ts";
import { ClientAddress } from "./http/client-address.ts";
import { Door } from "./http/door.ts";
import type { Guarded } from "./http/door.ts";
import { openListener } from "./http/listener.ts";
import type { Listener } from "./http/listener.ts";
import { endpointExplainer } from "./http/endpoint-page.ts";
import { HostRule, OriginRule } from "./http/origin.ts";
import { createPages } from "./http/pages.ts";
import { PathTable, pathOf } from "./http/paths.ts";
import { plainReplyHeaders } from "./http/reply-headers.ts";
import { looksDifferent, makeJointRooms } from "./http/joint-rooms.ts";
import type { JointRoom } from "./http/joint-rooms.ts";
import { EVERYTHING_ENDPOINT } from "./http/paths.ts";
import { makeRooms } from "./http/rooms.ts";
import type { Room } from "./http/rooms.ts";
import { viewerOf } from "./http/viewer.ts";
import type { AuthorizationServer } from "./oauth/authorization-server.ts";
import { PublicUrls } from "./oauth/public-urls.ts";
import { IdlePatterns } from "./policy/idle-patterns.ts";
import type { Principal } from "./policy/principal.ts";
import type { Dialogue } from "./relay/dialogue.ts";
import { RequestLimits } from "./policy/limits.ts";
import { Parking } from "./relay/parking.ts";
import { Sessions } from "./relay/sessions.ts";
import type { Switchboard } from "./relay/switchboard.ts";
import { Kept } from "./store/kept.ts";
import { Sealer } from "./store/sealer.ts";
import type { SealingKeys } from "./store/sealing-key.ts";
import { AuditFile } from "./telemetry/audit.ts";
import type { Clock } from "./telemetry/clock.ts";
import type { Log } from "./telemetry/log.ts";
import { Meters } from "./telemetry/meters.ts";
import { settleWhenIdle } from "./telemetry/settle.ts";
import type { UpstreamStatus } from "./upstream/upstream.ts";
import { Watchdog } from "./upstream/watchdog.ts";

/** Ids of ended sessions and owners of tasks that are remembered: clients can make both in a loop. */
const MAX_ENDED = 200_000;
const MAX_TASKS = 10_000;
const SWEEP_MS = 10_000;
const LOGIN_SWEEP_MS = 60_000;
/** What is left of the time to drain for ending children and closing sockets. */
const STOPPING_MS = 2_000;
/** Children get so long to end, however short the time to drain is. */
const MIN_STOPPING_MS = 4_500;
/** Whatever is left so long before the end is killed: an operator's patience is not the servers' to use up. */
const KILLING_MS = 700;

export interface DaemonDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: () => number;
  readonly keys: SealingKeys;
  readonly version: string;
  /** A server with `panicIfInvalid` cannot be started. */
  readonly onPanic: (server: string, reason: string) => void;
}

/** Everything that runs for one configuration, and for the ones that follow it. */
export class Daemon {
  readonly #deps: DaemonDeps;
  readonly #sessions: Sessions;
  readonly #parking: Parking<Dialogue>;
  readonly #heartbeat: Heartbeat;
  readonly #watchdog: Watchdog;
  /** Ids of sessions that their clients have ended. */
  readonly #ended: Kept;
  readonly #tasks: Kept;
  readonly #replays: Replays;
  /** Users and API keys; their files are followed whether or not the configuration is. */
  readonly #directory: Directory;
  readonly #limits: RequestLimits;
  readonly #idlePatterns = new IdlePatterns();
  #audit: AuditFile | undefined;
  /** The open streams of HTTP+SSE; they live on when a reload replaces what serves them. */
  readonly #sseLines: SseLines = new Map();
  readonly #startedAt: number;
  readonly #meters = new Meters();
  /** Switchboards that a reload has replaced and whose calls in flight go on. */
  readonly #retiring = new Set<Promise<void>>();
  #config: Config;
  #rooms: ReadonlyMap<string, Room> = new Map();
  #joint: ReadonlyMap<string, JointRoom> = new Map();
  #login: AuthorizationServer | undefined;
  #door: Door | undefined;
  #listener: Listener | undefined;
  readonly #stopSweeps: (() => void)[] = [];
  #stopReaper: (() => void) | undefined;
  #draining = false;

  constructor(config: Config, deps: DaemonDeps) {
    const { clock, log, random, keys } = deps;
    this.#deps = deps;
    this.#config = config;
    this.#startedAt = clock.now();
    this.#watchdog = new Watchdog({ log: (message) => log.warn({}, message) });
    this.#heartbeat = new Heartbeat(clock);
    this.#directory = new Directory({ clock, log });
    this.#limits = new RequestLimits(config.limits);
    this.#parking = new Parking(new Sealer("request state", keys.keys), clock);
    const kept = { ttlMs: config.sessionMaxAgeMs, clock, log };
    this.#ended = new Kept({ ...kept, room: "ended sessions", max: MAX_ENDED });
    this.#tasks = new Kept({ ...kept, room: "tasks", max: MAX_TASKS });
    this.#sessions = new Sessions(new Sealer("session", keys.keys), clock, random, limitsOf(config), this.#ended);
    this.#replays = new Replays({ events: config.replayEvents, bytes: config.replayBytes });
  }

  /** Calls in flight. */
  get open(): number {
    let open = 0;
    for (const { endpoint } of this.#rooms.values()) open += endpoint.switchboard.open;
    return open;
  }

  /** Every server as it is now, in the order of the configuration. */
  get servers(): readonly { readonly config: ServerConfig; readonly status: UpstreamStatus }[] {
    return [...this.#rooms.values()].map(({ endpoint }) => ({
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
    this.#directory.configure(this.#config);
    this.#audit = this.#openAudit(this.#config);
    this.#login = await this.#openLogin(this.#config);
    await this.#keepIn(this.#login);
    this.#rooms = this.#makeRooms(this.#config, this.#login);
    this.#joint = this.#makeJoint(this.#config, this.#rooms, this.#login);
    this.#door = this.#makeDoor(this.#config, this.#rooms, this.#joint, this.#login);
    this.#listener = await this.#listen(this.#config);
    for (const { endpoint } of this.#rooms.values()) endpoint.switchboard.upstream.start();
    this.#lookAtPatterns(true);
    await this.#keepHouse();
    return { url: this.#listener.url };
  }

  /**
   * Serves one client over stdio instead of the network: no listener is opened, and the servers are connected when the
   * client says who it is. A single server is served as it is, several are served as one.
   * @param write takes one line for the client
   * @throws Error when there is no server
   */
  async startStdio(write: (line: string) => void): Promise<Stdio> {
    this.#rooms = this.#makeRooms(this.#config, undefined, this.#config.servers.size > 1);
    this.#joint = this.#makeJoint(this.#config, this.#rooms, undefined, true);
    const [only, another] = this.#rooms.values();
    const room = another === undefined ? only : this.#joint.get(EVERYTHING_ENDPOINT);
    if (room === undefined) throw new Error("there is no server to serve");
    await this.#keepHouse();
    return new Stdio({ endpoint: room.endpoint, sessions: this.#sessions, log: this.#deps.log, write });
  }

  /** Connects the servers and nothing else: nobody can call them. For a look at whether they would start. */
  async startServers(): Promise<void> {
    this.#rooms = this.#makeRooms(this.#config, undefined);
    for (const { endpoint } of this.#rooms.values()) endpoint.switchboard.upstream.start();
    await this.#keepHouse();
  }

  /**
   * Takes another configuration over: all of it is built first, then swapped; only what changed is touched, and calls
   * in flight finish.
   * @throws Error when its address cannot be used; then nothing has changed
   */
  async reload(config: Config): Promise<void> {
    if (this.#draining) return;
    const before = this.#config;
    const moved = !isDeepStrictEqual([config.listen, config.tls], [before.listen, before.tls]);
    const login = await this.#openLogin(config);
    const unopen = async (): Promise<void> => {
      if (login?.state !== this.#login?.state) await login?.close();
    };
    const listener = moved
      ? await this.#listen(config).catch(async (error: unknown) => {
          await unopen();
          throw error;
        })
      : this.#listener;
    if (this.#draining) {
      await unopen();
      return moved ? await listener?.close() : undefined;
    }
    const change = this.#directory.configure(config);
    const auditBefore = this.#audit;
    if (config.auditFile !== before.auditFile) this.#audit = this.#openAudit(config);
    this.#limits.replace(config.limits);
    const rooms = this.#makeRooms(config, login);
    const joint = this.#makeJoint(config, rooms, login);
    const replaced = this.#rooms;
    const jointBefore = this.#joint;
    const loginBefore = this.#login;
    this.#sessions.limit(limitsOf(config));
    this.#replays.limit({ events: config.replayEvents, bytes: config.replayBytes });
    this.#door = this.#makeDoor(config, rooms, joint, login);
    this.#config = config;
    this.#rooms = rooms;
    this.#joint = joint;
    this.#login = login;
    this.#meters.keep(new Set([...config.servers.values()].map((server) => server.displayName)));
    if (moved && this.#listener !== undefined) this.#leave(this.#listener);
    this.#listener = listener;
    await this.#replaceLogin(loginBefore, login);
    for (const [name, room] of rooms) this.#welcome(name, room, replaced.get(name));
    this.#rejoin(jointBefore);
    this.#accessChanged(change);
    if (auditBefore !== this.#audit) auditBefore?.close();
    for (const [name, { endpoint }] of replaced) {
      if (rooms.get(name)?.endpoint.switchboard !== endpoint.switchboard) this.#retire(name, endpoint.switchboard);
    }
  }

  /**
   * Refuses new work, lets calls in flight finish for as long as the configuration allows, then ends everything. No
   * process and no socket is left when it resolves.
   */
  async stop(): Promise<void> {
    this.#draining = true;
    for (const { endpoint } of this.#joint.values()) endpoint.finishListening();
    for (const { endpoint } of this.#rooms.values()) endpoint.switchboard.finishListening();
    const boards = [...this.#rooms.values()].map(({ endpoint }) => endpoint.switchboard);
    // Each by itself: a server whose calls are done need not wait for another one's.
    const patience = Math.max(0, this.#config.drainMs - STOPPING_MS);
    const ending = Promise.all([
      ...boards.map((board) => this.#within(board.quiet(), patience).then(() => board.stop())),
      ...this.#retiring,
    ]);
    await this.#within(ending, Math.max(this.#config.drainMs, MIN_STOPPING_MS) - KILLING_MS);
    const killed = this.#watchdog.killAll();
    if (killed > 0) this.#deps.log.warn({ killed }, "servers that did not end in time were killed");
    for (const stop of this.#stopSweeps) stop();
    this.#stopReaper?.();
    this.#sessions.close();
    this.#heartbeat.stop();
    await this.#listener?.close();
    await this.#watchdog.stop();
    await this.#keepIn(undefined);
    await this.#login?.close();
    this.#audit?.close();
  }

  /** What outlives the process is kept with the logins, where there are any. */
  async #keepIn(login: AuthorizationServer | undefined): Promise<void> {
    await this.#ended.in(login?.state.store);
    await this.#tasks.in(login?.state.store);
  }

  #openAudit({ auditFile }: Config): AuditFile | undefined {
    return auditFile === undefined ? undefined : new AuditFile(auditFile, this.#deps.clock, this.#deps.log);
  }

  /** The room of the login, with its pages and its state, is needed by few and would cost every start some time. */
  async #openLogin(config: Config): Promise<AuthorizationServer | undefined> {
    const { oauth } = config;
    if (oauth === undefined) return undefined;
    const { openAuthorizationServer } = await import("./oauth/open.ts");
    const { clock, log, keys } = this.#deps;
    return await openAuthorizationServer(this.#login, {
      config,
      oauth,
      keys: keys.keys,
      accounts: this.#directory.accounts,
      urls: this.#urlsOf(config),
      clock,
      log,
      meter: this.#meters.login,
      onEnd: (principal) => this.#expel(({ id }) => id === principal),
    });
  }

  /** After a reload: logins of users that are gone end, and state that nobody reads any more is closed. */
  async #replaceLogin(before: AuthorizationServer | undefined, now: AuthorizationServer | undefined): Promise<void> {
    await this.#keepIn(now);
    if (before !== undefined && before.state !== now?.state) await before.close();
    await now?.endForeignLogins();
  }

  #urlsOf(config: Config): PublicUrls {
    const chosen = config.listen.kind === "tcp" ? config.listen.port : 0;
    return new PublicUrls(config, () => Number(URL.parse(this.#listener?.url ?? "")?.port || chosen));
  }

  async #keepHouse(): Promise<void> {
    const { clock, log } = this.#deps;
    if (process.pid === 1 && process.platform === "linux") {
      const { startReaper } = await import("./upstream/reaper.ts");
      this.#stopReaper = startReaper(clock, log);
    }
    const sweep = clock.every(SWEEP_MS, () => {
      this.#sessions.sweep();
      for (const { endpoint } of this.#rooms.values()) endpoint.switchboard.sweep();
      this.#lookAtPatterns(false);
    });
    const loginSweep = clock.every(LOGIN_SWEEP_MS, () => {
      this.#login
        ?.sweep()
        .catch((error: unknown) => log.error({ error: String(error) }, "old logins were not removed"));
    });
    this.#stopSweeps.push(
      this.#directory.watch((change) => this.#accessChanged(change)),
      sweep,
      loginSweep,
      settleWhenIdle(clock, () => this.open === 0),
    );
  }

  #makeRooms(config: Config, login: AuthorizationServer | undefined, own = false): Map<string, Room> {
    const { clock, random, log } = this.#deps;
    const running = this.#listener !== undefined;
    // What a reload brings must not end what runs.
    const onPanic = (server: string, reason: string): void =>
      running
        ? log.error({ server }, `${reason} (panicIfInvalid counts at the start only)`)
        : this.#deps.onPanic(server, reason);
    return makeRooms(config, this.#rooms, this.#config, {
      access: login?.access,
      keys: this.#directory.keys,
      audit: this.#audit,
      limits: this.#limits,
      clock,
      random,
      log,
      own,
      onPanic,
      meters: this.#meters,
      watchdog: this.#watchdog,
      parking: this.#parking,
      tasks: this.#tasks,
    });
  }

  #makeJoint(
    config: Config,
    rooms: ReadonlyMap<string, Room>,
    login: AuthorizationServer | undefined,
    own = false,
  ): Map<string, JointRoom> {
    const { clock, log } = this.#deps;
    return makeJointRooms(config, rooms, this.#joint, {
      access: login?.access,
      keys: this.#directory.keys,
      audit: this.#audit,
      limits: this.#limits,
      clock,
      log,
      own,
      parking: this.#parking,
      sessionsOf: (endpoint) => this.#sessions.of(endpoint),
    });
  }

  /** After a reload: URLs of several servers take their new ones over. */
  #rejoin(before: ReadonlyMap<string, JointRoom>): void {
    for (const [name, { endpoint, gate, plan }] of this.#joint) {
      const old = before.get(name);
      if (old === undefined) continue;
      this.#sessions.drop(name, (session) => !gate.knows(session.principal));
      endpoint.replace(plan, looksDifferent(plan, old.plan));
    }
    for (const [name, { endpoint }] of before) {
      if (this.#joint.has(name)) continue;
      this.#sessions.drop(name);
      endpoint.close();
    }
  }

  #listen(config: Config): Promise<Listener> {
    return openListener(
      config,
      (request, peers) => this.#door?.handle(request, peers) ?? new Response(null, { status: 503 }),
      this.#deps.log,
    );
  }

  /** After a reload: starts what is new, and tells sessions of what may have changed for them. */
  #welcome(name: string, { endpoint, gate }: Room, before: Room | undefined): void {
    const { switchboard } = endpoint;
    if (before === undefined) return switchboard.upstream.start();
    // Who is not let in any more hears nothing any more either, on whatever streams he has.
    this.#sessions.drop(name, (session) => !gate.knows(session.principal));
    if (before.endpoint.switchboard !== switchboard) {
      switchboard.upstream.start();
      void switchboard.comesUp().then((up) => {
        if (up) for (const session of this.#sessions.of(name)) endpoint.restored(session);
      });
    } else if (!isDeepStrictEqual(endpoint.config.toolFilter, before.endpoint.config.toolFilter)) {
      for (const session of this.#sessions.of(name)) session.listChanged(["tools"]);
    }
  }

  /** Users or keys are other than before: who is gone is out at once, whose rights have changed is told to look again. */
  #accessChanged(change: AccessChange): void {
    this.#lookAtPatterns(true);
    this.#login
      ?.endForeignLogins()
      .catch((error: unknown) => this.#deps.log.error({ error: String(error) }, "logins could not be ended"));
    const users = new Set(change.users);
    const keys = new Set(change.keys);
    const affected = ({ user, id }: Principal): boolean => keys.has(id) || (user !== undefined && users.has(user));
    // Whoever is known nowhere any more; what a single endpoint lets in is settled when its configuration changes.
    this.#expel((principal) => !this.#directory.knows(principal));
    for (const [name, { endpoint }] of this.#rooms) {
      for (const session of this.#sessions.of(name)) if (affected(session.principal)) endpoint.restored(session);
      endpoint.switchboard.rightsChanged(affected);
    }
    for (const { endpoint } of this.#joint.values())
      endpoint.accessChanged((principal) => this.#directory.knows(principal), affected);
  }

  /** Says which patterns of users and keys fit nothing. @param changed they are others than before */
  #lookAtPatterns(changed: boolean): void {
    const ofGroups = [...this.#config.groups.values()].flatMap(({ tools = [] }) => tools);
    if (changed) this.#idlePatterns.expect([...this.#directory.patterns, ...ofGroups]);
    const servers = [...this.#rooms].map(([name, { endpoint }]) => {
      return { name, tools: endpoint.switchboard.upstream.catalogue?.tools };
    });
    for (const text of this.#idlePatterns.look(servers)) this.#deps.log.warn({}, text);
  }

  /** Ends all that somebody has open: sessions, streams, calls in flight. */
  #expel(which: (principal: Principal) => boolean): void {
    this.#sessions.endAll(which);
    for (const line of [...this.#sseLines.values()]) if (which(line.principal)) line.stream.end();
    for (const { endpoint } of this.#rooms.values()) endpoint.switchboard.expel(which);
    for (const { endpoint } of this.#joint.values()) endpoint.accessChanged((principal) => !which(principal));
  }

  /** Leaves an address: nobody gets in there any more, but calls that came in by it are answered. */
  #leave(listener: Listener): void {
    const boards = [...this.#rooms.values()].map(({ endpoint }) => endpoint.switchboard);
    const quiet = Promise.all(boards.map((board) => board.quiet()));
    const leaving = listener.close(this.#within(quiet, this.#config.drainMs));
    this.#retiring.add(leaving);
    void leaving.then(() => this.#retiring.delete(leaving));
  }

  /** Ends a server that is gone or has changed, after its calls in flight. Sessions of one that has changed go on. */
  #retire(name: string, switchboard: Switchboard): void {
    const retirement = this.#within(switchboard.quiet(), this.#config.drainMs).then(async () => {
      await switchboard.stop();
      if (!this.#rooms.has(name)) this.#sessions.drop(name);
    });
    this.#retiring.add(retirement);
    void retirement.then(() => this.#retiring.delete(retirement));
  }

  async #within(work: Promise<unknown>, ms: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = this.#deps.clock.after(ms, late.resolve);
    await Promise.race([work, late.promise]);
    cancel();
  }

  #makeDoor(
    config: Config,
    rooms: ReadonlyMap<string, Room>,
    joint: ReadonlyMap<string, JointRoom>,
    login: AuthorizationServer | undefined,
  ): Door {
    const { log, clock, version } = this.#deps;
    const hosts = new HostRule(config);
    const paths = new PathTable(config);
    const { stateless, maxRequestBytes, pathPrefix } = config;
    const common = { sessions: this.#sessions, clock, log, draining: () => this.#draining };
    const ends = { ...common, heartbeat: this.#heartbeat, stateless, maxRequestBytes };
    const urls = this.#urlsOf(config);
    const explain = endpointExplainer({ config, rooms, paths, urls });
    return new Door({
      origins: new OriginRule(config),
      hosts,
      plain: plainReplyHeaders(),
      metadataUrl: (request) => {
        const local = paths.local(pathOf(request.url));
        if (local === undefined) return undefined;
        // Where clients of a stream post is no resource of its own: it belongs to the stream.
        const posted = paths.find(pathOf(request.url))?.kind === "message";
        const resource = posted ? local.replace(/\/messages?$/, "/sse") : local;
        return urls.resourceMetadata(request.headers.get("host"), resource);
      },
      exposed: config.exposeHeaders ?? [],
      paths,
      rooms: new Map<string, Guarded>([...rooms, ...joint]),
      log,
      explain,
      streamableHttp: new StreamableHttp({ ...ends, replays: this.#replays }),
      httpSse: new HttpSse({ ...ends, lines: this.#sseLines }),
      pages: createPages({
        ...common,
        config,
        urls,
        explain,
        hosts,
        paths,
        rooms,
        version,
        pathPrefix,
        login,
        addresses: new ClientAddress(config),
        startedAt: this.#startedAt,
        meters: this.#meters,
        viewer: (request, peers, visit) => viewerOf(request, peers, rooms, visit),
      }),
    });
  }
}

function limitsOf(config: Config): { idleMs: number; maxAgeMs: number } {
  return { idleMs: config.sessionIdleMs, maxAgeMs: config.sessionMaxAgeMs };
}
