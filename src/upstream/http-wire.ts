import { isModernVersion } from "../protocol/eras/names.ts";
import type { Clock } from "../telemetry/clock.ts";
import { Fault } from "./fault.ts";
import { discard, readStart } from "./http-body.ts";
import { HttpExchange } from "./http-exchange.ts";
import { networkFault, statusFault } from "./http-fault.ts";
import { HttpLink } from "./http-link.ts";
import type { Fetch } from "./http-link.ts";
import { HttpListener } from "./http-listener.ts";
import { answeredId, responseId } from "./line-answer.ts";
import { NoiseGate } from "./line-noise.ts";
import type { RequestOptions, Wire, WireListener } from "./wire.ts";

export interface HttpWireOptions {
  readonly url: string;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** False accepts any certificate of the server. */
  readonly rejectUnauthorized: boolean;
  /** Longest message the server may send, in bytes. */
  readonly maxMessageBytes: number;
  readonly clock: Clock;
  /** Chance in the pauses between attempts, 0 to 1. */
  readonly random?: () => number;
  readonly fetch?: Fetch;
}

/** How long a server may take to say goodbye. */
const GOODBYE_MS = 1000;
/** How long messages that are on their way may take before it. */
const LAST_WORD_MS = 500;
/** How long requests wait for the server to take the notification that ends the first phase. */
const GREETING_MS = 10_000;
const REFUSAL_BYTES = 64 * 1024;

/**
 * Streamable HTTP with sessions, versions 2025-03-26 to 2025-11-25 (basic/transports). The link consists of single
 * requests, so it is never gone before `close()`: each request fails for itself.
 */
export class HttpWire implements Wire {
  readonly attributes = true;
  readonly #options: HttpWireOptions;
  readonly #random: () => number;
  readonly #link: HttpLink;
  readonly #exchanges = new Map<number, HttpExchange>();
  readonly #sending = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  #listener: WireListener | undefined;
  #stream: HttpListener | undefined;
  #noise: NoiseGate | undefined;
  #greeting: Promise<void> = Promise.resolve();
  #greetingDue = false;
  #greeted = true;
  #closing: Promise<void> | undefined;
  /** No sessions, no stream outside requests, nothing but requests to send (MCP 2026-07-28). */
  #stateless = false;

  constructor(options: HttpWireOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    const { url, headers, rejectUnauthorized } = options;
    this.#link = new HttpLink({ url, headers, rejectUnauthorized, fetch: options.fetch ?? fetch });
  }

  open(listener: WireListener): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(stopped());
    const { clock, maxMessageBytes } = this.#options;
    this.#listener = listener;
    const noise = new NoiseGate(
      (line) => listener.noise(line, "stdout"),
      clock,
      (text) => text,
    );
    this.#noise = noise;
    this.#stream = new HttpListener({
      link: this.#link,
      clock,
      random: this.#random,
      maxMessageBytes,
      message: (text) => this.#outside(text),
      oversized: (head, tail) => this.#exchanges.get(answeredId(head, tail) ?? -1)?.tooLarge(),
      noise: (line) => noise.line(line),
      lost: () => listener.doubted?.(),
    });
    return Promise.resolve();
  }

  request(id: number, text: string, options?: RequestOptions): void {
    const listener = this.#listener;
    if (listener === undefined || this.#closing !== undefined) {
      queueMicrotask(() => this.#listener?.failed(id, stopped()));
      return;
    }
    const exchange = new HttpExchange(id, {
      link: this.#link,
      clock: this.#options.clock,
      random: this.#random,
      maxMessageBytes: this.#options.maxMessageBytes,
      message: (message) => {
        if (exchange.settled) this.#forget(id, exchange);
        listener.message(message, id);
      },
      failed: (fault) => {
        this.#forget(id, exchange);
        listener.failed(id, fault);
      },
      parked: () => listener.parked?.(id),
      noise: (line) => this.#noise?.line(line),
    });
    this.#exchanges.set(id, exchange);
    if (this.#greeted) void exchange.run(text, options?.headers);
    else void this.#greeting.then(() => exchange.run(text, options?.headers));
  }

  send(text: string): void {
    if (this.#listener === undefined || this.#closing !== undefined || this.#stateless) return;
    const sent = this.#post(text).finally(() => this.#sending.delete(sent));
    this.#sending.add(sent);
    if (!this.#greetingDue) return;
    this.#greetingDue = false;
    this.#greeted = false;
    this.#greeting = this.#bounded(sent, GREETING_MS).then(() => void (this.#greeted = true));
  }

  abandon(id: number): void {
    this.#exchanges.get(id)?.abandon();
    this.#exchanges.delete(id);
  }

  /**
   * What is sent next is the notification that ends the first phase. Later requests wait until the server has taken
   * it: they travel on connections of their own, and servers refuse what overtakes it.
   */
  initialized(protocolVersion: string): void {
    this.#link.settle(protocolVersion);
    this.#stateless = isModernVersion(protocolVersion);
    this.#greetingDue = !this.#stateless;
  }

  listen(on: boolean): void {
    if (this.#closing !== undefined || this.#stateless) return;
    if (on) this.#stream?.start(this.#greeting);
    else this.#stream?.stop();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stream?.stop();
    for (const exchange of this.#exchanges.values()) exchange.abandon();
    this.#exchanges.clear();
    if (this.#listener === undefined) return;
    // The last word must neither be cut off nor arrive after the goodbye.
    await this.#bounded(Promise.all(this.#sending), LAST_WORD_MS);
    if (this.#link.session !== undefined) {
      const { signal } = this.#abort;
      const goodbye = this.#link.call({ method: "DELETE", accept: "application/json", signal }).then(discard);
      await this.#bounded(goodbye, GOODBYE_MS);
    }
    this.#abort.abort();
    this.#noise?.end();
    this.#listener.closed(undefined);
  }

  /** A notification or an answer to the server; there is nobody to tell when it is lost, so the log is. */
  async #post(text: string): Promise<void> {
    try {
      const response = await this.#link.call({
        method: "POST",
        accept: "application/json, text/event-stream",
        signal: this.#abort.signal,
        body: text,
      });
      if (response.ok) return discard(response);
      const { text: body } = await readStart(response, REFUSAL_BYTES);
      this.#lost(statusFault({ status: response.status, headers: response.headers, body }));
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#lost(networkFault(error));
    }
  }

  #lost(fault: Fault): void {
    this.#noise?.line(`a message to it was lost: ${fault.message}${fault.detail ? ` (${fault.detail})` : ""}`);
  }

  #outside(text: string): void {
    const id = responseId(text);
    const exchange = id === undefined ? undefined : this.#exchanges.get(id);
    if (id !== undefined && exchange !== undefined) {
      this.#forget(id, exchange);
      exchange.settle();
    }
    this.#listener?.message(text, undefined);
  }

  #forget(id: number, exchange: HttpExchange): void {
    if (this.#exchanges.get(id) === exchange) this.#exchanges.delete(id);
  }

  /** Waits for a promise, however it ends, but not longer than `ms`. */
  #bounded(promise: Promise<unknown>, ms: number): Promise<void> {
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(ms, resolve);
    void promise
      .catch(() => undefined)
      .then(() => {
        cancel();
        resolve();
      });
    return done;
  }
}

function stopped(): Fault {
  return new Fault("upstream.stopped", "the server is being stopped; try again later", { notRun: true });
}
