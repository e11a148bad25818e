import type { ServerConfig } from "../config/config.ts";
import { answersQuestions } from "../protocol/capabilities.ts";
import type { Message } from "../protocol/message.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Outcome, ServerMeter } from "../telemetry/meters.ts";
import type { Connection, ConnectionListener } from "../upstream/connection.ts";
import { readTools } from "../upstream/catalogue.ts";
import type { ListKind } from "../upstream/catalogue.ts";
import { Fault } from "../upstream/fault.ts";
import type { Introduction } from "../upstream/greeting.ts";
import { Upstream } from "../upstream/upstream.ts";
import type { Need, UpstreamDeps, UpstreamListener } from "../upstream/upstream.ts";
import { canonical } from "../protocol/eras/canonical.ts";
import { legacyParams, withParams } from "../protocol/eras/envelope.ts";
import type { Dialogue } from "./dialogue.ts";
import type { Principal } from "../policy/principal.ts";
import type { Caller, Client, Local, Reply } from "./ends.ts";
import { Exchange } from "./exchange.ts";
import type { ExchangeHooks } from "./exchange.ts";
import { Line } from "./line.ts";
import type { Description, LineOwner } from "./line.ts";
import { KeptOwners } from "./tasks.ts";
import type { Kept } from "../store/kept.ts";
import { carriedHeaders, leasedDeclaration, localDeclaration, ownDeclaration, ownerOf, sharedNeed } from "./need.ts";
import type { Carried, Identity } from "./need.ts";
import type { Session } from "./session.ts";

/** Keys of connections beside one on which a call of somebody else waits for its client. */
const BESIDE = "beside";
/** How long a connection made for a user or a header's value is kept warm for the next session, or the next request. */
const GRACE_MS = 60_000;

/** For whom a connection is made that is not shared and not a session's. */
interface Alone {
  readonly leased: Dialogue | undefined;
  readonly local: Local | undefined;
}

/** One request to be relayed, and where its answer goes. */
export interface Call {
  readonly message: Message;
  readonly caller: Caller;
  readonly session: Session | undefined;
  readonly reply: Reply;
  readonly dialogue?: Dialogue | undefined;
  readonly hooks?: ExchangeHooks;
}

/** Brings the requests of clients to the right connection of one upstream, and keeps the lines to it. */
export class Switchboard implements UpstreamListener, LineOwner {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly #tasks: Kept | undefined;
  readonly meter: ServerMeter;
  readonly #identity: Identity;
  readonly #log: Log;
  readonly #lines = new Map<string, Line>();
  readonly #shared: Line;
  readonly #takesHeaders: boolean;
  /** Whether callers can have connections that differ at all; where not, there is nothing to find out per request. */
  readonly #always: Line | undefined;
  /** The line each session used last: a header that changes moves it to another one. */
  readonly #latest = new WeakMap<Session, Line>();
  readonly #leases = new Set<string>();
  readonly #watchers = new Set<(changed: readonly ListKind[]) => void>();
  /** The connection of the stateless client that has the proxy for itself: as long as there is no end to its input. */
  #kept: string | undefined;
  #hasAsked = false;
  #inFlight = 0;
  #quiet: (() => void)[] = [];
  #requests = 0;
  #lastActivity: number | undefined;

  /** @param tasks remembers whose tasks are whose */
  constructor(config: ServerConfig, identity: Identity, deps: UpstreamDeps, tasks?: Kept) {
    // The tasks of a child end with it, and the child with the proxy.
    this.#tasks = config.target.kind === "stdio" ? undefined : tasks;
    const need = sharedNeed(config, identity);
    this.clock = deps.clock;
    this.meter = deps.meter;
    this.#log = deps.log;
    this.#identity = identity;
    this.upstream = new Upstream(config, need, this, deps);
    this.#shared = new Line(need, undefined, this);
    this.#lines.set("", this.#shared);
    const { target } = config;
    this.#takesHeaders = target.kind === "stdio" ? target.headerToEnv.size > 0 : target.forwardHeaders.length > 0;
    this.#always = config.isolation === "shared" && !this.#takesHeaders ? this.#shared : undefined;
  }

  keptOwners(key: string): KeptOwners | undefined {
    return this.#tasks === undefined ? undefined : new KeptOwners(this.#tasks, [this.config.name, key]);
  }

  get config(): ServerConfig {
    return this.upstream.config;
  }

  get name(): string {
    return this.upstream.config.name;
  }

  /** Requests of clients relayed so far. */
  get requests(): number {
    return this.#requests;
  }

  /** When the last request was relayed, in milliseconds since the epoch. */
  get lastActivity(): number | undefined {
    return this.#lastActivity;
  }

  /** Whether a new session gets a child of its own in `auto` isolation: once the server is known to ask questions. */
  givesOwnChild(client: Client): boolean {
    return this.config.target.kind === "stdio" && this.#hasAsked && answersQuestions(client.capabilities);
  }

  /** Relays a request; whatever happens, the reply hears of it. */
  relay(call: Call): Exchange {
    this.#requests++;
    this.#lastActivity = this.clock.now();
    const line = this.#lineFor(call.caller, call.session, call.dialogue);
    const client = { caller: call.caller, session: call.session, dialogue: call.dialogue, reply: call.reply };
    return this.#open(new Exchange(line, call.message, client, call.hooks), line);
  }

  /** Passes a client's notification on, over a connection made for it where there is none yet. */
  send(text: string, caller: Caller, session: Session): void {
    const line = this.#lineFor(caller, session);
    const connection = this.upstream.current(line.key);
    if (connection !== undefined) return connection.send(text);
    // In the order of asking, so requests that follow do not overtake it. A failure is logged where it happens.
    this.upstream.acquire(line.need).then(
      (made) => made.send(text),
      () => undefined,
    );
  }

  /** Passes a stateless client's notification on. */
  sendStateless(message: Message, caller: Caller): void {
    this.reach(caller).then(
      ({ connection }) => {
        const params = message.params === undefined ? undefined : message.slice(message.params);
        const plain = connection.era === "legacy" && params !== undefined;
        connection.send(plain ? withParams(message, legacyParams(params)).text : message.text);
      },
      () => undefined,
    );
  }

  /** Makes sure that a session has its connection, for what the server says outside requests. */
  connect(session: Session, caller: Caller): void {
    const line = this.#lineFor(caller, session);
    // A failure is told to the next request, and logged where it happens.
    if (this.upstream.current(line.key) === undefined) this.upstream.acquire(line.need).catch(() => undefined);
  }

  /**
   * What the server says of itself, for the answer to `initialize`.
   * @throws Fault
   */
  async introduce(session: Session, caller: Caller): Promise<Introduction> {
    const { isolation, target } = this.config;
    // An own connection over HTTP is made when the client really needs it: many never come back after `initialize`.
    // Where one was asked for in so many words, the server is to see this client from the first message on.
    const lazy = target.kind !== "stdio" && isolation !== "user" && isolation !== "session";
    const line = this.#lineFor(caller, lazy ? undefined : session);
    const known = this.upstream.current(line.key);
    if (known !== undefined) return known.introduction;
    try {
      return (await this.upstream.acquire(line.need)).introduction;
    } catch (error) {
      if (!this.#sharesInstead(error, session)) throw error;
      return await this.introduce(session, caller);
    }
  }

  /** Whether the server has a tool for this caller. The catalogue is asked first, then the server itself. */
  offers(tool: string, caller: Caller, session: Session | undefined): boolean | Promise<boolean> {
    const { catalogue } = this.upstream;
    if (catalogue === undefined || catalogue.tools.has(tool)) return true;
    const connection = this.upstream.current(this.#lineFor(caller, session).key);
    // A server that is not there answers for itself, with the reason.
    if (connection === undefined) return true;
    return readTools(connection).then(
      (tools) => tools.includes(tool),
      () => true,
    );
  }

  /** The connection a caller without a session uses, made if it is not there. @throws Fault */
  async reach(caller: Caller): Promise<{ connection: Connection; line: Line }> {
    const line = this.#lineFor(caller, undefined, undefined, true);
    return { connection: await this.upstream.acquire(line.need), line };
  }

  /** The line of a session, with its connection. @throws Fault */
  async lineReady(session: Session, caller: Caller): Promise<Line> {
    const line = this.#lineFor(caller, session);
    await this.upstream.acquire(line.need);
    return line;
  }

  explain(error: unknown, caller: Caller): Description {
    return this.describe(asFault(error), caller);
  }

  /** Ends the streams of all modern clients that listen. */
  finishListening(): void {
    for (const line of this.#lines.values()) line.finishListening();
  }

  /** Ends what some have open who are not let in any more: streams of modern clients, and calls in flight. */
  expel(which: (principal: Principal) => boolean): void {
    for (const line of this.#lines.values()) line.expel(which);
  }

  /** Modern clients that listen are told to look at their lists again. */
  rightsChanged(affected: (principal: Principal) => boolean): void {
    for (const line of this.#lines.values()) line.rightsChanged(affected);
  }

  get differs(): boolean {
    return this.#takesHeaders || this.config.isolation === "user" || this.config.isolation === "session";
  }

  /** The line that what this caller sends goes to. */
  lineOf(session: Session | undefined, caller: Caller): Line {
    return this.#lineFor(caller, session);
  }

  attach(connection: Connection, key: string): ConnectionListener {
    // A line that was given up while its connection was being made has nobody to listen.
    return this.#lines.get(key)?.attach(connection) ?? { outside: () => {}, closed: () => {}, noise: () => {} };
  }

  ready(connection: Connection, key: string, again: boolean): void {
    this.#lines.get(key)?.ready(connection, again);
  }

  learned(changed: readonly ListKind[]): void {
    for (const hear of this.#watchers) hear(changed);
  }

  /** Hears which lists are not as they were, whenever the catalogue was read. @returns ends that */
  watch(hear: (changed: readonly ListKind[]) => void): () => void {
    this.#watchers.add(hear);
    return () => this.#watchers.delete(hear);
  }

  listsMissed(line: Line): void {
    this.upstream.toolHeaders.forget();
    if (line === this.#shared) this.upstream.listsMissed();
  }

  /**
   * The key of the connection that calls of this caller use, and whether it is there or must be because nobody else's
   * can stand for it: it carries headers of this caller.
   */
  connectionOf(caller: Caller, session: Session | undefined): { key: string; ready: boolean; carries: boolean } {
    const { key, carried } = this.#keyOf(caller, session, undefined);
    return { key, ready: this.upstream.current(key) !== undefined, carries: carried !== undefined };
  }

  asked(): void {
    this.#hasAsked = true;
  }

  began(): void {
    this.#inFlight++;
  }

  over(): void {
    if (--this.#inFlight > 0) return;
    for (const resolve of this.#quiet.splice(0)) resolve();
  }

  done(outcome: Outcome, startedAt: number): void {
    this.meter.done(outcome, this.clock.now() - startedAt);
  }

  /** Exchanges in flight. */
  get open(): number {
    return this.#inFlight;
  }

  /** Waits for the shared connection; false when it did not come up. */
  comesUp(): Promise<boolean> {
    return this.upstream.acquire(this.#shared.need).then(
      () => true,
      () => false,
    );
  }

  /** Resolves when no exchange is in flight. */
  quiet(): Promise<void> {
    return this.#inFlight === 0 ? Promise.resolve() : new Promise((resolve) => this.#quiet.push(resolve));
  }

  retry(exchange: Exchange, lost: Connection, fault: Fault): void {
    const line = this.#lineFor(exchange.caller, exchange.session, exchange.dialogue);
    if (fault.code === "upstream.session_lost") this.upstream.replace(line.key, lost);
    this.#acquire(exchange, line);
  }

  describe(fault: Fault, caller: Caller): Description {
    const detail = caller.trusted && fault.detail !== undefined ? { detail: fault.detail } : {};
    return {
      message: `${this.config.displayName}: ${fault.message}`,
      data: { code: fault.code, ...detail },
    };
  }

  abandoned(line: Line): void {
    if (line.exclusive !== undefined) this.#release(line);
  }

  /** Ends the upstream; sessions that were on its lines live on without them. */
  async stop(): Promise<void> {
    this.finishListening();
    for (const line of this.#lines.values()) line.dismiss();
    await this.upstream.stop();
  }

  /** Ends connections that were made for somebody and that nobody has used for a while. */
  sweep(): void {
    this.#releaseIdle(this.clock.now() - GRACE_MS);
  }

  #makeRoom(): void {
    this.#releaseIdle(this.clock.now());
    if (!this.upstream.atCapacity) return;
    // A session whose header has changed is still on the line of its old value.
    for (const line of this.#lines.values()) {
      if (line !== this.#shared && line.leftBehind((session) => this.#latest.get(session) !== line)) {
        line.dismiss();
        return this.#release(line);
      }
    }
    // The one that nobody is on was started for the catalogue, which is known by now.
    if (this.#shared.idle && this.#sharesNothing) void this.upstream.rest();
  }

  /** Whether nobody is ever put on the shared connection: it is there for the catalogue alone. */
  get #sharesNothing(): boolean {
    const { isolation } = this.config;
    return this.#takesHeaders || isolation === "session" || isolation === "user";
  }

  #releaseIdle(unusedSince: number): void {
    for (const line of this.#lines.values()) {
      if (line.key !== "" && line.key !== this.#kept && line.idle && line.lastUsed <= unusedSince) this.#release(line);
    }
  }

  #release(line: Line): void {
    this.#log.debug({ server: this.config.displayName }, "a connection that nobody uses is closed");
    this.#lines.delete(line.key);
    this.upstream.release(line.key);
  }

  #open(exchange: Exchange, line: Line): Exchange {
    const connection = this.upstream.current(line.key);
    if (connection === undefined) this.#acquire(exchange, line);
    else exchange.start(connection, line);
    return exchange;
  }

  #acquire(exchange: Exchange, line: Line): void {
    this.upstream.acquire(line.need).then(
      (connection) => {
        if (!exchange.over) exchange.start(connection, line);
      },
      (error: unknown) => {
        const { dialogue } = exchange;
        if (dialogue !== undefined && line.key.startsWith(BESIDE) && asFault(error).code === "upstream.at_capacity") {
          // It runs, and cannot be asked: a question could be for the one who waits there.
          dialogue.mute = true;
          return this.#acquire(exchange, this.#shared);
        }
        if (this.#sharesInstead(error, exchange.session)) return this.#acquire(exchange, this.#shared);
        exchange.fail(asFault(error), 503);
      },
    );
  }

  /** At the cap of processes `auto` falls back to the shared child, which cannot ask questions then. */
  #sharesInstead(error: unknown, session: Session | undefined): boolean {
    if (session?.ownChild !== true || asFault(error).code !== "upstream.at_capacity") return false;
    session.ownChild = false;
    return true;
  }

  /** @param quiet nothing will be sent there by which a server could come to ask a client */
  #lineFor(caller: Caller, session: Session | undefined, dialogue?: Dialogue, quiet = false): Line {
    if (this.#always !== undefined && (quiet || !this.#always.waitsForAnother(caller))) {
      session?.join(this.#always);
      return this.#always;
    }
    const { owner, carried, leased, key: ordinary } = this.#keyOf(caller, session, dialogue);
    if (session === undefined && caller.local !== undefined) this.#kept = owner.key;
    let key = ordinary;
    let line = this.#lines.get(key);
    if (!quiet && line?.exclusive === undefined && line?.waitsForAnother(caller) === true) {
      key = `${BESIDE} ${caller.principal.id} ${key}`;
      line = this.#lines.get(key);
    }
    if (line === undefined) {
      // A process that is only kept warm must not cost somebody else his place.
      if (this.upstream.atCapacity) this.#makeRoom();
      line = this.#makeLine(key, owner.exclusive ? session : undefined, carried, {
        leased,
        local: session === undefined && owner.key !== "" ? caller.local : undefined,
      });
      this.#lines.set(key, line);
    }
    if (session !== undefined && !key.startsWith(BESIDE)) {
      session.join(line);
      this.#latest.set(session, line);
    }
    return line;
  }

  #keyOf(
    caller: Caller,
    session: Session | undefined,
    dialogue: Dialogue | undefined,
  ): {
    readonly key: string;
    readonly owner: ReturnType<typeof ownerOf>;
    readonly carried: Carried | undefined;
    readonly leased: Dialogue | undefined;
  } {
    // A client that has the proxy for itself keeps one connection, and what its server remembers there.
    const leased = caller.local === undefined && this.config.isolation === "session" ? dialogue : undefined;
    const owner =
      leased === undefined ? ownerOf(this.config, caller, session) : { key: this.#leaseFor(leased), exclusive: false };
    const carried = this.#takesHeaders ? carriedHeaders(this.config, caller) : undefined;
    return { key: carried === undefined ? owner.key : `${owner.key} ${carried.key}`, owner, carried, leased };
  }

  /** A connection for one call, out of those that calls of the same principal with the same capabilities have used. */
  #leaseFor(dialogue: Dialogue): string {
    if (dialogue.lease !== undefined) return dialogue.lease;
    const pool = `lease ${dialogue.principal.id} ${canonical(JSON.stringify(dialogue.capabilities))}`;
    for (let n = 1; ; n++) {
      const key = `${pool} ${n}`;
      if (this.#leases.has(key)) continue;
      this.#leases.add(key);
      dialogue.lease = key;
      dialogue.onEnd(() => this.#leases.delete(key));
      return key;
    }
  }

  #makeLine(key: string, exclusive: Session | undefined, carried: Carried | undefined, alone: Alone): Line {
    const shared = sharedNeed(this.config, this.#identity);
    const need: Need = {
      key,
      declaration: this.#declaration(exclusive, alone) ?? shared.declaration,
      env: carried?.env ?? shared.env,
      headers: carried?.headers ?? shared.headers,
    };
    return new Line(need, exclusive, this);
  }

  #declaration(exclusive: Session | undefined, { leased, local }: Alone): Need["declaration"] | undefined {
    if (leased !== undefined) return leasedDeclaration(this.config, leased, this.#identity);
    if (local !== undefined) return localDeclaration(this.config, local, this.#identity);
    return exclusive === undefined ? undefined : ownDeclaration(this.config, exclusive);
  }
}

function asFault(error: unknown): Fault {
  return error instanceof Fault
    ? error
    : new Fault("upstream.protocol", "the proxy could not use this server", { detail: String(error) });
}
