import { ErrorCode, errorText, resultText } from "../protocol/errors.ts";
import type { Envelope } from "../protocol/eras/envelope.ts";
import { fitsQuestion, inputRequired, neededCapability, questionParams } from "../protocol/eras/input.ts";
import { ModernCode } from "../protocol/eras/names.ts";
import type { Message } from "../protocol/message.ts";
import type { Principal } from "../policy/principal.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Caller, Reply } from "./ends.ts";
import type { Exchange } from "./exchange.ts";
import type { Binding, Parked, Parking } from "./parking.ts";
import type { Asked, Question } from "./question.ts";

/** Questions that come this close together are shown together. */
const GATHER_MS = 20;
/** How often a question is shown to a client that comes back without a fitting answer. */
const MAX_SHOWN = 4;
/** Questions of one call: a server that asks in a loop must not fill the memory. */
const MAX_QUESTIONS = 64;

export interface DialogueDeps {
  readonly parking: Parking<Dialogue>;
  readonly clock: Clock;
  readonly endpoint: string;
  /** The endpoint knows its callers, so states are bound to them. */
  readonly authenticated: boolean;
}

interface Open {
  readonly question: Question;
  readonly method: string;
  readonly params: string | undefined;
  shown: number;
}

/**
 * One call of a modern client with all its rounds: while a server waits for answers there is no HTTP request, and the
 * next one carries the rest (MCP 2026-07-28, basic/patterns/mrtr).
 */
export class Dialogue implements Asked, Parked {
  readonly envelope: Envelope;
  readonly caller: Caller;
  readonly #request: Message;
  readonly #deps: DialogueDeps;
  readonly #open = new Map<number, Open>();
  /** The connection this call has for itself, where isolation wants that. */
  lease: string | undefined;
  /** On a connection of others, made for want of another one: what is asked there cannot be for this client. */
  mute = false;
  exchange: Exchange | undefined;
  #reply: Reply | undefined;
  #id: string;
  #token: string | undefined;
  #asked = 0;
  #stopGathering: (() => void) | undefined;
  #held: { readonly render: (id: string) => string; readonly status: number } | undefined;
  #over = false;
  #onEnd: (() => void) | undefined;

  constructor(request: Message, envelope: Envelope, caller: Caller, reply: Reply, deps: DialogueDeps) {
    this.#request = request;
    this.envelope = envelope;
    this.caller = caller;
    this.#reply = reply;
    this.#deps = deps;
    this.#id = request.id ?? "null";
    this.#token = tokenOf(request);
  }

  /** Hears of the end, once. */
  onEnd(hear: () => void): void {
    this.#onEnd = hear;
  }

  get principal(): Principal {
    return this.caller.principal;
  }

  get capabilities(): Readonly<Record<string, unknown>> {
    return this.envelope.capabilities;
  }

  /** Raw progress token of the request that carries the call now. */
  get progressToken(): string | undefined {
    return this.#token;
  }

  /** A question is open. */
  get asks(): boolean {
    return this.#open.size > 0;
  }

  /** Nobody listens at the moment. */
  get parked(): boolean {
    return this.#reply === undefined && !this.#over;
  }

  get binding(): Binding {
    return { principal: this.principal, endpoint: this.#deps.endpoint, request: this.#request };
  }

  get parking(): Parking<Dialogue> {
    return this.#deps.parking;
  }

  get authenticated(): boolean {
    return this.#deps.authenticated;
  }

  push(text: string): void {
    this.#reply?.push(text);
  }

  /** The end of the call; kept for the client's return when it is away. @param render makes the text for an id */
  finish(render: (id: string) => string, status = 200): void {
    if (this.#over) return;
    const carries = [...this.#open.values()].some(
      ({ question, shown }) => question.presumed === true && shown < MAX_SHOWN,
    );
    if (this.#reply === undefined || carries) {
      this.#held = { render, status };
      // Another call waits for the answer to what this one carries.
      if (carries) this.#park();
      return;
    }
    this.#end()?.finish(render(this.#id), status);
  }

  drop(): void {
    if (!this.#over) this.#end()?.drop();
  }

  /** The client has closed the stream of a request: of the one that carries the call, that cancels it. */
  left(reply: Reply): void {
    if (this.#reply === reply && !this.#over) this.exchange?.cancel("the client has left");
  }

  ask(message: Message, question: Question): number | undefined {
    if (this.#over || this.#open.size >= MAX_QUESTIONS) return undefined;
    const id = ++this.#asked;
    const method = message.method ?? "";
    const params = message.params === undefined ? undefined : message.slice(message.params);
    this.#open.set(id, { question, method, params: questionParams(method, params), shown: 0 });
    question.exchange?.questionOpened();
    this.#gather();
    return id;
  }

  withdraw(id: number): void {
    this.#take(id);
  }

  /** A server wants what this client has not declared: the call cannot go on. */
  lacks(message: Message): void {
    const params = message.params === undefined ? undefined : message.slice(message.params);
    this.refuse(neededCapability(message.method ?? "", params));
  }

  refuse(requiredCapabilities: Readonly<Record<string, unknown>>): void {
    const text = "the client has not declared a capability that this call needs";
    this.#fail(ModernCode.missingCapability, text, 400, { requiredCapabilities });
  }

  /**
   * The client is back with answers.
   * @param answers raw `inputResponses` by key
   */
  resume(request: Message, reply: Reply, answers: ReadonlyMap<string, string>): void {
    this.#reply = reply;
    this.#id = request.id ?? "null";
    this.#token = tokenOf(request);
    this.exchange?.away(false);
    for (const [id, open] of this.#open) {
      const answer = answers.get(keyOf(id));
      if (answer === undefined || open.shown === 0 || !fitsQuestion(open.method, answer)) continue;
      this.#take(id)?.question.answered(resultText(open.question.serverId, answer));
    }
    if (this.#held !== undefined) return this.finish(this.#held.render, this.#held.status);
    if ([...this.#open.values()].some(({ shown }) => shown >= MAX_SHOWN)) {
      return this.#fail(ErrorCode.invalidParams, "inputResponses has no fitting answer to what was asked", 200);
    }
    if (this.#open.size > 0) this.#gather();
  }

  /** The client does not come back. */
  expired(): void {
    if (this.#over) return;
    this.#decline();
    const { exchange } = this;
    this.#end();
    exchange?.cancel("the client did not come back");
  }

  /** Answers what is still open, so that no server waits for nothing. */
  #decline(which: (question: Question) => boolean = () => true): void {
    for (const [id, { question, method }] of this.#open) {
      if (!which(question)) continue;
      this.#take(id);
      question.answered(
        method === "elicitation/create"
          ? resultText(question.serverId, '{"action":"cancel"}')
          : errorText(question.serverId, ErrorCode.server, "the client did not answer"),
      );
    }
  }

  #gather(): void {
    this.#stopGathering ??= this.#deps.clock.after(GATHER_MS, () => {
      this.#stopGathering = undefined;
      this.#park();
    });
  }

  /** Hands the questions to the client and lets go of its request. */
  #park(): void {
    const reply = this.#reply;
    if (reply === undefined || this.#over || this.#open.size === 0) return;
    const state = this.#deps.parking.park(this, this.binding);
    if (state === undefined)
      return this.#fail(ErrorCode.internal, "too many calls wait for answers; try again later", 200);
    const requests = [...this.#open].map(([id, open]) => {
      open.shown++;
      return { key: keyOf(id), method: open.method, params: open.params };
    });
    this.#reply = undefined;
    this.exchange?.away(true);
    reply.finish(resultText(this.#id, inputRequired(requests, state)));
  }

  #fail(code: number, text: string, status: number, data?: object): void {
    if (this.#over) return;
    this.#decline();
    const { exchange } = this;
    const id = this.#id;
    this.#end()?.finish(errorText(id, code, text, data), status);
    exchange?.cancel(text);
  }

  #take(id: number): Open | undefined {
    const open = this.#open.get(id);
    if (open === undefined) return undefined;
    this.#open.delete(id);
    open.question.exchange?.questionClosed();
    open.question.closed();
    return open;
  }

  #end(): Reply | undefined {
    this.#over = true;
    this.#stopGathering?.();
    this.#decline(({ presumed }) => presumed === true);
    for (const id of [...this.#open.keys()]) this.#take(id);
    this.#deps.parking.leave(this);
    this.#onEnd?.();
    const reply = this.#reply;
    this.#reply = undefined;
    return reply;
  }
}

function keyOf(id: number): string {
  return `k${id}`;
}

function tokenOf(request: Message): string | undefined {
  const token = request.meta("progressToken");
  return token === undefined ? undefined : request.slice(token);
}
