import { find } from "../../src/protocol/json.ts";
import { skipSpace } from "../../src/protocol/strict-json.ts";
import { PATIENCE_MS } from "../fixtures/relay-server.ts";
import type { Parsed } from "../fixtures/relay-server.ts";

/** One message from the proxy. */
export interface Said {
  readonly text: string;
  readonly message: Parsed;
}

/** What comes on one stream, in order. */
export class Inbox {
  readonly said: Said[] = [];
  readonly #waiting = new Set<() => void>();
  #status = 0;
  #headers = new Headers();
  #over = false;

  /** Text of everything that came. */
  get texts(): string[] {
    return this.said.map(({ text }) => text);
  }

  get over(): boolean {
    return this.#over;
  }

  async first(fits: (message: Parsed, text: string) => boolean): Promise<Said> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = this.said.find(({ message, text }) => fits(message, text));
      if (found !== undefined) return found;
      if (this.#over) throw new Error(`the stream (HTTP ${this.#status}) ended without it: ${this.texts.join(" ")}`);
      if (Date.now() >= deadline)
        throw new Error(`no message for which ${fits.toString()}; came: ${this.texts.join(" ")}`);
      await this.#change(deadline);
    }
  }

  method(method: string): Promise<Said> {
    return this.first((message) => message.method === method);
  }

  /** The final answer. */
  answer(): Promise<Said> {
    return this.first((message) => message.method === undefined);
  }

  async status(): Promise<number> {
    const deadline = Date.now() + PATIENCE_MS;
    while (this.#status === 0 && !this.#over && Date.now() < deadline) await this.#change(deadline);
    return this.#status;
  }

  async header(name: string): Promise<string | null> {
    await this.status();
    return this.#headers.get(name);
  }

  async ended(): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!this.#over && Date.now() < deadline) await this.#change(deadline);
    if (!this.#over) throw new Error(`the stream does not end; came: ${this.texts.join(" ")}`);
  }

  /** What comes on a stream that many share. */
  opened(status: number, headers: Headers): void {
    this.#status = status;
    this.#headers = headers;
    this.#wake();
  }

  take(text: string): void {
    this.#add(text);
  }

  async read(response: Response): Promise<void> {
    this.#status = response.status;
    this.#headers = response.headers;
    this.#wake();
    if (response.headers.get("content-type") !== "text/event-stream") {
      const text = await response.text();
      if (text !== "") this.#add(text);
    } else if (response.body !== null) {
      const decoder = new TextDecoder();
      let parts: string[] = [];
      for await (const chunk of response.body) {
        const text = decoder.decode(chunk as Uint8Array, { stream: true });
        parts.push(text);
        if (!text.includes("\n")) continue;
        const events = parts.join("").split("\n\n");
        parts = [events.pop() ?? ""];
        for (const event of events) {
          const data = event.split("\n").flatMap((line) => (line.startsWith("data: ") ? [line.slice(6)] : []));
          if (data.length > 0) this.#add(data.join("\n"));
        }
      }
    }
    this.end();
  }

  end(): void {
    this.#over = true;
    this.#wake();
  }

  #add(text: string): void {
    this.said.push({ text, message: JSON.parse(text) as Parsed });
    this.#wake();
  }

  #change(deadline: number): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#waiting.add(resolve);
      setTimeout(resolve, deadline - Date.now()).unref();
    });
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

export interface RawClientOptions {
  /** Raw text of the capabilities. */
  readonly capabilities?: string;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly version?: string;
}

/** A legacy client that hides nothing and changes nothing: over HTTP+SSE where the URL ends in `/sse`, else Streamable HTTP. */
export class RawClient {
  readonly url: string;
  readonly introduction: Said;
  readonly session: string;
  /** Sent with every request from now on. */
  headers: Readonly<Record<string, string>>;
  readonly #version: string;
  readonly #abort = new AbortController();
  readonly #channel: SseChannel | undefined;

  private constructor(
    url: string,
    introduction: Said,
    session: string,
    options: RawClientOptions,
    channel?: SseChannel,
  ) {
    this.#channel = channel;
    this.url = url;
    this.introduction = introduction;
    this.session = session;
    this.headers = options.headers ?? {};
    this.#version = options.version ?? "2025-11-25";
  }

  /** Says `initialize`; an answer that is no result is an error with its text. */
  static async open(url: string, options: RawClientOptions = {}): Promise<RawClient> {
    if (new URL(url).pathname.endsWith("/sse")) {
      const channel = await SseChannel.open(url, options.headers ?? {});
      const introduction = await channel.post(initializeText(options), options.headers ?? {}).answer();
      if (introduction.message.result === undefined) {
        channel.close();
        throw new Error(`no session: ${introduction.text}`);
      }
      const client = new RawClient(url, introduction, channel.endpoint, options, channel);
      await client.notify("notifications/initialized");
      return client;
    }
    const inbox = hello(url, options);
    const introduction = await inbox.answer();
    const session = await inbox.header("mcp-session-id");
    if (session === null) throw new Error(`no session: ${introduction.text}`);
    const client = new RawClient(url, introduction, session, options);
    await client.post('{"jsonrpc":"2.0","method":"notifications/initialized"}').ended();
    return client;
  }

  /** Sends one raw message. */
  post(text: string, headers: Readonly<Record<string, string>> = {}): Inbox {
    if (this.#channel !== undefined) return this.#channel.post(text, { ...this.headers, ...headers });
    const inbox = new Inbox();
    const init = { method: "POST", body: text, headers: { ...this.#all(), ...headers }, signal: this.#abort.signal };
    run(inbox, fetch(this.url, init));
    return inbox;
  }

  request(method: string, params = "{}", id = "1"): Inbox {
    return this.post(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`);
  }

  call(tool: string, args = "{}", id = "1", meta = "{}"): Inbox {
    return this.request("tools/call", `{"name":"${tool}","arguments":${args},"_meta":${meta}}`, id);
  }

  /** Sends a notification, or an answer to a question, and waits until the proxy has taken it. */
  async notify(method: string, params = "{}"): Promise<void> {
    await this.post(`{"jsonrpc":"2.0","method":"${method}","params":${params}}`).ended();
  }

  async answer(question: Said, result: string): Promise<void> {
    await this.post(`{"jsonrpc":"2.0","id":${JSON.stringify(question.message.id)},"result":${result}}`).ended();
  }

  /** Opens the stream outside requests and waits until it is open. */
  async listen(): Promise<Inbox> {
    if (this.#channel !== undefined) return this.#channel.listen();
    const inbox = new Inbox();
    const headers = { ...this.#all(), accept: "text/event-stream" };
    run(inbox, fetch(this.url, { headers, signal: this.#abort.signal }));
    const status = await inbox.status();
    if (status !== 200) throw new Error(`no stream: HTTP ${status}`);
    return inbox;
  }

  /** Ends the session. */
  async end(): Promise<number> {
    if (this.#channel !== undefined) return this.#channel.close();
    return (await fetch(this.url, { method: "DELETE", headers: this.#all() })).status;
  }

  /** Goes away without a word. */
  vanish(): void {
    this.#channel?.close();
    this.#abort.abort();
  }

  #all(): Record<string, string> {
    return { ...common(this.headers), "mcp-session-id": this.session, "mcp-protocol-version": this.#version };
  }
}

/** Only `initialize`, for servers that may not be there. */
export function hello(url: string, options: RawClientOptions = {}): Inbox {
  const inbox = new Inbox();
  const body = initializeText(options);
  run(inbox, fetch(url, { method: "POST", body, headers: common(options.headers ?? {}) }));
  return inbox;
}

function initializeText(options: RawClientOptions): string {
  const version = options.version ?? "2025-11-25";
  const params = `{"protocolVersion":"${version}","capabilities":${options.capabilities ?? "{}"},"clientInfo":{"name":"raw","version":"0"}}`;
  return `{"jsonrpc":"2.0","id":"hello","method":"initialize","params":${params}}`;
}

/** The client's end of HTTP+SSE: one stream for everything, shared out to who waits for it. */
class SseChannel {
  /** Where to post. */
  readonly endpoint: string;
  readonly #abort: AbortController;
  /** Who waits for an answer, by the id as it was written; the oldest first where several wait for one. */
  readonly #open = new Map<string, Inbox[]>();
  readonly #outside: string[] = [];
  #listener: Inbox | undefined;

  private constructor(endpoint: string, abort: AbortController) {
    this.endpoint = endpoint;
    this.#abort = abort;
  }

  static async open(url: string, headers: Readonly<Record<string, string>>): Promise<SseChannel> {
    const abort = new AbortController();
    const response = await fetch(url, { headers: { ...headers, accept: "text/event-stream" }, signal: abort.signal });
    if (!response.ok || response.body === null)
      throw new Error(`no session: HTTP ${response.status} ${await response.text()}`);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const state: { channel?: SseChannel } = {};
    const early: string[] = [];
    void readSse(response.body, (type, data) => {
      if (type === "endpoint") resolve(new URL(data, url).href);
      else if (state.channel === undefined) early.push(data);
      else state.channel.#take(data);
    })
      .catch(() => undefined)
      .then(() => {
        reject(new Error("the stream ended before it named an endpoint"));
        state.channel?.close();
      });
    const channel = new SseChannel(await promise, abort);
    state.channel = channel;
    for (const data of early) channel.#take(data);
    return channel;
  }

  post(text: string, headers: Readonly<Record<string, string>>): Inbox {
    const inbox = new Inbox();
    const { id, method } = JSON.parse(text) as Parsed;
    const waits = id !== undefined && method !== undefined;
    const key = rawId(text);
    if (waits) this.#open.set(key, [...(this.#open.get(key) ?? []), inbox]);
    const sent = fetch(this.endpoint, {
      method: "POST",
      body: text,
      headers: common(headers),
      signal: this.#abort.signal,
    });
    sent
      .then(async (response) => {
        if (response.status !== 202) {
          const others = this.#open.get(key)?.filter((each) => each !== inbox) ?? [];
          this.#open.set(key, others);
          return await inbox.read(response);
        }
        // What follows is an answer as good as one of HTTP's own.
        inbox.opened(waits ? 200 : 202, response.headers);
        if (!waits) inbox.end();
      })
      .catch(() => inbox.end());
    return inbox;
  }

  listen(): Inbox {
    this.#listener = new Inbox();
    this.#listener.opened(200, new Headers());
    for (const text of this.#outside.splice(0)) this.#listener.take(text);
    return this.#listener;
  }

  close(): number {
    this.#abort.abort();
    for (const inbox of this.#open.values().flatMap((each) => each)) inbox.end();
    this.#listener?.end();
    return 204;
  }

  #take(text: string): void {
    if ((JSON.parse(text) as Parsed).method === undefined) {
      const inbox = this.#open.get(rawId(text))?.shift();
      inbox?.opened(200, new Headers());
      inbox?.take(text);
      return inbox?.end();
    }
    const waiting = [...this.#open.values()].flat();
    for (const inbox of waiting) inbox.take(text);
    if (this.#listener !== undefined) this.#listener.take(text);
    else if (waiting.length === 0) this.#outside.push(text);
  }
}

/** The id of a message, letter for letter. */
function rawId(text: string): string {
  const span = find(text, skipSpace(text, 0), "id");
  return span === undefined ? "" : text.slice(span.start, span.end);
}

async function readSse(body: ReadableStream<Uint8Array>, event: (type: string, data: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const events = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = events.pop() ?? "";
    for (const each of events) {
      const field = (name: string): string | undefined =>
        each
          .split("\n")
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      const data = field("data");
      if (data !== undefined) event(field("event") ?? "message", data);
    }
  }
}

function common(headers: Readonly<Record<string, string>>): Record<string, string> {
  return { accept: "application/json, text/event-stream", "content-type": "application/json", ...headers };
}

function run(inbox: Inbox, response: Promise<Response>): void {
  response.then((answer) => inbox.read(answer)).catch(() => inbox.end());
}
