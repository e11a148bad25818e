import { LRUCache } from "lru-cache";
import { canAnswer, offeredLists } from "../protocol/capabilities.ts";
import type { Capabilities } from "../protocol/eras/envelope.ts";
import type { ListenFilter } from "../protocol/eras/listen.ts";
import { Meta, QUESTIONS } from "../protocol/eras/names.ts";
import { removeKeys } from "../protocol/eras/object-text.ts";
import { ErrorCode, errorText } from "../protocol/errors.ts";
import { DEFAULT_RANK, levelName, levelRank } from "../protocol/log-levels.ts";
import type { Principal } from "../policy/principal.ts";
import { mayHear } from "../policy/rights.ts";
import type { Message } from "../protocol/message.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Connection, ConnectionListener } from "../upstream/connection.ts";
import type { Fault } from "../upstream/fault.ts";
import type { Need } from "../upstream/upstream.ts";
import type { Caller } from "./ends.ts";
import type { Exchange } from "./exchange.ts";
import type { Dialogue } from "./dialogue.ts";
import { Feed } from "./feed.ts";
import type { Listening } from "./listening.ts";
import type { Asked } from "./question.ts";
import type { Session } from "./session.ts";
import { Subscriptions } from "./subscriptions.ts";
import type { Subscriber } from "./subscriptions.ts";
import { Tasks, relatedTask } from "./tasks.ts";

/**
 * How long after another principal's last exchange a question without an address is still not given to the only open
 * one: it could be a late question of that other one, and a question must never reach somebody else.
 */
const FOREIGN_TRACE_MS = 60_000;

/** Elicitations at URLs that are remembered; nobody may ever finish them. */
const MAX_ELICITATIONS = 1_000;

/** What a line needs from the switchboard it belongs to. */
export interface LineOwner {
  readonly clock: Clock;
  /** Name of the server. */
  readonly name: string;
  /** Whether answers differ per caller, so that none may be kept for others. */
  readonly differs: boolean;
  /** A server asked its client something; `auto` isolation remembers. */
  asked(): void;
  retry(exchange: Exchange, lost: Connection, fault: Fault): void;
  describe(fault: Fault, caller: Caller): Description;
  /** Nobody uses the line any more. */
  abandoned(line: Line): void;
  /** An exchange began, or ended. */
  began(): void;
  over(): void;
}

/** A fault in words for one caller. */
export interface Description {
  readonly message: string;
  readonly data: object;
}

interface Target {
  readonly asked: Asked;
  /** A legacy client's session. */
  readonly session: Session | undefined;
  readonly exchange: Exchange | undefined;
}

/**
 * What the relay keeps about one connection of an upstream, across its restarts: who is on it, what is open, and whom
 * each thing the server says is for.
 */
export class Line {
  readonly need: Need;
  /** The session that has this line for itself. */
  readonly exclusive: Session | undefined;
  readonly subscriptions = new Subscriptions();
  readonly tasks = new Tasks();
  readonly #owner: LineOwner;
  readonly #sessions = new Set<Session>();
  readonly #exchanges = new Set<Exchange>();
  /** When each principal was last seen here, in milliseconds. */
  readonly #seen = new Map<string, number>();
  /** Questions passed on, by the server's raw id. */
  readonly #passed = new Map<string, { asked: Asked; id: number }>();
  /** Whom the elicitations at URLs were put to, by the server's id for them. */
  readonly #elicitations = new LRUCache<string, Session>({ max: MAX_ELICITATIONS });
  readonly #listening = new Set<Listening>();
  #feed: Feed | undefined;
  /** Rank of the level that calls of modern clients made the server talk at, -1 while none did. */
  #raised = -1;
  #connection: Connection | undefined;
  #usable = false;
  #lastUsed: number;

  constructor(need: Need, exclusive: Session | undefined, owner: LineOwner) {
    this.need = need;
    this.exclusive = exclusive;
    this.#owner = owner;
    this.#lastUsed = owner.clock.now();
  }

  get key(): string {
    return this.need.key;
  }

  get idle(): boolean {
    return this.#sessions.size === 0 && this.#exchanges.size === 0 && this.#listening.size === 0;
  }

  /** Whether all its sessions have moved on, and left nothing open here. */
  leftBehind(movedOn: (session: Session) => boolean): boolean {
    if (this.#exchanges.size > 0 || this.#passed.size > 0 || this.subscriptions.uris().length > 0) return false;
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
    this.#usable = true;
    if (connection.era === "modern") {
      this.#feed = new Feed(connection, {
        clock: this.#owner.clock,
        wanted: () => this.#wishes(connection),
        heard: (message) => this.notification(message, undefined),
        missed: () => this.#listsChanged(connection),
      });
    }
    this.streamsChanged();
    if (!again) return;
    if (connection.era === "modern") return this.#listsChanged(connection);
    const rank = this.#mostVerbose();
    // A server that is new to these is no worse off when it refuses one: nothing waits for the answer.
    if (rank !== -1) connection.call("logging/setLevel", { level: levelName(rank) }).catch(() => undefined);
    for (const uri of this.subscriptions.uris()) connection.call("resources/subscribe", { uri }).catch(() => undefined);
    this.#listsChanged(connection);
  }

  /** A modern client listens; a stateless server tells it itself. */
  listens(listening: Listening): void {
    this.#listening.add(listening);
  }

  unlistens(listening: Listening): void {
    if (!this.#listening.delete(listening)) return;
    this.#unsubscribe(this.subscriptions.drop(listening));
    this.#lastUsed = this.#owner.clock.now();
  }

  /** Ends the streams of all who listen, with their answers. */
  finishListening(which: (principal: Principal) => boolean = () => true): void {
    for (const listening of [...this.#listening]) if (which(listening.principal)) listening.finish();
  }

  /** What some may use has changed: those of them that listen look at their lists again. */
  rightsChanged(affected: (principal: Principal) => boolean): void {
    const kinds = offeredLists(this.#connection?.introduction.capabilities ?? {});
    for (const listening of this.#listening) if (affected(listening.principal)) listening.listChanged(kinds);
  }

  #listsChanged(connection: Connection): void {
    const kinds = offeredLists(connection.introduction.capabilities);
    for (const session of this.#sessions) session.listChanged(kinds);
    if (connection.era === "legacy") for (const listening of this.#listening) listening.listChanged(kinds);
  }

  #unsubscribe(uris: readonly string[]): void {
    if (!this.#usable || uris.length === 0) return;
    if (this.#feed !== undefined) return this.#feed.update();
    for (const uri of uris) this.#connection?.call("resources/unsubscribe", { uri }).catch(() => undefined);
  }

  /** What a stateless server shall tell of outside requests. */
  #wishes(connection: Connection): ListenFilter {
    const lists = this.exclusive?.hasStream ?? true;
    const uris = this.subscriptions.uris();
    return {
      ...(lists ? { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true } : {}),
      ...(uris.length === 0 || connection.closed ? {} : { resourceSubscriptions: uris }),
    };
  }

  /** Whether a stateless server agrees to tell of a resource that was just added; undefined for other servers. */
  covers(uri: string): Promise<boolean> | undefined {
    const feed = this.#feed;
    if (feed === undefined || !this.#usable) return undefined;
    feed.update();
    return feed.covers(uri);
  }

  /** A resource is nobody's any more. @returns whether that was said to a stateless server */
  uncovers(): boolean {
    this.#feed?.update();
    return this.#feed !== undefined;
  }

  join(session: Session): void {
    this.#sessions.add(session);
    if (session.hasStream) this.streamsChanged();
  }

  leave(session: Session): void {
    this.#sessions.delete(session);
    this.#unsubscribe(this.subscriptions.drop(session));
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
    if (!this.#usable) return;
    if (this.#feed === undefined) this.#connection?.listen(this.exclusive?.hasStream ?? true);
    else this.#feed.update();
  }

  get clock(): Clock {
    return this.#owner.clock;
  }

  /** Whether a call of another principal waits for its client here: what is asked then could be for either. */
  waitsForAnother(caller: Caller): boolean {
    for (const { dialogue } of this.#exchanges) {
      if (dialogue?.parked === true && dialogue.principal.id !== caller.principal.id) return true;
    }
    return false;
  }

  /** Whether a call uses this line now. */
  get busy(): boolean {
    return this.#exchanges.size > 0 || this.#listening.size > 0;
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
    return request.with({ ...span, text: removeKeys(request.slice(span), (key) => key === "roots") });
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

  opened(exchange: Exchange): void {
    this.#exchanges.add(exchange);
  }

  closedExchange(exchange: Exchange): void {
    if (!this.#exchanges.delete(exchange)) return;
    if (this.exclusive === undefined) this.#trace(exchange.caller.principal.id);
    if (this.idle && this.key !== "") {
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
    else this.notification(message, undefined);
  }

  /** A request of the server, from the stream of an exchange or from nowhere in particular. */
  question(message: Message, exchange: Exchange | undefined, connection: Connection): void {
    if (message.id === undefined) return;
    this.#owner.asked();
    const target = exchange === undefined ? (this.#taskTarget(message) ?? this.#target()) : targetOf(exchange);
    if (connection.era === "modern" || target === undefined || unknownToModern(target, message))
      return connection.send(this.#refusal(message));
    if (!this.#relays(message) || !canAnswer(target.asked.capabilities, message)) {
      const why = `the client has not declared the capability for ${message.method}`;
      connection.send(errorText(message.id, ErrorCode.methodNotFound, why));
      if (this.#relays(message)) target.exchange?.dialogue?.lacks(message);
      return;
    }
    const token = message.meta("progressToken");
    const serverId = message.id;
    const id = target.asked.ask(message, {
      connection,
      serverId,
      progressToken: token === undefined ? undefined : message.slice(token),
      exchange: target.exchange,
      answered: (text) => connection.send(text),
      closed: () => void this.#passed.delete(serverId),
    });
    if (id === undefined) {
      return connection.send(errorText(message.id, ErrorCode.server, "the client has too many open questions"));
    }
    this.#passed.set(serverId, { asked: target.asked, id });
    const elicitation = message.stringParam("elicitationId");
    if (elicitation !== undefined && target.session !== undefined) this.#elicitations.set(elicitation, target.session);
  }

  /** A notification of the server other than progress. */
  notification(message: Message, exchange: Exchange | undefined): void {
    if (exchange !== undefined && !this.#hears(exchange.caller.principal, message)) return;
    const task = exchange === undefined && this.exclusive === undefined ? relatedTask(message) : undefined;
    // What concerns a task is for nobody but who made it, also when nobody can be told.
    if (task !== undefined) {
      const maker = this.tasks.listener(task, this.#sessions);
      return maker !== undefined && this.#hears(maker.principal, message) ? maker.push(message.text) : undefined;
    }
    switch (message.method) {
      case "notifications/cancelled":
        return this.#withdrawn(message);
      case "notifications/message":
        return this.#log(message, exchange);
      case "notifications/resources/updated": {
        const uri = message.stringParam("uri");
        if (this.exclusive !== undefined) return this.#tell(this.exclusive, message);
        for (const subscriber of this.subscriptions.of(uri ?? "")) this.#tell(subscriber, message);
        return;
      }
      case "notifications/elicitation/complete":
        return this.#elicitationCompleted(message, exchange);
      default:
        if (exchange !== undefined && !isForAll(message)) return exchange.push(message.text);
        for (const session of this.#sessions) this.#tell(session, message);
        if (isForAll(message)) for (const listening of this.#listening) this.#tell(listening, message);
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
    this.#usable = false;
    this.#raised = -1;
    this.#feed?.close();
    this.#feed = undefined;
    this.#passed.clear();
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

  /** Somebody finished at a URL. The notification names the question only, so it goes to the client that was asked it. */
  #elicitationCompleted(message: Message, exchange: Exchange | undefined): void {
    const id = message.stringParam("elicitationId") ?? "";
    const asked = this.#elicitations.get(id);
    this.#elicitations.delete(id);
    // Modern clients know nothing of it: they call again.
    if (exchange?.dialogue !== undefined) return;
    if (exchange !== undefined) exchange.push(message.text);
    else (asked ?? this.exclusive)?.push(message.text);
  }

  #log(message: Message, exchange: Exchange | undefined): void {
    const rank = levelRank(message.stringParam("level"));
    const only = exchange ?? this.#onlyExchange();
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

  /** The only open exchange of a connection that does not name them. */
  #onlyExchange(): Exchange | undefined {
    if (this.#connection?.attributes === true || this.#exchanges.size !== 1) return undefined;
    const [only] = this.#exchanges;
    return only;
  }

  /** Who made the task that a question belongs to, with the request that waits for its result. */
  #taskTarget(message: Message): Target | undefined {
    const task = relatedTask(message);
    const session = this.exclusive ?? this.tasks.listener(task, this.#sessions);
    if (task === undefined || session === undefined) return undefined;
    const waits = [...this.#exchanges].find(
      ({ request, session: whose }) =>
        whose === session && request.method === "tasks/result" && request.stringParam("taskId") === task,
    );
    return { asked: session, session, exchange: waits };
  }

  /** Whom a question without an address is for; undefined when that cannot be known. */
  #target(): Target | undefined {
    if (this.exclusive !== undefined) {
      const [first] = this.#exchanges;
      const exchange = this.#exchanges.size === 1 || !this.exclusive.hasStream ? first : undefined;
      return { asked: this.exclusive, session: this.exclusive, exchange };
    }
    // Calls that wait for their clients are hardly those that ask now.
    const awake = [...this.#exchanges].filter(({ dialogue }) => dialogue?.parked !== true);
    const [only, another] = awake.length > 0 ? awake : this.#exchanges;
    if (only === undefined || another !== undefined) return undefined;
    const since = this.#owner.clock.now() - FOREIGN_TRACE_MS;
    for (const [principal, seen] of this.#seen) {
      if (seen > since && principal !== only.caller.principal.id) return undefined;
    }
    return targetOf(only);
  }

  #refusal(message: Message): string {
    const id = message.id ?? "null";
    if (message.method === "ping") return `{"jsonrpc":"2.0","id":${id},"result":{}}`;
    const why =
      `${message.method} cannot be passed on: several clients share this connection, or no call is open on it, so the ` +
      'proxy cannot know whom to ask. Set "isolation": "session" for this server in the proxy\'s configuration.';
    return errorText(id, ErrorCode.methodNotFound, why);
  }

  /** A server that was not told of roots does not get them by asking all the same: it would take them as permission. */
  #relays(message: Message): boolean {
    return message.method !== "roots/list" || this.carriesRoots;
  }

  #withdrawn(message: Message): void {
    const span = message.param("requestId");
    if (span === undefined) return;
    const passed = this.#passed.get(message.slice(span));
    passed?.asked.withdraw(passed.id, (id) => message.edited({ start: span.start, end: span.end, text: String(id) }));
  }

  #trace(principal: string): void {
    const now = this.#owner.clock.now();
    this.#lastUsed = now;
    this.#seen.set(principal, now);
    if (this.#seen.size < 64) return;
    for (const [id, seen] of this.#seen) if (seen <= now - FOREIGN_TRACE_MS) this.#seen.delete(id);
  }
}

function targetOf(exchange: Exchange): Target | undefined {
  const { asked } = exchange;
  return asked === undefined ? undefined : { asked, session: exchange.session, exchange };
}

/** Modern clients are asked three things and nothing else; a legacy one answers for itself. */
function unknownToModern(target: Target, message: Message): boolean {
  return target.exchange?.dialogue !== undefined && !QUESTIONS.has(message.method ?? "");
}

/** Changes of lists concern every session, whichever call made them. */
function isForAll(message: Message): boolean {
  return message.method?.endsWith("/list_changed") === true;
}
