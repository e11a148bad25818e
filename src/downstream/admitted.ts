import type { Message } from "../protocol/message.ts";
import type { Caller } from "../relay/ends.ts";
import type { Endpoint } from "../relay/served.ts";
import type { ReplyHeaders } from "./http-reply.ts";

/** One admitted HTTP request to an endpoint. */
export interface Admitted {
  readonly request: Request;
  readonly endpoint: Endpoint;
  readonly caller: Caller;
  readonly headers: ReplyHeaders;
  /** Hears of each message before it is relayed. */
  readonly heard: ((message: Message) => void) | undefined;
  /** Takes the runtime's limit for silent requests off this one, and puts it on again for who does not read. */
  patient(on: boolean): void;
}
