import type { Incoming } from "../http1/incoming.ts";
import type { Message } from "../protocol/message.ts";
import type { Caller } from "../relay/ends.ts";
import type { Endpoint } from "../relay/served.ts";
import type { ReplyHeaders } from "./http-reply.ts";

/** One admitted HTTP request to an endpoint. */
export interface Admitted {
  readonly request: Incoming;
  readonly endpoint: Endpoint;
  readonly caller: Caller;
  readonly headers: ReplyHeaders;
  /** Hears of each message before it is relayed. */
  readonly heard: ((message: Message) => void) | undefined;
}
