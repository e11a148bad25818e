import { join } from "node:path";

/** An entry of `mcpServers` for the fixture server. */
export function tools(more: Record<string, unknown> = {}): Record<string, unknown> {
  return { command: process.execPath, args: [join(import.meta.dir, "../fixtures/http-tools.ts")], ...more };
}

export interface RpcMessage {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** What came, in order: one message of a JSON body, or all of an event stream. */
  readonly messages: readonly RpcMessage[];
  /** The answer itself: the last message. */
  readonly last: RpcMessage;
}

export const INITIALIZE = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } },
};

/** An MCP client over HTTP that hides nothing. */
export class HttpClient {
  readonly url: string;
  readonly headers: Record<string, string>;
  session: string | undefined;
  #nextId = 1;

  constructor(url: string, headers: Record<string, string> = {}) {
    this.url = url;
    this.headers = headers;
  }

  fetch(
    method: string,
    body?: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return fetch(this.url, {
      method,
      redirect: "manual",
      headers: {
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        Accept: method === "GET" ? "text/event-stream" : "application/json, text/event-stream",
        ...(this.session === undefined ? {} : { "Mcp-Session-Id": this.session }),
        ...this.headers,
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    });
  }

  async send(message: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const body = typeof message === "string" ? message : JSON.stringify(message);
    return await readAnswer(await this.fetch("POST", body, headers));
  }

  /** @throws Error when it fails */
  async initialize(params: Record<string, unknown> = {}): Promise<Answer> {
    const answer = await this.send({ ...INITIALIZE, params: { ...INITIALIZE.params, ...params } });
    const session = answer.headers.get("mcp-session-id");
    if (session === null) throw new Error(`no session: ${answer.status} ${answer.text}`);
    this.session = session;
    return answer;
  }

  request(method: string, params?: unknown): Promise<Answer> {
    return this.send({ jsonrpc: "2.0", id: this.#nextId++, method, ...(params === undefined ? {} : { params }) });
  }

  /** The text a tool answers. */
  async call(name: string, args: Record<string, unknown> = {}): Promise<string> {
    const { last, text } = await this.request("tools/call", { name, arguments: args });
    const content = last.result?.["content"] as { text: string }[] | undefined;
    if (content?.[0] === undefined) throw new Error(`no result: ${text}`);
    return content[0].text;
  }
}

/** A client with a session. */
export async function connect(url: string, headers: Record<string, string> = {}): Promise<HttpClient> {
  const client = new HttpClient(url, headers);
  await client.initialize();
  return client;
}

export async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const messages = parseBody(text, response.headers.get("content-type"));
  return { status: response.status, headers: response.headers, text, messages, last: messages.at(-1) ?? {} };
}

function parseBody(text: string, type: string | null): RpcMessage[] {
  if (type?.startsWith("application/json") === true) return text === "" ? [] : [JSON.parse(text) as RpcMessage];
  if (type?.startsWith("text/event-stream") !== true) return [];
  return text
    .split("\n")
    .filter((line) => line.startsWith("data: ") && line.length > "data: ".length)
    .map((line) => JSON.parse(line.slice("data: ".length)) as RpcMessage);
}

/** Reads an event stream piece by piece. */
export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  text = "";

  constructor(response: Response) {
    if (response.body === null) throw new Error("no body");
    this.#reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  }

  /** Reads on until the text so far holds `wanted`. @throws Error when the stream ends before */
  async until(wanted: string): Promise<void> {
    // Only what is new is looked through: a search in all of it after each chunk takes seconds for a large message.
    let tail = this.text;
    while (!tail.includes(wanted)) {
      const { done, value } = await this.#reader.read();
      if (done) throw new Error(`the stream ended before ${JSON.stringify(wanted)}: ${this.text}`);
      const chunk = this.#decoder.decode(value, { stream: true });
      this.text += chunk;
      tail = tail.slice(1 - wanted.length) + chunk;
    }
  }

  /** Reads to the end. */
  async rest(): Promise<string> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return this.text;
      this.text += this.#decoder.decode(value, { stream: true });
    }
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }
}
