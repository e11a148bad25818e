import type { Principal } from "../policy/principal.ts";

/** What a legacy client said of itself in `initialize`. */
export interface Client {
  readonly protocolVersion: string;
  readonly info: unknown;
  readonly capabilities: Readonly<Record<string, unknown>>;
}

/** Where everything about one client request goes. Implemented by the downstream ends. */
export interface Reply {
  /** Something that comes before the answer. */
  push(text: string): void;
  /**
   * The answer; nothing follows.
   * @param status what HTTP says if nothing was said before, 200 when absent
   * @param retryAfterSeconds when a request that was not taken may come again
   */
  finish(text: string, status?: number, retryAfterSeconds?: number): void;
  /** The server wants to be asked for the answer later; a client that can do that may be told so. */
  park?(): void;
  /** Ends without an answer, as a cancelled request does. */
  drop(): void;
}

/** A client's open stream for what belongs to no request of it. */
export interface EventStream {
  push(text: string): void;
  end(): void;
}

/** Headers of the HTTP request that carries a message; none over stdio. */
export interface HeaderSource {
  get(name: string): string | null;
}

/** Who sends a message, as far as the relay needs to know. */
export interface Caller {
  readonly principal: Principal;
  readonly headers: HeaderSource;
  /** The credential came in `Authorization`, which therefore never travels on. */
  readonly usedAuthorization: boolean;
  /** May read details of failures: has a credential, or sits on this machine. */
  readonly trusted: boolean;
  /** One of several requests that were made of one; that one was counted. */
  readonly part?: boolean;
  /** Set where this client has the proxy for itself, and there are no headers to check. */
  readonly local?: Local | undefined;
}

/** What a stateless client over stdio says of itself: a connection can be made for it as for a session. */
export interface Local {
  /** The same for what is declared the same. */
  readonly key: string;
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly clientInfo: unknown;
}
