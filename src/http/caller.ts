import type { Principal } from "../policy/principal.ts";
import type { Caller } from "../relay/ends.ts";
import { isDirectLoopback } from "./client-address.ts";

/** The part of the runtime's server that is needed here. */
export interface Peers {
  requestIP(request: Request): { readonly address: string } | null;
  timeout(request: Request, seconds: number): void;
}

/** Silent connections are closed after this; streams are kept alive more often than that. */
export const IDLE_TIMEOUT_SECONDS = 40;

/** Who sends an HTTP request. What is rarely asked is found out only then. */
export class HttpCaller implements Caller {
  readonly principal: Principal;
  readonly headers: Headers;
  /** Name of the endpoint that was called, where that is not the server's own. */
  endpoint?: string;
  readonly #request: Request;
  readonly #peers: Peers;

  constructor(principal: Principal, request: Request, peers: Peers) {
    this.principal = principal;
    this.headers = request.headers;
    this.#request = request;
    this.#peers = peers;
  }

  get usedAuthorization(): boolean {
    return this.principal.kind !== "anonymous";
  }

  get trusted(): boolean {
    return this.principal.kind !== "anonymous" || this.direct;
  }

  /** On this machine, with nothing in between. */
  get direct(): boolean {
    return isDirectLoopback(this.#peers.requestIP(this.#request)?.address ?? null, this.headers);
  }
}
