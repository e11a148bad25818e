import { Fault } from "./fault.ts";
import { discard, readStart } from "./http-body.ts";
import { isEventStream } from "./http-exchange.ts";
import { networkFault, protocolFault, sessionFault, sessionLost, statusFault, tooLargeFault } from "./http-fault.ts";
import { HttpLink } from "./http-link.ts";
import type { HttpWireOptions } from "./http-wire.ts";
import { answeredId, messagesIn } from "./line-answer.ts";
import { NoiseGate, skippedLine } from "./line-noise.ts";
import { readEvents } from "./sse-events.ts";
import type { RequestOptions, Wire, WireListener } from "./wire.ts";

/** How long a server may take to say where to post. */
const ENDPOINT_MS = 30_000;
/** How long requests wait for the server to take the notification that ends the first phase. */
const GREETING_MS = 10_000;
/** How long messages that are on their way may take before the end. */
const LAST_WORD_MS = 500;
const REFUSAL_BYTES = 64 * 1024;
const EVENT_STREAM = "text/event-stream";

/**
 * HTTP+SSE, version 2024-11-05 (basic/transports): one stream on which everything comes, and posts to the place that
 * its first event names. With the stream the server's session ends, and so does the link.
 */
export class SseWire implements Wire {
  /** Everything comes on one stream, and nothing says which request it belongs to. */
  readonly attributes = false;
  readonly #options: HttpWireOptions;
  readonly #link: HttpLink;
  readonly #abort = new AbortController();
  readonly #sending = new Set<Promise<void>>();
  #listener: WireListener | undefined;
  #noise: NoiseGate | undefined;
  #endpoint: string | undefined;
  #greeting: Promise<void> | undefined;
  #greetingDue = false;
  #closing: Promise<void> | undefined;
  #over = false;

  constructor(options: HttpWireOptions) {
    this.#options = options;
    const { url, headers, rejectUnauthorized } = options;
    this.#link = new HttpLink({ url, headers, rejectUnauthorized, fetch: options.fetch ?? fetch });
  }

  /** @throws Fault when the server gives no stream, or names no place to post to */
  async open(listener: WireListener): Promise<void> {
    if (this.#closing !== undefined) throw stopped();
    this.#listener = listener;
    this.#noise = new NoiseGate(
      (line) => listener.noise(line, "stdout"),
      this.#options.clock,
      (text) => text,
    );
    const named = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(ENDPOINT_MS, () =>
      named.reject(protocolFault(`an event stream without an endpoint event for ${ENDPOINT_MS / 1000} s`, "")),
    );
    try {
      const stream = await this.#stream();
      void this.#read(stream, named);
      await named.promise;
    } catch (error) {
      this.#abort.abort();
      throw error instanceof Fault ? error : networkFault(error);
    } finally {
      cancel();
    }
  }

  request(id: number, text: string, options?: RequestOptions): void {
    if (this.#over || this.#closing !== undefined || this.#endpoint === undefined) {
      queueMicrotask(() => this.#listener?.failed(id, stopped()));
      return;
    }
    const failed = (fault: Fault): void => this.#listener?.failed(id, fault);
    if (this.#greeting === undefined) void this.#post(text, failed, options);
    else void this.#greeting.then(() => this.#post(text, failed, options));
  }

  send(text: string): void {
    if (this.#over || this.#closing !== undefined || this.#endpoint === undefined) return;
    const lost = (fault: Fault): void => this.#noise?.line(`a message to it was lost: ${fault.message}`);
    const sent = this.#post(text, lost).finally(() => this.#sending.delete(sent));
    this.#sending.add(sent);
    if (!this.#greetingDue) return;
    this.#greetingDue = false;
    this.#greeting = this.#bounded(sent, GREETING_MS).then(() => void (this.#greeting = undefined));
  }

  /** The answer, should it come, is nobody's. */
  abandon(): void {}

  /** Requests later than what is sent next wait for it: each travels on a connection of its own and could overtake it. */
  initialized(protocolVersion: string): void {
    this.#link.settle(protocolVersion);
    this.#greetingDue = true;
  }

  /** There is one stream, open as long as the link. */
  listen(): void {}

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (!this.#over) await this.#bounded(Promise.all(this.#sending), LAST_WORD_MS);
    this.#abort.abort();
    this.#end(undefined);
  }

  async #stream(): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#link.call({ method: "GET", accept: EVENT_STREAM, signal: this.#abort.signal });
    if (response.ok && response.body !== null && isEventStream(response)) return response.body;
    const { text } = await readStart(response, REFUSAL_BYTES);
    if (!response.ok) throw statusFault({ status: response.status, headers: response.headers, body: text });
    throw protocolFault(
      `${response.headers.get("content-type") ?? "no content type"} instead of an event stream`,
      text,
    );
  }

  async #read(stream: ReadableStream<Uint8Array>, named: PromiseWithResolvers<void>): Promise<void> {
    const { maxMessageBytes } = this.#options;
    let told = false;
    await readEvents(stream, maxMessageBytes, {
      message: (data) => this.#deliver(data),
      other: (type, data) => {
        if (type !== "endpoint" || this.#endpoint !== undefined) return;
        try {
          this.#endpoint = endpointIn(data, this.#options.url);
          named.resolve();
        } catch (error) {
          named.reject(error);
        }
      },
      oversized: (head) => {
        told = this.#tooLarge(answeredId(head, ""));
      },
      skipped: (head, tail, chars) => {
        if (!told) this.#tooLarge(answeredId(head, tail));
        this.#noise?.line(skippedLine(chars, maxMessageBytes, head));
      },
      id: () => {},
      retry: () => {},
    });
    if (this.#closing !== undefined) return;
    const fault = networkFault(new Error("the server ended its event stream"));
    const opened = this.#endpoint !== undefined;
    named.reject(fault);
    if (opened) this.#end(fault);
  }

  /** @returns whether it is known whose answer was too long */
  #tooLarge(id: number | undefined): boolean {
    if (id !== undefined) this.#listener?.failed(id, tooLargeFault(this.#options.maxMessageBytes));
    return id !== undefined;
  }

  #deliver(data: string): void {
    if (this.#over || this.#abort.signal.aborted) return;
    const messages = messagesIn(data);
    if (messages.length === 0) this.#noise?.line(data);
    for (const message of messages) this.#listener?.message(message, undefined);
  }

  async #post(text: string, failed: (fault: Fault) => void, options?: RequestOptions): Promise<void> {
    try {
      const response = await this.#link.call({
        method: "POST",
        url: this.#endpoint ?? this.#options.url,
        accept: "application/json, text/event-stream",
        signal: this.#abort.signal,
        body: text,
        headers: options?.headers,
      });
      if (response.ok) return discard(response);
      const { text: body } = await readStart(response, REFUSAL_BYTES);
      if (this.#over || this.#closing !== undefined) return;
      const refusal = { status: response.status, headers: response.headers, body };
      failed(sessionLost(refusal) ? sessionFault(true) : statusFault(refusal));
    } catch (error) {
      if (!this.#over && this.#closing === undefined) failed(networkFault(error));
    }
  }

  #end(fault: Fault | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#noise?.end();
    this.#listener?.closed(fault);
  }

  /** Waits for a promise, however it ends, but not longer than `ms`. */
  #bounded(promise: Promise<unknown>, ms: number): Promise<void> {
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(ms, resolve);
    const stop = (): void => {
      cancel();
      resolve();
    };
    void promise.then(stop, stop);
    return done;
  }
}

/**
 * Where to post.
 * @throws Fault when it is elsewhere: our headers carry credentials, and only this server may see them
 */
function endpointIn(data: string, from: string): string {
  const target = URL.parse(data.trim(), from);
  if (target === null) throw protocolFault("an endpoint event that is no URL", data);
  if (target.origin !== new URL(from).origin) {
    throw protocolFault("an endpoint event that points to another server, which is refused", data);
  }
  return target.href;
}

function stopped(): Fault {
  return new Fault("upstream.stopped", "the server is being stopped; try again later", { notRun: true });
}
