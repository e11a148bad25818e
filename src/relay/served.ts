import type { Message } from "../protocol/message.ts";
import type { Caller, Client, EventStream, Reply } from "./ends.ts";
import type { Exchange } from "./exchange.ts";
import type { Description } from "./line.ts";
import type { ModernRequest } from "./modern-endpoint.ts";
import type { Session } from "./session.ts";

/** The side of a URL where nothing depends on an earlier request (MCP 2026-07-28). */
export interface ModernSide {
  request(asked: ModernRequest): void;
  notification(message: Message, caller: Caller): void;
}

/** What a URL serves: one server, or several. It is all that the ends of clients know of the relay. */
export interface Endpoint {
  /** What sessions belong to. */
  readonly name: string;
  readonly displayName: string;
  /** The same URL for clients of the stateless era. */
  readonly modern: ModernSide;
  /**
   * The answer to `initialize`.
   * @throws Fault when nobody is there to say it
   */
  initialize(message: Message, session: Session, caller: Caller): Promise<string>;
  /** @returns what can be cancelled, undefined where nothing is under way at a server */
  request(message: Message, caller: Caller, session: Session | undefined, reply: Reply): Exchange | undefined;
  notification(message: Message, caller: Caller, session: Session | undefined): void;
  openStream(stream: EventStream, caller: Caller, session: Session): void;
  /** A session was made again from its id. */
  restored(session: Session): void;
  /** Whether a new session gets a child process of its own. */
  ownChild(client: Client): boolean;
  explain(error: unknown, caller: Caller): Description;
  /** Somebody was not let in. @param status of HTTP */
  refused(status: number): void;
  /** Whether a message is to be seen in the log. */
  logs(message: Message): boolean;
}
