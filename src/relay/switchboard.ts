import type { ServerConfig } from "../config/config.ts";
import { answersQuestions } from "../protocol/capabilities.ts";
import type { Message } from "../protocol/message.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Outcome, ServerMeter } from "../telemetry/meters.ts";
import type { Connection, ConnectionListener } from "../upstream/connection.ts";
import { readTools } from "../upstream/catalogue.ts";
import type { ListKind } from "../upstream/catalogue.ts";
import { Fault } from "../upstream/fault.ts";
import type { Introduction } from "../upstream/greeting.ts";
import { Upstream } from "../upstream/upstream.ts";
import type { UpstreamDeps, UpstreamListener } from "../upstream/upstream.ts";
import { legacyParams, withParams } from "../protocol/eras/envelope.ts";
import type { Dialogue } from "./dialogue.ts";
import type { Principal } from "../policy/principal.ts";
import type { Caller, Client, Reply } from "./ends.ts";
import { Exchange } from "./exchange.ts";
import type { ExchangeHooks } from "./exchange.ts";
import type { Description, Line, LineOwner } from "./line.ts";
import { Lines } from "./lines.ts";
import { KeptOwners } from "./tasks.ts";
import type { Kept } from "../store/kept.ts";
import { sharedNeed } from "./need.ts";
import type { Identity } from "./need.ts";
import type { Session } from "./session.ts";

/** One request to be relayed, and where its answer goes. */
export interface Call {
  readonly message: Message;
  readonly caller: Caller;
  readonly session: Session | undefined;
  readonly reply: Reply;
  readonly dialogue?: Dialogue | undefined;
  readonly hooks?: ExchangeHooks | undefined;
}

/** Brings the requests of clients to the right connection of one upstream. */
export class Switchboard implements UpstreamListener, LineOwner {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly #tasks: Kept | undefined;
  readonly meter: ServerMeter;
  readonly #lines: Lines;
  readonly #watchers = new Set<(changed: readonly ListKind[]) => void>();
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
    this.upstream = new Upstream(config, need, this, deps);
    this.#lines = new Lines(need, { upstream: this.upstream, identity, owner: this, log: deps.log });
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
    const line = this.#lines.of(call.caller, call.session, call.dialogue);
    return this.#open(new Exchange(line, call.message, call, call.hooks), line);
  }

  /** Passes a client's notification on, over a connection made for it where there is none yet. */
  send(text: string, caller: Caller, session: Session): void {
    const line = this.#lines.of(caller, session);
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
    const line = this.#lines.of(caller, session);
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
    const line = this.#lines.of(caller, lazy ? undefined : session);
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
    const connection = this.upstream.current(this.#lines.of(caller, session).key);
    // A server that is not there answers for itself, with the reason.
    if (connection === undefined) return true;
    return readTools(connection).then(
      (tools) => tools.includes(tool),
      () => true,
    );
  }

  /** The connection a caller without a session uses, made if it is not there. @throws Fault */
  async reach(caller: Caller): Promise<{ connection: Connection; line: Line }> {
    const line = this.#lines.of(caller, undefined, undefined, true);
    return { connection: await this.upstream.acquire(line.need), line };
  }

  /** The line of a session, with its connection. @throws Fault */
  async lineReady(session: Session, caller: Caller): Promise<Line> {
    const line = this.#lines.of(caller, session);
    await this.upstream.acquire(line.need);
    return line;
  }

  explain(error: unknown, caller: Caller): Description {
    return this.describe(asFault(error), caller);
  }

  /** Ends the streams of all modern clients that listen. */
  finishListening(): void {
    for (const line of this.#lines.all) line.finishListening();
  }

  /** Ends what some have open who are not let in any more: streams of modern clients, and calls in flight. */
  expel(which: (principal: Principal) => boolean): void {
    for (const line of this.#lines.all) line.expel(which);
  }

  /** Modern clients that listen are told to look at their lists again. */
  rightsChanged(affected: (principal: Principal) => boolean): void {
    for (const line of this.#lines.all) line.rightsChanged(affected);
  }

  get differs(): boolean {
    return this.#lines.differ;
  }

  /** The line that what this caller sends goes to. */
  lineOf(session: Session | undefined, caller: Caller): Line {
    return this.#lines.of(caller, session);
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
    if (line === this.#lines.shared) this.upstream.listsMissed();
  }

  /**
   * The key of the connection that calls of this caller use, and whether it is there or must be because nobody else's
   * can stand for it: it carries headers of this caller.
   */
  connectionOf(caller: Caller, session: Session | undefined): { key: string; ready: boolean; carries: boolean } {
    return this.#lines.connectionOf(caller, session);
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
    return this.upstream.acquire(this.#lines.shared.need).then(
      () => true,
      () => false,
    );
  }

  /** Resolves when no exchange is in flight. */
  quiet(): Promise<void> {
    return this.#inFlight === 0 ? Promise.resolve() : new Promise((resolve) => this.#quiet.push(resolve));
  }

  retry(exchange: Exchange, lost: Connection, fault: Fault): void {
    const line = this.#lines.of(exchange.caller, exchange.session, exchange.dialogue);
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
    this.#lines.abandoned(line);
  }

  /** Ends the upstream; sessions that were on its lines live on without them. */
  async stop(): Promise<void> {
    this.finishListening();
    for (const line of this.#lines.all) line.dismiss();
    await this.upstream.stop();
  }

  /** Ends connections that were made for somebody and that nobody has used for a while. */
  sweep(): void {
    this.#lines.sweep();
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
        if (dialogue !== undefined && Lines.isBeside(line) && asFault(error).code === "upstream.at_capacity") {
          // It runs, and cannot be asked: a question could be for the one who waits there.
          dialogue.mute = true;
          return this.#acquire(exchange, this.#lines.shared);
        }
        if (this.#sharesInstead(error, exchange.session)) return this.#acquire(exchange, this.#lines.shared);
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
}

function asFault(error: unknown): Fault {
  return error instanceof Fault
    ? error
    : new Fault("upstream.protocol", "the proxy could not use this server", { detail: String(error) });
}
