import type { IncomingBody } from "./incoming-body.ts";
import type { RequestHead } from "./request-head.ts";
import type { RequestHeaders } from "./request-headers.ts";

/** The other end of a connection. */
export interface Peer {
  /** Null on a Unix socket. */
  readonly address: string | null;
}

/** One request, whose body may still be coming. */
export class Incoming {
  readonly body: IncomingBody;
  readonly peer: Peer;
  readonly #head: RequestHead;
  #left = false;
  #whenLeft: (() => void)[] | undefined;

  constructor(head: RequestHead, peer: Peer, body: IncomingBody) {
    this.#head = head;
    this.peer = peer;
    this.body = body;
  }

  get method(): string {
    return this.#head.method;
  }

  get version(): "1.0" | "1.1" {
    return this.#head.version;
  }

  /** Absolute. */
  get url(): string {
    return this.#head.url;
  }

  /** Of the URL, without the query. */
  get path(): string {
    return this.#head.path;
  }

  get headers(): RequestHeaders {
    return this.#head.headers;
  }

  /** Length of the body as announced, undefined where it was not. */
  get declaredLength(): number | undefined {
    return this.#head.body === "chunked" ? undefined : this.#head.body;
  }

  /** The client has gone before its answer was whole. */
  get left(): boolean {
    return this.#left;
  }

  /** Somebody wants to hear when the client goes. */
  get isAwaited(): boolean {
    return this.#whenLeft !== undefined;
  }

  /** Calls when the client goes before its answer is whole; at once when it has gone already. */
  onLeft(call: () => void): void {
    if (this.#left) return call();
    (this.#whenLeft ??= []).push(call);
  }

  /** For the connection: the client has gone. */
  leave(): void {
    this.#left = true;
    this.body.break();
    const calls = this.#whenLeft ?? [];
    this.#whenLeft = undefined;
    for (const call of calls) call();
  }
}
