import { ownText } from "../protocol/own-text.ts";
import { ErrorCode, errorText, notificationText } from "../protocol/errors.ts";
import type { Message } from "../protocol/message.ts";
import type { Principal } from "../policy/principal.ts";
import { InFlight } from "../store/in-flight.ts";
import type { Connection } from "../upstream/connection.ts";
import type { Client, EventStream } from "./ends.ts";
import type { Exchange } from "./exchange.ts";
import type { Line } from "./line.ts";
import type { Asked, Question } from "./question.ts";

/** What waits for a client that has no stream open, at the most. */
const BACKLOG_MESSAGES = 256;
const BACKLOG_CHARACTERS = 1_048_576;
/** Streams of one session: a client that reconnects in a loop must not pile them up. */
const MAX_STREAMS = 4;
/** Questions open at one client: a server that asks in a loop must not fill the memory. */
const MAX_QUESTIONS = 256;

/** The same client towards one server of several behind its URL. */
interface Branch {
  readonly session: Session;
  /** Leads what the server says to the client's own stream. */
  readonly stream: EventStream;
}

/** What the proxy keeps about one legacy client on one endpoint. */
export class Session implements Asked {
  readonly id: string;
  readonly client: Client;
  readonly principal: Principal;
  /** In `auto`: this client gets a child process of its own. */
  ownChild: boolean;
  /** Rank of the log level the client chose, -1 until it did. */
  logRank = -1;
  lastUsed: number;
  readonly #lines = new Set<Line>();
  readonly #exchanges = new InFlight<string, Exchange>();
  /** In flight under an id that the client has used again meanwhile: nobody can name them, but they end with it. */
  readonly #namesakes = new Set<Exchange>();
  readonly #questions = new Map<number, Question>();
  readonly #streams: EventStream[] = [];
  #backlog: string[] = [];
  #backlogSize = 0;
  readonly #branches = new Map<string, Branch>();
  readonly #ids: { next: number };
  #ended = false;

  /** @param ids of questions, which begin by chance, so that an answer to an earlier life is not taken for one to this */
  constructor(id: string, client: Client, principal: Principal, ownChild: boolean, now: number, ids: { next: number }) {
    this.id = id;
    this.client = client;
    this.principal = principal;
    this.ownChild = ownChild;
    this.lastUsed = now;
    this.#ids = ids;
  }

  get capabilities(): Readonly<Record<string, unknown>> {
    return this.client.capabilities;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Nothing is open that would be lost if the session left the memory. */
  get idle(): boolean {
    if (this.#streams.length > 0 || this.#exchanges.size > 0 || this.#questions.size > 0) return false;
    for (const { session } of this.#branches.values()) if (!session.idle) return false;
    return true;
  }

  get hasStream(): boolean {
    return this.#streams.length > 0;
  }

  get streamCount(): number {
    return this.#streams.length;
  }

  /**
   * This client as one server of several sees it: with connections, requests and questions of its own, and the streams
   * of the one client.
   * @param ownChild that server gives it a child process of its own
   * @param said turns what the server says outside requests into what the client hears; undefined: nothing
   */
  addBranch(server: string, ownChild: boolean, said: (text: string) => string | undefined): Session {
    const session = new Session(
      `${this.id} ${server}`,
      this.client,
      this.principal,
      ownChild,
      this.lastUsed,
      this.#ids,
    );
    const push = (text: string): void => {
      const heard = said(text);
      if (heard !== undefined) this.push(heard);
    };
    const stream: EventStream = { push, end: () => undefined };
    this.#branches.set(server, { session, stream });
    if (this.#ended) session.end();
    else if (this.hasStream) session.openStream(stream);
    return session;
  }

  branch(server: string): Session | undefined {
    return this.#branches.get(server)?.session;
  }

  /** Takes the client away from one server: what it has open there ends. */
  endBranch(server: string): void {
    const branch = this.#branches.get(server);
    this.#branches.delete(server);
    branch?.session.end();
  }

  get branches(): Iterable<readonly [server: string, branch: Session]> {
    return [...this.#branches].map(([server, { session }]) => [server, session] as const);
  }

  /** Whether a connection that is not everybody's tells it of changes. */
  get hearsItself(): boolean {
    for (const line of this.#lines) if (line.key !== "" && line.connected) return true;
    return false;
  }

  join(line: Line): void {
    if (this.#ended || this.#lines.has(line)) return;
    this.#lines.add(line);
    line.join(this);
  }

  part(line: Line): void {
    this.#lines.delete(line);
  }

  exchangeOpened(exchange: Exchange): void {
    const id = exchange.request.id ?? "";
    const earlier = this.#exchanges.get(id);
    if (earlier !== undefined) this.#namesakes.add(earlier);
    this.#exchanges.set(id, exchange);
  }

  exchangeClosed(exchange: Exchange): void {
    const id = exchange.request.id ?? "";
    if (this.#exchanges.get(id) === exchange) this.#exchanges.delete(id);
    else this.#namesakes.delete(exchange);
  }

  /** The open exchange for an id of this client, as the raw token. */
  exchange(id: string): Exchange | undefined {
    let found = this.#exchanges.get(id);
    for (const { session } of this.#branches.values()) found ??= session.exchange(id);
    return found;
  }

  /** Says something that belongs to no request of the client: on its newest stream, or as soon as it opens one. */
  push(text: string): void {
    if (this.#ended) return;
    const stream = this.#streams.at(-1);
    if (stream !== undefined) return stream.push(text);
    // It may wait for long, and not with all that the server said together with it.
    this.#backlog.push(ownText(text));
    this.#backlogSize += text.length;
    while (this.#backlog.length > BACKLOG_MESSAGES || this.#backlogSize > BACKLOG_CHARACTERS) {
      this.#backlogSize -= this.#backlog.shift()?.length ?? 0;
    }
  }

  openStream(stream: EventStream): void {
    if (this.#ended) return stream.end();
    this.#streams.push(stream);
    if (this.#streams.length > MAX_STREAMS) this.#streams.shift()?.end();
    const waiting = this.#backlog;
    this.#backlog = [];
    this.#backlogSize = 0;
    for (const text of waiting) stream.push(text);
    if (this.#streams.length > 1) return;
    for (const line of this.#lines) line.streamsChanged();
    for (const branch of this.#branches.values()) branch.session.openStream(branch.stream);
  }

  closeStream(stream: EventStream): void {
    const index = this.#streams.indexOf(stream);
    if (index === -1) return;
    this.#streams.splice(index, 1);
    if (this.#streams.length > 0) return;
    for (const line of this.#lines) line.streamsChanged();
    for (const branch of this.#branches.values()) branch.session.closeStream(branch.stream);
  }

  /**
   * Passes a server's request on to the client, with an id of ours.
   * @returns that id, or undefined when the client already has too many to answer
   */
  ask(message: Message, question: Question): number | undefined {
    if (this.#ended || this.#questions.size >= MAX_QUESTIONS) return undefined;
    const id = this.#ids.next++;
    this.#questions.set(id, question);
    question.exchange?.questionOpened();
    const token = message.meta("progressToken");
    const text =
      token === undefined
        ? message.withId(String(id))
        : message.withId(String(id), { start: token.start, end: token.end, text: String(id) });
    if (question.exchange !== undefined && !question.exchange.over) question.exchange.push(text);
    else this.push(text);
    return id;
  }

  /** The server takes a question back. */
  withdraw(id: number, notice: (id: number) => string): void {
    const question = this.#takeQuestion(id);
    if (question === undefined) return;
    if (question.exchange !== undefined && !question.exchange.over) question.exchange.push(notice(id));
    else this.push(notice(id));
  }

  /** The client's answer to a question. Answers to nothing are ignored, as JSON-RPC asks. */
  answer(message: Message): void {
    const question = this.#takeQuestion(message.idNumber);
    if (question !== undefined) return question.answered(message.withId(question.serverId));
    for (const { session } of this.#branches.values()) session.answer(message);
  }

  /** The client reports progress on a question. */
  progress(message: Message): void {
    for (const { session } of this.#branches.values()) session.progress(message);
    const span = message.param("progressToken");
    const question = span === undefined ? undefined : this.#questions.get(Number(message.slice(span)));
    if (span === undefined || question?.progressToken === undefined) return;
    question.answered(message.edited({ start: span.start, end: span.end, text: question.progressToken }));
  }

  /** Forgets the questions of a connection that is gone. */
  forget(connection: Connection): void {
    for (const [id, question] of this.#questions) if (question.connection === connection) this.#takeQuestion(id);
  }

  /** Ends the session: what is in flight is cancelled, servers that wait for its answers get an error. */
  end(): void {
    if (this.#ended) return;
    for (const id of [...this.#questions.keys()]) {
      const question = this.#takeQuestion(id);
      if (question === undefined) continue;
      question.answered(errorText(question.serverId, ErrorCode.server, "the client's session has ended"));
    }
    for (const exchange of [...this.#namesakes, ...this.#exchanges.values()])
      exchange.cancel("the client's session has ended");
    this.#ended = true;
    for (const { session } of this.#branches.values()) session.end();
    for (const line of this.#lines) line.leave(this);
    this.#lines.clear();
    for (const stream of this.#streams.splice(0)) stream.end();
    this.#backlog = [];
  }

  listChanged(kinds: readonly string[]): void {
    for (const kind of kinds) this.push(notificationText(`notifications/${kind}/list_changed`));
  }

  #takeQuestion(id: number): Question | undefined {
    const question = this.#questions.get(id);
    if (question === undefined) return undefined;
    this.#questions.delete(id);
    question.exchange?.questionClosed();
    question.closed();
    return question;
  }
}
