import type { Message } from "../protocol/message.ts";
import type { Connection } from "../upstream/connection.ts";
import type { Exchange } from "./exchange.ts";

/** A server's question that was passed on to a client. */
export interface Question {
  /** Whose end makes the question void; undefined when it outlives connections. */
  readonly connection: Connection | undefined;
  /** Raw token of the id the server gave it. */
  readonly serverId: string;
  /** Raw progress token of the server, undefined when it wants no progress. */
  readonly progressToken: string | undefined;
  readonly exchange: Exchange | undefined;
  /** Another call of the same client may be what asks: the end of this one is not the end of the question. */
  readonly presumed?: boolean;
  /** The client's answer with the server's id, or its progress with the server's token. */
  answered(text: string): void;
  /** Called once, however it ends. */
  closed(): void;
}

/** Who can be asked what a server wants to know: the session of a legacy client, or the dialogue of a modern call. */
export interface Asked {
  readonly capabilities: Readonly<Record<string, unknown>>;
  /**
   * Passes a server's request on.
   * @returns a number to name it by, or undefined when there are too many to answer already
   */
  ask(message: Message, question: Question): number | undefined;
  /** The server takes a question back. @param notice makes the text that tells the client */
  withdraw(id: number, notice: (id: number) => string): void;
}
