import { ErrorCode, errorText } from "../protocol/errors.ts";
import { legacyParams, modernCapabilities, modernParams, withParams } from "../protocol/eras/envelope.ts";
import { MULTI_ROUND } from "../protocol/eras/names.ts";
import { resultType, toLegacyResult } from "../protocol/eras/results.ts";
import { levelName } from "../protocol/log-levels.ts";
import type { Message } from "../protocol/message.ts";
import { traceOf, withTrace } from "../protocol/trace.ts";
import type { Trace } from "../protocol/trace.ts";
import type { Outcome } from "../telemetry/meters.ts";
import type { Connection, Pending } from "../upstream/connection.ts";
import type { Fault } from "../upstream/fault.ts";
import type { Dialogue } from "./dialogue.ts";
import type { Caller, Reply } from "./ends.ts";
import { InputLoop, errorAnswer } from "./input-loop.ts";
import type { Line } from "./line.ts";
import { answerModern } from "./modern-answer.ts";
import type { Asked } from "./question.ts";
import type { Session } from "./session.ts";
import { createdTask } from "./tasks.ts";

export interface ExchangeHooks {
  /** Changes the answer's text before it gets the client's id back. */
  readonly rewrite?: ((text: string) => string) | undefined;
  /** Called once, however the exchange ends. */
  readonly ended?: ((succeeded: boolean) => void) | undefined;
}

/** The client's side of an exchange: a legacy client has a reply and mostly a session, a modern one a dialogue. */
export interface ClientSide {
  readonly caller: Caller;
  readonly session: Session | undefined;
  readonly dialogue?: Dialogue | undefined;
  readonly reply: Reply;
}

/** One client request in flight, with everything that belongs to it. It does not need a session. */
export class Exchange implements Pending {
  readonly request: Message;
  readonly caller: Caller;
  readonly session: Session | undefined;
  readonly dialogue: Dialogue | undefined;
  readonly #token: string | undefined;
  readonly #reply: Reply;
  readonly #startedAt: number;
  #line: Line;
  readonly #hooks: ExchangeHooks | undefined;
  #connection: Connection | undefined;
  #upstreamId = 0;
  #retried = false;
  #over = false;
  /** Its client is away: it does not hold up the end of the proxy, after which nobody could come back to it. */
  #away = false;
  /** Questions of the server to this client that are open. */
  #questions = 0;
  #loop: InputLoop | undefined;
  /** The request as it was sent, where that is not as it came. */
  #sent: Message | undefined;
  #trace: Trace | undefined;
  /** The server has made a task of the request. */
  #task = false;

  constructor(line: Line, request: Message, client: ClientSide, hooks?: ExchangeHooks) {
    this.#line = line;
    this.request = request;
    this.caller = client.caller;
    this.session = client.session;
    this.dialogue = client.dialogue;
    this.#reply = client.reply;
    this.#hooks = hooks;
    this.#startedAt = line.clock.now();
    const token = request.meta("progressToken");
    this.#token = token === undefined ? undefined : request.slice(token);
    this.session?.exchangeOpened(this);
    if (this.dialogue !== undefined) this.dialogue.exchange = this;
    line.began();
  }

  get progressToken(): string | undefined {
    return this.dialogue === undefined ? this.#token : this.dialogue.progressToken;
  }

  get paused(): boolean {
    // The result of a task comes when the task is done, however long that takes.
    return this.#questions > 0 || this.request.method === "tasks/result";
  }

  get outlives(): boolean {
    return this.#task;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Who can be asked on behalf of this exchange; undefined when nobody can. */
  get asked(): Asked | undefined {
    return this.dialogue?.mute === true ? undefined : (this.dialogue ?? this.session);
  }

  /** Sends the request over a connection of a line. */
  start(connection: Connection, line: Line): void {
    this.#connection = connection;
    this.#line = line;
    line.opened(this);
    const waiting = line.prepare(this);
    if (waiting === undefined) return this.#send(connection);
    void waiting.then(() => {
      if (!this.#over) this.#send(connection);
    });
  }

  #send(connection: Connection): void {
    if (this.#loop === undefined) {
      this.#sent = this.#translated(connection);
      this.#trace = traceOf(this.request, this.caller.headers);
      if (this.#trace !== undefined) this.#sent = withTrace(this.#sent ?? this.request, this.#trace);
    }
    this.#upstreamId = connection.request(this.#sent ?? this.request, this, this.#trace);
  }

  /** The request in the words of the server's era; undefined where they are the client's. */
  #translated(connection: Connection): Message | undefined {
    if (this.dialogue === undefined && connection.era === "legacy") return undefined;
    const params = this.request.params === undefined ? undefined : this.request.slice(this.request.params);
    if (this.dialogue !== undefined) {
      if (connection.era === "legacy")
        return params === undefined ? undefined : withParams(this.request, legacyParams(params));
      return this.#line.modernRequest(this.request);
    }
    const client = this.session?.client;
    const declared = client === undefined ? {} : modernCapabilities(client.capabilities, client.protocolVersion);
    const envelope = {
      capabilities: this.#line.carried(declared),
      clientInfo: client?.info,
      logLevel: connection.introduction.capabilities["logging"] === undefined ? undefined : this.#level(),
    };
    return withParams(this.request, modernParams(params, envelope));
  }

  #level(): string {
    const rank = this.session?.logRank ?? -1;
    return rank === -1 ? "info" : levelName(rank);
  }

  /** Says something to the client on the stream of this request. */
  push(text: string): void {
    if (this.dialogue !== undefined) {
      if (!this.#over) this.dialogue.push(text);
    } else if (!this.#over) this.#reply.push(text);
    else if (this.#task) this.session?.push(text);
  }

  /** The client is told to come back with answers, or has come back. */
  away(is: boolean): void {
    if (this.#over || this.#away === is) return;
    this.#away = is;
    this.#line.away(this);
  }

  get isAway(): boolean {
    return this.#away;
  }

  questionOpened(): void {
    this.#questions++;
  }

  questionClosed(): void {
    this.#questions--;
  }

  related(message: Message): void {
    if (message.kind === "request") {
      return this.#connection === undefined ? undefined : this.#line.question(message, this, this.#connection);
    }
    if (message.method === "notifications/progress") {
      const token = message.param("progressToken");
      const mine = this.progressToken;
      if (token === undefined || mine === undefined) return;
      return this.push(message.edited({ start: token.start, end: token.end, text: mine }));
    }
    this.#line.notification(message, this);
  }

  parked(): void {
    if (!this.#over && this.dialogue === undefined) this.#reply.park?.();
  }

  answered(message: Message): void {
    const connection = this.#connection;
    if (this.#over || connection === undefined) return;
    if (this.dialogue !== undefined) {
      this.#end(message.result === undefined ? "error" : "ok");
      const method = this.request.method ?? "";
      return answerModern(
        this.dialogue,
        method,
        message,
        connection,
        this.#hooks?.rewrite,
        this.#line.differs(this.dialogue),
      );
    }
    const { result } = message;
    if (connection.era === "legacy" || result === undefined) {
      const task = createdTask(this.request, message);
      if (task !== undefined) {
        this.#task = true;
        this.#line.tasks.created(task, this.caller, this.session, this.request.stringParam("name"));
      }
      return this.#finish(message.withId(this.#id), result !== undefined);
    }
    const text = message.slice(result);
    const method = this.request.method ?? "";
    const type = resultType(text);
    if (type === "complete")
      return this.#finish(message.withId(this.#id, { ...result, text: toLegacyResult(method, text) }), true);
    if (type === "input_required" && MULTI_ROUND.has(method)) return this.#playOn(text);
    this.#refuse(ErrorCode.internal, `the server answered with "${type}", which clients of this version do not know`);
  }

  failed(fault: Fault): void {
    if (this.#over) return;
    if (fault.notRun && !this.#retried && this.#connection !== undefined) {
      this.#retried = true;
      this.#line.closedExchange(this);
      return this.#line.retry(this, this.#connection, fault);
    }
    this.fail(fault);
  }

  /**
   * Ends with an error for the client.
   * @param status of HTTP, when the request never got as far as the server
   */
  fail(fault: Fault, status?: number): void {
    if (this.#over) return;
    const { message, data } = this.#line.describe(fault, this.caller);
    this.#end("failed");
    if (this.dialogue === undefined) this.#reply.finish(errorText(this.#id, ErrorCode.internal, message, data), status);
    else this.dialogue.finish((id) => errorText(id, ErrorCode.internal, message, data), status);
  }

  /** The client (or its end) does not want the answer any more. */
  cancel(reason?: string): void {
    if (this.#over) return;
    this.#end("cancelled");
    this.#connection?.cancel(this.#upstreamId, reason);
    if (this.dialogue === undefined) this.#reply.drop();
    else this.dialogue.drop();
  }

  get #id(): string {
    return this.request.id ?? "null";
  }

  /** A modern server asks a legacy client something. */
  #playOn(result: string): void {
    this.#loop ??= new InputLoop({
      clock: this.#line.clock,
      session: this.session,
      exchange: this,
      resend: (message) => {
        if (this.#over) return;
        this.#sent = message;
        this.#retried = false;
        if (this.#connection !== undefined) this.#upstreamId = this.#connection.request(message, this, this.#trace);
      },
      fail: (code, text) => this.#refuse(code, text),
      failWith: (error) => this.#finish(errorAnswer(this.#id, error), false),
    });
    this.#loop.next(this.#sent ?? this.request, result);
  }

  #refuse(code: number, text: string): void {
    this.#finish(errorText(this.#id, code, text), false);
  }

  /** @param text the answer with the client's id */
  #finish(text: string, succeeded: boolean): void {
    if (this.#over) return;
    this.#loop?.end();
    this.#end(succeeded ? "ok" : "error");
    this.#reply.finish(this.#hooks?.rewrite?.(text) ?? text);
  }

  #end(outcome: Outcome): void {
    this.#loop?.end();
    this.#over = true;
    this.session?.exchangeClosed(this);
    this.#line.closedExchange(this);
    if (!this.#away) this.#line.over();
    this.#line.done(outcome, this.#startedAt);
    this.#hooks?.ended?.(outcome === "ok");
  }
}
