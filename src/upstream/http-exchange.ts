import type { Clock } from "../telemetry/clock.ts";
import { Backoff } from "./backoff.ts";
import { Fault } from "./fault.ts";
import { discard, readStart, readText } from "./http-body.ts";
import {
  answerIn,
  networkFault,
  protocolFault,
  sessionFault,
  sessionLost,
  statusFault,
  tooLargeFault,
} from "./http-fault.ts";
import type { HttpLink } from "./http-link.ts";
import { messagesIn, responseId } from "./line-answer.ts";
import { skippedLine } from "./line-noise.ts";
import { readEvents, retryPause } from "./sse-events.ts";

export interface ExchangeDeps {
  readonly link: HttpLink;
  readonly clock: Clock;
  readonly random: () => number;
  readonly maxMessageBytes: number;
  /** A message of this request's stream. */
  readonly message: (text: string) => void;
  readonly failed: (fault: Fault) => void;
  /** The server may let the stream go before the answer. */
  readonly parked: () => void;
  readonly noise: (line: string) => void;
}

const ACCEPT_BOTH = "application/json, text/event-stream";
const EVENT_STREAM = "text/event-stream";
/** What is read of an answer that is no answer. */
const REFUSAL_BYTES = 64 * 1024;
/** How long a stream may stay open behind the answer it was for; its end lets the connection be used again. */
const LINGER_MS = 1000;
const RETRY_MS = 1000;
/** Attempts in a row that brought nothing, before a stream is given up. */
const MAX_FAILURES = 5;
/** A server that nobody can reach for so long is gone, and the answer with it; who waits shall know soon. */
const GONE_MS = 1_500;
const GONE_RETRY_MS = 500;
/** How a notification or a request of a server begins. */
const NO_ANSWER = /^\s*\{\s*(?:"(?:jsonrpc|id)"\s*:\s*(?:"[^"\\]*"|\d+)\s*,\s*){0,2}"method"/;

/** One request over Streamable HTTP and whatever comes back on its stream, resumed where the server can do that. */
export class HttpExchange {
  readonly #id: number;
  readonly #deps: ExchangeDeps;
  readonly #abort = new AbortController();
  readonly #backoff: Backoff;
  #settled = false;
  /** Nothing more will be read, so there is nothing to cut off. */
  #finished = false;
  #cancelLinger: (() => void) | undefined;
  #lastEventId = "";
  /** A message on its stream was too long, perhaps the answer. */
  #skipped = false;
  #retryMs: number | undefined;

  constructor(id: number, deps: ExchangeDeps) {
    this.#id = id;
    this.#deps = deps;
    this.#backoff = new Backoff(deps.random);
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** The answer came, here or elsewhere: the stream is nobody's any more. */
  settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    if (!this.#finished) this.#cancelLinger = this.#deps.clock.after(LINGER_MS, () => this.#abort.abort());
  }

  /** Its answer came, and was longer than is accepted. */
  tooLarge(): void {
    this.#fail(tooLargeFault(this.#deps.maxMessageBytes));
  }

  /** Nobody waits any more; nothing is reported from now on. */
  abandon(): void {
    this.#settled = true;
    this.#abort.abort();
  }

  /** Sends it and reads what comes. Never throws. */
  async run(text: string, headers: Readonly<Record<string, string>> | undefined): Promise<void> {
    const { link } = this.#deps;
    if (this.#settled) return;
    const session = link.session;
    try {
      const response = await link.call({
        method: "POST",
        accept: ACCEPT_BOTH,
        signal: this.#abort.signal,
        body: text,
        headers,
      });
      await this.#read(response, session);
    } catch (error) {
      this.#fail(networkFault(error));
    } finally {
      this.#cancelLinger?.();
    }
  }

  async #read(response: Response, session: string | undefined): Promise<void> {
    if (!response.ok) return this.#refused(response, session);
    if (isEventStream(response)) return this.#follow(response);
    // Accepted, and nothing here: some servers answer on the stream outside requests.
    if (response.status === 202 || response.status === 204) return discard(response);
    const { maxMessageBytes } = this.#deps;
    const body = await readText(response, maxMessageBytes);
    if (body === undefined) return this.tooLarge();
    this.#finished = true;
    const messages = messagesIn(body);
    for (const message of messages) this.#deliver(message);
    if (this.#settled) return;
    const type = response.headers.get("content-type") ?? "no content type";
    this.#fail(protocolFault(messages.length === 0 ? `${type} that is no message` : "another message", body));
  }

  async #refused(response: Response, session: string | undefined): Promise<void> {
    const { text } = await readStart(response, REFUSAL_BYTES);
    const refusal = { status: response.status, headers: response.headers, body: text };
    if (session !== undefined && sessionLost(refusal)) return this.#fail(sessionFault(true));
    const answer = answerIn(refusal, this.#id);
    if (answer !== undefined) return this.#deliver(answer);
    this.#fail(statusFault(refusal));
  }

  /** Reads the stream, and those that take it up, until the answer is there. */
  async #follow(first: Response): Promise<void> {
    let stream: Response | "gone" | undefined = first;
    let goneSince = Number.POSITIVE_INFINITY;
    for (let failures = 0; failures <= MAX_FAILURES; failures++) {
      if (stream === "gone") {
        const now = this.#deps.clock.now();
        goneSince = Math.min(goneSince, now);
        if (now - goneSince >= GONE_MS) break;
      } else goneSince = Number.POSITIVE_INFINITY;
      if (stream instanceof Response) {
        failures = 0;
        await this.#events(stream);
        if (this.#settled) return;
        // Taken up, it could bring the same answer again.
        if (this.#skipped) return this.tooLarge();
      }
      if (this.#lastEventId === "") break;
      const pause =
        stream === "gone" ? GONE_RETRY_MS : failures === 0 ? (this.#retryMs ?? RETRY_MS) : this.#backoff.next(0);
      await new Promise<void>((resolve) => this.#deps.clock.after(pause, resolve));
      if (this.#settled) return;
      const again = await this.#resume();
      if (again === "refused") break;
      stream = again;
    }
    this.#fail(networkFault(new Error("the stream ended before the answer")));
  }

  /** @returns undefined when it is worth another attempt, `gone` when nobody was there to be asked */
  async #resume(): Promise<Response | "refused" | "gone" | undefined> {
    const { link } = this.#deps;
    const session = link.session;
    const headers = { "last-event-id": this.#lastEventId };
    const { signal } = this.#abort;
    const response = await link.call({ method: "GET", accept: EVENT_STREAM, signal, headers }).catch(networkFault);
    if (response instanceof Fault) return response.notRun ? "gone" : undefined;
    if (response.ok && isEventStream(response)) return response;
    const { text } = await readStart(response, REFUSAL_BYTES);
    if (response.status >= 500 || response.status === 429) return undefined;
    const refusal = { status: response.status, headers: response.headers, body: text };
    if (session !== undefined && sessionLost(refusal)) this.#fail(sessionFault(false));
    return "refused";
  }

  #events(stream: Response): Promise<void> {
    const { maxMessageBytes } = this.#deps;
    if (stream.body === null) return Promise.resolve();
    return readEvents(stream.body, maxMessageBytes, {
      message: (data) => {
        const messages = messagesIn(data);
        if (messages.length === 0) this.#deps.noise(data);
        for (const message of messages) this.#deliver(message);
      },
      prime: () => {
        if (!this.#settled) this.#deps.parked();
      },
      oversized: (head) => {
        this.#skipped = true;
        // An answer on this stream is the answer, and it need not be waited for.
        if (!NO_ANSWER.test(head)) this.tooLarge();
      },
      skipped: (head, _tail, chars) => this.#deps.noise(skippedLine(chars, maxMessageBytes, head)),
      id: (id) => (this.#lastEventId = id),
      retry: (ms) => (this.#retryMs = retryPause(ms)),
    });
  }

  #deliver(message: string): void {
    if (this.#abort.signal.aborted) return;
    if (responseId(message) === this.#id) {
      if (this.#settled) return;
      this.settle();
    }
    this.#deps.message(message);
  }

  #fail(fault: Fault): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#abort.abort();
    this.#deps.failed(fault);
  }
}

export function isEventStream(response: Response): boolean {
  return response.headers.get("content-type")?.toLowerCase().startsWith(EVENT_STREAM) ?? false;
}
