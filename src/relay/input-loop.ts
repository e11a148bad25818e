import { randomUUID } from "node:crypto";
import { canAnswer } from "../protocol/capabilities.ts";
import { ErrorCode, notificationText } from "../protocol/errors.ts";
import { modernCapabilities, withParams } from "../protocol/eras/envelope.ts";
import type { InputRequest } from "../protocol/eras/input.ts";
import { readInputRequired, retryParams } from "../protocol/eras/input.ts";
import { asString, getKey, setKey } from "../protocol/eras/object-text.ts";
import { Message } from "../protocol/message.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Session } from "./session.ts";
import type { Exchange } from "./exchange.ts";

const MAX_ROUNDS = 16;
const ROUND_MS = 10 * 60_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export interface LoopDeps {
  readonly clock: Clock;
  readonly session: Session | undefined;
  readonly exchange: Exchange;
  /** Sends the call again, with answers. */
  resend(message: Message): void;
  /** Ends the call with an error. @param error raw text of it */
  fail(code: number, text: string): void;
  failWith(error: string): void;
}

/**
 * Plays a modern server's questions to a legacy client: each as a request of its own on the stream of its call, then the
 * call once more with all answers (MCP 2026-07-28, basic/patterns/mrtr).
 */
export class InputLoop {
  readonly #deps: LoopDeps;
  #rounds = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #shown = new Map<string, number>();
  #visits: string[] = [];
  #stop: (() => void) | undefined;
  #over = false;

  constructor(deps: LoopDeps) {
    this.#deps = deps;
  }

  /** @param sent the request that was answered so @param result raw `input_required` result */
  next(sent: Message, result: string): void {
    const required = readInputRequired(result);
    if (required === undefined)
      return this.#fail(ErrorCode.internal, "the server asks for something that is unknown here");
    if (++this.#rounds > MAX_ROUNDS)
      return this.#fail(ErrorCode.internal, `the server asked more than ${MAX_ROUNDS} times`);
    this.#visited();
    const answers = new Map<string, string>();
    const again = (): void => {
      this.#stop?.();
      const params = sent.params === undefined ? "{}" : sent.slice(sent.params);
      this.#deps.resend(withParams(sent, retryParams(params, answers, required.state)));
    };
    if (required.requests.length === 0) {
      const pause = this.#pauseMs;
      this.#pauseMs = Math.min(pause * 2, LONGEST_PAUSE_MS);
      this.#stop = this.#deps.clock.after(pause, again);
      return;
    }
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#ask(required.requests, answers, again);
  }

  /** The call is over, one way or the other. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stop?.();
    for (const id of this.#shown.values()) {
      this.#deps.session?.withdraw(id, (requestId) => notificationText("notifications/cancelled", { requestId }));
    }
    this.#shown.clear();
    this.#visited();
  }

  #ask(requests: readonly InputRequest[], answers: Map<string, string>, done: () => void): void {
    const { session, exchange, clock } = this.#deps;
    const messages = requests.map((request) => ({ request, message: asMessage(request) }));
    const capabilities =
      session === undefined ? {} : modernCapabilities(session.capabilities, session.client.protocolVersion);
    const lacking = messages.find(({ message }) => !canAnswer(capabilities, message));
    if (session === undefined || lacking !== undefined) {
      const method = lacking?.request.method ?? requests[0]?.method ?? "";
      return this.#fail(ErrorCode.invalidParams, `the client has not declared the capability for ${method}`);
    }
    this.#stop = clock.after(ROUND_MS, () =>
      this.#fail(ErrorCode.internal, "the client did not answer what the server asked"),
    );
    for (const { request, message } of messages) {
      const id = session.ask(message, {
        connection: undefined,
        serverId: "0",
        progressToken: undefined,
        exchange,
        answered: (text) => this.#answered(request, text, answers, requests.length, done),
        closed: () => void this.#shown.delete(request.key),
      });
      if (id === undefined) return this.#fail(ErrorCode.internal, "the client has too many open questions");
      this.#shown.set(request.key, id);
      if (message.stringParam("mode") === "url") this.#visits.push(message.stringParam("elicitationId") ?? "");
      if (this.#over) return;
    }
  }

  #answered(request: InputRequest, text: string, answers: Map<string, string>, wanted: number, done: () => void): void {
    if (this.#over) return;
    const message = Message.read(text, "client");
    if (typeof message === "string") return;
    if (message.result !== undefined) answers.set(request.key, message.slice(message.result));
    else if (request.method === "elicitation/create") answers.set(request.key, '{"action":"cancel"}');
    else if (message.error !== undefined) {
      // A result is all that can be said to the server, and there is none.
      return this.#deps.failWith(message.slice(message.error));
    }
    if (answers.size === wanted) done();
  }

  /** Pages were visited, as far as the server cares: it has answered the call that came after. */
  #visited(): void {
    for (const elicitationId of this.#visits) {
      this.#deps.exchange.push(notificationText("notifications/elicitation/complete", { elicitationId }));
    }
    this.#visits = [];
  }

  #fail(code: number, text: string): void {
    this.#deps.fail(code, text);
  }
}

/** A question as a request of the legacy era. */
function asMessage({ method, params }: InputRequest): Message {
  const url = params !== undefined && asString(getKey(params, "mode")) === "url";
  const own = url ? setKey(params, "elicitationId", JSON.stringify(randomUUID())) : params;
  const tail = own === undefined ? "" : `,"params":${own}`;
  return Message.read(`{"jsonrpc":"2.0","id":0,"method":${JSON.stringify(method)}${tail}}`, "upstream") as Message;
}

/** @param error raw */
export function errorAnswer(id: string, error: string): string {
  return `{"jsonrpc":"2.0","id":${id},"error":${error}}`;
}
