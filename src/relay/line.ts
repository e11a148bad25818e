import type { Capabilities } from "../protocol/eras/envelope.ts";
import { Meta } from "../protocol/eras/names.ts";
import { removeKeys } from "../protocol/eras/object-text.ts";
import { DEFAULT_RANK, levelName, levelRank } from "../protocol/log-levels.ts";
import type { Principal } from "../policy/principal.ts";
import { mayHear } from "../policy/rights.ts";
import type { Message } from "../protocol/message.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Outcome } from "../telemetry/meters.ts";
import type { Connection, ConnectionListener } from "../upstream/connection.ts";
import type { Fault } from "../upstream/fault.ts";
import type { Need } from "../upstream/upstream.ts";
import { InFlight } from "../store/in-flight.ts";
import { Addressee } from "./addressee.ts";
import type { Dialogue } from "./dialogue.ts";
import type { Caller } from "./ends.ts";
import type { Exchange } from "./exchange.ts";
import { Hearing } from "./hearing.ts";
import type { Listening } from "./listening.ts";
import { Questions } from "./questions.ts";
import type { Session } from "./session.ts";
import type { Subscriber, Subscriptions } from "./subscriptions.ts";
import { Tasks, relatedTask } from "./tasks.ts";
import type { KeptOwners } from "./tasks.ts";

/** What a line needs from the switchboard it belongs to. */
export interface LineOwner {
  readonly clock: Clock;
  /** Name of the server. */
  readonly name: string;
  /** Whether answers differ per caller, so that none may be kept for others. */
  readonly differs: boolean;
  /** Lists may have changed while nobody could tell. */
  listsMissed(line: Line): void;
  /** A server asked its client something; `auto` isolation remembers. */
  asked(): void;
  retry(exchange: Exchange, lost: Connection, fault: Fault): void;
  describe(fault: Fault, caller: Caller): Description;
  /** Nobody uses the line any more. */
  abandoned(line: Line): void;
  /** Where the owners of the tasks of one connection are kept, if anywhere. */
  keptOwners(key: string): KeptOwners | undefined;
  /** An exchange began, or ended. */
  began(): void;
  over(): void;
  /** @param startedAt when it began, in milliseconds since the epoch */
  done(outcome: Outcome, startedAt: number): void;
}

/** A fault in words for one caller. */
export interface Description {
  readonly message: string;
  readonly data: object;
}

/**
 * What the relay keeps about one connection of an upstream, across its restarts: who is on it, what is open, and whom
 * each thing the server says is for.
 */
export class Line {
  readonly need: Need;
  /** The session that has this line for itself. */
  readonly exclusive: Session | undefined;
  readonly tasks: Tasks;
  readonly #owner: LineOwner;
  readonly #sessions = new Set<Session>();
  readonly #exchanges = new InFlight<Exchange, Exchange>();
  /** Those of them whose clients are told to come back: every request looks through these, and not through all. */
  readonly #parked = new Set<Exchange>();
  readonly #addressee: Addressee;
  readonly #questions = new Questions();
  readonly #hearing: Hearing;
  /** Rank of the level that calls of modern clients made the server talk at, -1 while none did. */
  #raised = -1;
  #connection: Connection | undefined;
  #lastUsed: number;

  constructor(need: Need, exclusive: Session | undefined, owner: LineOwner) {
    this.need = need;
    this.exclusive = exclusive;
    this.#owner = owner;
    this.#lastUsed = owner.clock.now();
    this.tasks = new Tasks(exclusive === undefined ? owner.keptOwners(need.key) : undefined);
    const present = { exclusive, sessions: this.#sessions, exchanges: this.#exchanges, tasks: this.tasks };
    this.#addressee = new Addressee(present, owner.clock);
    this.#hearing = new Hearing({
      clock: owner.clock,
      exclusive,
      sessions: this.#sessions,
      heard: (message) => this.notification(message, undefined),
      missed: () => owner.listsMissed(this),
    });
  }

  get subscriptions(): Subscriptions {
    return this.#hearing.subscriptions;
  }

  get key(): string {
    return this.need.key;
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  get idle(): boolean {
    return this.#sessions.size === 0 && this.#exchanges.size === 0 && this.#hearing.listening.size === 0;
  }

  /** Whether all its sessions have moved on, and left nothing open here. */
  leftBehind(movedOn: (session: Session) => boolean): boolean {
    if (this.#exchanges.size > 0 || this.#questions.open || this.subscriptions.uris().length > 0) return false;
    return this.#sessions.size > 0 && [...this.#sessions].every(movedOn);
  }

  get lastUsed(): number {
    return this.#lastUsed;
  }

  attach(connection: Connection): ConnectionListener {
    this.#connection = connection;
    return {
      outside: (message) => this.#outside(message, connection),
      closed: () => this.#closed(connection),
      noise: () => undefined,
    };
  }

  /** The connection has said hello: renews what the sessions had asked of the one before. */
  ready(connection: Connection, again: boolean): void {
    this.#hearing.opened(connection);
    if (!again) return;
    if (connection.era === "modern") return this.#hearing.listsChanged(connection);
    const rank = this.#mostVerbose();
    // A server that is new to these is no worse off when it refuses one: nothing waits for the answer.
    if (rank !== -1) connection.call("logging/setLevel", { level: levelName(rank) }).catch(() => undefined);
    for (const uri of this.subscriptions.uris()) connection.call("resources/subscribe", { uri }).catch(() => undefined);
    this.#hearing.listsChanged(connection);
  }

  /** A modern client listens; a stateless server tells it itself. */
  listens(listening: Listening): void {
    this.#hearing.listening.add(listening);
  }

  unlistens(listening: Listening): void {
    if (!this.#hearing.listening.delete(listening)) return;
    this.#hearing.gone(listening);
    this.#lastUsed = this.#owner.clock.now();
  }

  /** Ends the streams of all who listen, with their answers. */
  finishListening(): void {
    for (const listening of [...this.#hearing.listening]) listening.finish();
  }

  /** Ends what some have open who are not let in any more. */
  expel(which: (principal: Principal) => boolean): void {
    for (const listening of [...this.#hearing.listening]) if (which(listening.principal)) listening.finish();
    for (const exchange of [...this.#exchanges]) {
      if (which(exchange.caller.principal)) exchange.cancel("the caller is not let in any more");
    }
  }

  /** What some may use has changed: those of them that listen look at their lists again. */
  rightsChanged(affected: (principal: Principal) => boolean): void {
    // Each hears of what it has agreed on, whether or not the server is there at the moment.
    const kinds = ["tools", "prompts", "resources"];
    for (const listening of this.#hearing.listening) if (affected(listening.principal)) listening.listChanged(kinds);
  }

  /** Whether a stateless server agrees to tell of a resource that was just added; undefined for other servers. */
  covers(uri: string): Promise<boolean> | undefined {
    return this.#hearing.covers(uri);
  }

  /** A resource is nobody's any more. @returns whether that was said to a stateless server */
  uncovers(): boolean {
    return this.#hearing.uncovers();
  }

  join(session: Session): void {
    this.#sessions.add(session);
    if (session.hasStream) this.streamsChanged();
  }

  leave(session: Session): void {
    this.#sessions.delete(session);
    this.#hearing.gone(session);
    this.#lastUsed = this.#owner.clock.now();
    if (this.idle) this.#owner.abandoned(this);
    else this.streamsChanged();
  }

  /** Lets go of all sessions, without a word to the server. */
  dismiss(): void {
    for (const session of this.#sessions) session.part(this);
    this.#sessions.clear();
  }

  /** A session opened its first stream or closed its last one. */
  streamsChanged(): void {
    this.#hearing.update();
  }

  get clock(): Clock {
    return this.#owner.clock;
  }

  /** Whether a call of another principal waits for its client here: what is asked then could be for either. */
  waitsForAnother(caller: Caller): boolean {
    for (const parked of this.#parked) if (parked.caller.principal.id !== caller.principal.id) return true;
    return false;
  }

  /** Whether a call uses this line now. */
  get busy(): boolean {
    return this.#exchanges.size > 0 || this.#hearing.listening.size > 0;
  }

  /** What has to be done before an exchange is sent; undefined when nothing. */
  prepare(exchange: Exchange): Promise<unknown> | undefined {
    const connection = this.#connection;
    const level = exchange.dialogue?.envelope.logLevel;
    if (level === undefined || connection === undefined || connection.era === "modern") return undefined;
    const rank = levelRank(level);
    const now = this.#mostVerbose();
    if (connection.introduction.capabilities["logging"] === undefined) return undefined;
    if ((this.#raised !== -1 && this.#raised <= rank) || (now !== -1 && now <= rank)) return undefined;
    this.#raised = rank;
    return connection.call("logging/setLevel", { level }).catch(() => undefined);
  }

  /** A modern client's request for a modern server, with what may not pass taken out. */
  modernRequest(request: Message): Message | undefined {
    const span = request.meta(Meta.clientCapabilities);
    if (this.carriesRoots || span === undefined) return undefined;
    const text = removeKeys(request.slice(span), (key) => key === "roots");
    return request.with({ start: span.start, end: span.end, text });
  }

  /** A client's capabilities as far as this line carries them. */
  carried(capabilities: Capabilities): Capabilities {
    if (this.carriesRoots) return capabilities;
    const { roots: _, ...rest } = capabilities;
    return rest;
  }

  /** Whether answers must not be kept for others. */
  differs(dialogue: Dialogue): boolean {
    return dialogue.authenticated || this.key !== "" || this.#owner.differs;
  }

  began(): void {
    this.#owner.began();
  }

  over(): void {
    this.#owner.over();
  }

  /** The client of an open exchange is told to come back, or has come back: meanwhile it holds up nothing. */
  away(exchange: Exchange): void {
    this.#park(exchange);
    if (exchange.isAway) this.#owner.over();
    else this.#owner.began();
  }

  #park(exchange: Exchange): void {
    if (exchange.isAway && this.#exchanges.has(exchange)) this.#parked.add(exchange);
    else this.#parked.delete(exchange);
  }

  done(outcome: Outcome, startedAt: number): void {
    this.#owner.done(outcome, startedAt);
  }

  opened(exchange: Exchange): void {
    this.#exchanges.set(exchange, exchange);
    if (exchange.isAway) this.#park(exchange);
  }

  closedExchange(exchange: Exchange): void {
    if (!this.#exchanges.delete(exchange)) return;
    if (exchange.isAway) this.#parked.delete(exchange);
    if (this.exclusive === undefined) {
      this.#lastUsed = this.#owner.clock.now();
      this.#addressee.trace(exchange.caller.principal.id, this.#lastUsed);
    }
    if (this.key !== "" && this.idle) {
      this.#lastUsed = this.#owner.clock.now();
      this.#owner.abandoned(this);
    }
  }

  retry(exchange: Exchange, lost: Connection, fault: Fault): void {
    this.#owner.retry(exchange, lost, fault);
  }

  describe(fault: Fault, caller: Caller): Description {
    return this.#owner.describe(fault, caller);
  }

  #outside(message: Message, connection: Connection): void {
    if (message.kind === "request") this.question(message, undefined, connection);
    else this.notification(message.apart(), undefined);
  }

  /** A request of the server, from the stream of an exchange or from nowhere in particular. */
  question(message: Message, exchange: Exchange | undefined, connection: Connection): void {
    this.#owner.asked();
    this.#questions.ask(message, this.#addressee.of(message, exchange), connection, this.carriesRoots);
  }

  /** A notification of the server other than progress. */
  notification(message: Message, exchange: Exchange | undefined): void {
    const task = exchange === undefined && this.exclusive === undefined ? relatedTask(message) : undefined;
    // What concerns a task is for nobody but who made it, also when nobody can be told.
    if (task !== undefined) {
      const maker = this.tasks.listener(task, this.#sessions);
      return maker !== undefined && this.#hears(maker.principal, message) ? maker.push(message.text) : undefined;
    }
    switch (message.method) {
      case "notifications/cancelled":
        return this.#questions.withdraw(message);
      case "notifications/message":
        return this.#log(message, exchange);
      case "notifications/resources/updated": {
        const uri = message.stringParam("uri");
        if (this.exclusive !== undefined) return this.#tell(this.exclusive, message);
        for (const subscriber of this.subscriptions.of(uri ?? "")) this.#tell(subscriber, message);
        return;
      }
      case "notifications/elicitation/complete":
        return this.#questions.completed(message, exchange, this.exclusive);
      default:
        if (exchange !== undefined && !isForAll(message))
          return this.#hears(exchange.caller.principal, message) ? exchange.push(message.text) : undefined;
        for (const session of this.#sessions) this.#tell(session, message);
        // A stateless server tells those who listen itself.
        if (isForAll(message) && this.#connection?.era !== "modern")
          for (const listening of this.#hearing.listening) this.#tell(listening, message);
    }
  }

  /** Says something to somebody, if it is for him. */
  #tell(hearer: Subscriber, message: Message): void {
    if (this.#hears(hearer.principal, message)) hearer.push(message.text);
  }

  #hears({ rights }: Principal, message: Message): boolean {
    return rights === undefined || mayHear(rights, this.#owner.name, message.method);
  }

  get carriesRoots(): boolean {
    return this.need.declaration.capabilities["roots"] !== undefined;
  }

  /** Whether nobody but this session is on the line. */
  only(session: Session): boolean {
    return this.#sessions.size === 1 && this.#sessions.has(session);
  }

  #closed(connection: Connection): void {
    for (const session of this.#sessions) session.forget(connection);
    // One that was replaced ends after its successor has begun.
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#raised = -1;
    this.#hearing.closed();
    this.#questions.forget();
  }

  /** The most verbose level of all sessions, or of the one that is about to choose; -1 while nobody has chosen. */
  mostVerboseWith(rank: number, chooser: Session): number {
    let most = rank;
    for (const session of this.#sessions) {
      if (session !== chooser && session.logRank !== -1 && session.logRank < most) most = session.logRank;
    }
    return most;
  }

  #mostVerbose(): number {
    let most = -1;
    for (const { logRank } of this.#sessions) if (logRank !== -1 && (most === -1 || logRank < most)) most = logRank;
    return most;
  }

  #log(message: Message, exchange: Exchange | undefined): void {
    const rank = levelRank(message.stringParam("level"));
    const only = exchange ?? this.#addressee.onlyExchange(this.#connection?.attributes === true);
    const chosen = this.#mostVerbose() !== -1 || this.#raised !== -1;
    const wants = (session: Session | undefined): boolean => {
      if (session === undefined || rank === -1 || !chosen) return true;
      return rank >= (session.logRank === -1 ? DEFAULT_RANK : session.logRank);
    };
    if (only !== undefined && !this.#hears(only.caller.principal, message)) return;
    if (only?.dialogue !== undefined) {
      const asked = levelRank(only.dialogue.envelope.logLevel);
      if (asked !== -1 && rank >= asked) only.push(message.text);
      return;
    }
    if (only !== undefined) {
      if (wants(only.session)) only.push(message.text);
      return;
    }
    // A stateless server talks for single requests only; whose it was cannot be known here.
    if (this.#connection?.era === "modern") return;
    for (const session of this.#sessions) if (wants(session)) this.#tell(session, message);
  }
}

/** Changes of lists concern every session, whichever call made them. */
function isForAll(message: Message): boolean {
  return message.method?.endsWith("/list_changed") === true;
}
