import type { Incoming, Peer } from "../http1/incoming.ts";
import type { RequestHeaders } from "../http1/request-headers.ts";
import type { Principal } from "../policy/principal.ts";
import type { Caller } from "../relay/ends.ts";
import { isDirectLoopback } from "./client-address.ts";

/** Who sends an HTTP request. What is rarely asked is found out only then. */
export class HttpCaller implements Caller {
  readonly principal: Principal;
  readonly headers: RequestHeaders;
  /** Name of the endpoint that was called, where that is not the server's own. */
  endpoint?: string;
  readonly #peer: Peer;

  constructor(principal: Principal, { headers, peer }: Incoming) {
    this.principal = principal;
    this.headers = headers;
    this.#peer = peer;
  }

  get usedAuthorization(): boolean {
    return this.principal.kind !== "anonymous";
  }

  get trusted(): boolean {
    return this.principal.kind !== "anonymous" || this.direct;
  }

  /** On this machine, with nothing in between. */
  get direct(): boolean {
    return isDirectLoopback(this.#peer.address, this.headers);
  }
}
