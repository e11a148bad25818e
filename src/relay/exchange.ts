import { ErrorCode, errorText } from "../protocol/errors.ts";
import type { Message } from "../protocol/message.ts";
import type { Connection, Pending } from "../upstream/connection.ts";
import type { Fault } from "../upstream/fault.ts";
import type { Caller, Reply } from "./ends.ts";
import type { Line } from "./line.ts";
import type { Session } from "./session.ts";
import { createdTask } from "./tasks.ts";

export interface ExchangeHooks {
  /** Changes the answer's text before it gets the client's id back. */
  readonly rewrite?: ((text: string) => string) | undefined;
  /** Called once, however the exchange ends. */
  readonly ended?: ((succeeded: boolean) => void) | undefined;
}

/** One client request in flight, with everything that belongs to it. It does not need a session. */
export class Exchange implements Pending {
  readonly progressToken: string | undefined;
  readonly request: Message;
  readonly caller: Caller;
  readonly session: Session | undefined;
  readonly #reply: Reply;
  #line: Line;
  readonly #hooks: ExchangeHooks;
  #connection: Connection | undefined;
  #upstreamId = 0;
  #retried = false;
  #over = false;
  /** Questions of the server to this client that are open. */
  #questions = 0;
  /** The server has made a task of the request. */
  #task = false;

  constructor(
    line: Line,
    request: Message,
    caller: Caller,
    session: Session | undefined,
    reply: Reply,
    hooks: ExchangeHooks = {},
  ) {
    this.#line = line;
    this.request = request;
    this.caller = caller;
    this.session = session;
    this.#reply = reply;
    this.#hooks = hooks;
    const token = request.meta("progressToken");
    this.progressToken = token === undefined ? undefined : request.slice(token);
    session?.exchangeOpened(this);
    line.began();
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

  /** Sends the request over a connection of a line. */
  start(connection: Connection, line: Line): void {
    this.#connection = connection;
    this.#line = line;
    line.opened(this);
    this.#upstreamId = connection.request(this.request, this);
  }

  /** Says something to the client on the stream of this request. */
  push(text: string): void {
    if (!this.#over) this.#reply.push(text);
    else if (this.#task) this.session?.push(text);
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
      if (token === undefined || this.progressToken === undefined) return;
      return this.push(message.edited({ start: token.start, end: token.end, text: this.progressToken }));
    }
    this.#line.notification(message, this);
  }

  parked(): void {
    if (!this.#over) this.#reply.park?.();
  }

  answered(message: Message): void {
    if (this.#over) return;
    const text = message.withId(this.request.id ?? "null");
    const task = createdTask(this.request, message);
    if (task !== undefined) {
      this.#task = true;
      this.#line.tasks.created(task, this.caller, this.session);
    }
    this.#end(message.result !== undefined);
    this.#reply.finish(this.#hooks.rewrite === undefined ? text : this.#hooks.rewrite(text));
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
    this.#end(false);
    const { message, data } = this.#line.describe(fault, this.caller);
    this.#reply.finish(errorText(this.request.id ?? "null", ErrorCode.internal, message, data), status);
  }

  /** The client (or its end) does not want the answer any more. */
  cancel(reason?: string): void {
    if (this.#over) return;
    this.#end(false);
    this.#connection?.cancel(this.#upstreamId, reason);
    this.#reply.drop();
  }

  #end(succeeded: boolean): void {
    this.#over = true;
    this.session?.exchangeClosed(this);
    this.#line.closedExchange(this);
    this.#line.over();
    this.#hooks.ended?.(succeeded);
  }
}
