import type { Fault } from "./fault.ts";

/**
 * One live link to an MCP server as raw JSON-RPC texts: a child process, Streamable HTTP, or HTTP+SSE. A wire knows
 * framing and its transport's rules, nothing of MCP methods, ids or sessions of clients. One contract, one test suite.
 */
export interface Wire {
  /**
   * Starts the process or prepares the HTTP link and resolves when messages can be sent. It resolves for HTTP without
   * any request having been made.
   * @throws Fault when the process cannot be started.
   */
  open(listener: WireListener): Promise<void>;

  /**
   * Sends a request. Over HTTP, what arrives on the answer's stream is reported with `via: id`; a request that cannot
   * be delivered is reported by `failed(id, …)`, never thrown.
   * @param id the number that stands as `id` in `text`
   */
  request(id: number, text: string, options?: RequestOptions): void;

  /** Sends a notification or a response. Loss is reported through `closed`, if at all. */
  send(text: string): void;

  /** Nobody waits for this request any more: over HTTP its stream is closed; over stdio nothing happens. */
  abandon(id: number): void;

  /**
   * What the greeting settled: the version header and the end of the first phase. HTTP wires send it from now on; with a
   * stateless version they have nothing to send but requests, and no stream outside them.
   */
  initialized(protocolVersion: string): void;

  /** Opens (or closes) the stream for what the server says outside any request. Only HTTP has one. */
  listen(on: boolean): void;

  /** Whether messages that arrive name the request they belong to (`via`). */
  readonly attributes: boolean;

  /** Ends the link in the transport's orderly way and resolves when nothing of it is left. Idempotent. */
  close(): Promise<void>;
}

export interface RequestOptions {
  /** Extra HTTP headers for this request only. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface WireListener {
  /**
   * One JSON-RPC message, raw. Never a batch: wires split those.
   * @param via the request on whose stream it came; undefined on stdio and on the stream outside requests
   */
  message(text: string, via: number | undefined): void;
  /** One request failed on its own; the link lives on. */
  failed(id: number, fault: Fault): void;
  /** The server lets the stream of a request go, or is about to: its answer will be fetched later. Only HTTP has that. */
  parked?(id: number): void;
  /** It seems that the server has forgotten our session; the next request would tell. Only HTTP has that. */
  doubted?(): void;
  /** The link is gone. Called exactly once, also after `close()` (then without a fault). */
  closed(fault: Fault | undefined): void;
  /** A line a child wrote to stderr, control characters escaped; or garbage it wrote to stdout. */
  noise(line: string, from: "stderr" | "stdout"): void;
}
