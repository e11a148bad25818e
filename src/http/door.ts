import type { HttpSse } from "../downstream/http-sse.ts";
import type { StreamableHttp } from "../downstream/streamable-http.ts";
import { Answer } from "../http1/answer.ts";
import type { Incoming, Peer } from "../http1/incoming.ts";
import { toAnswer, toRequest } from "../http1/fetch.ts";
import type { Gate } from "../auth/gate.ts";
import type { Message } from "../protocol/message.ts";
import type { Endpoint } from "../relay/served.ts";
import type { Log } from "../telemetry/log.ts";
import { isBrowser } from "./accept.ts";
import { admit, refuse } from "./admit.ts";
import type { Admission, AdmissionDeps } from "./admit.ts";
import { isHost } from "./origin.ts";
import type { Explainer } from "./endpoint-page.ts";
import type { EndpointPath, PathTable } from "./paths.ts";

/** An endpoint with what protects it. */
export interface Guarded {
  readonly endpoint: Endpoint;
  readonly gate: Gate;
  /** There where several servers are behind it. */
  readonly plan?: unknown;
}

export interface DoorDeps extends AdmissionDeps {
  readonly paths: PathTable;
  /** By the names of the endpoints. */
  readonly rooms: ReadonlyMap<string, Guarded>;
  readonly streamableHttp: StreamableHttp;
  readonly httpSse: HttpSse;
  readonly log: Log;
  /** What a browser is shown in the place of an error of an endpoint. */
  readonly explain: Explainer;
  /** Everything that is no MCP endpoint. */
  readonly pages: (request: Request, peer: Peer) => Response | Promise<Response>;
}

/**
 * The way in for every HTTP request. MCP endpoints are found by one look-up and served without the router, which
 * would cost a third of the CPU time of a call; all else goes to the pages.
 */
export class Door {
  readonly #deps: DoorDeps;
  /** The last `Host` that was well formed; it is nearly always the same one. */
  #host: string | undefined;

  constructor(deps: DoorDeps) {
    this.#deps = deps;
  }

  handle(request: Incoming): Answer | Promise<Answer> {
    return isBrowser(request) ? this.#toPerson(request) : this.#handle(request);
  }

  /** A person has opened an address that is meant for programs: the same refusal, in words. */
  async #toPerson(request: Incoming): Promise<Answer> {
    const answer = await this.#handle(request);
    const path = this.#deps.paths.find(request.path);
    // At the bare base URL there is a page of its own, or, where that is switched off, nothing.
    const endpoint = path !== undefined && path.root !== true;
    if (!endpoint || answer.status < 400) return answer;
    const { status, headers, body } = answer;
    const text = async (): Promise<string> => (typeof body === "string" ? body : "");
    return toAnswer(await this.#deps.explain(request, { status, headers, text }));
  }

  #handle(request: Incoming): Answer | Promise<Answer> {
    const host = request.headers.get("host");
    if (host !== this.#host) {
      // Its slashes, question marks and at signs would become part of the URL that is looked at below.
      if (host === null || !isHost(host))
        return refuse(400, "Bad request: the Host header is no host", this.#deps.plain);
      this.#host = host;
    }
    const path = this.#deps.paths.find(request.path);
    const room = path === undefined ? undefined : this.#deps.rooms.get(path.server);
    if (room === undefined || (path?.root === true && !isForClients(request))) return this.#page(request);
    const learning = room.gate.learn?.(request.headers.get("authorization"));
    if (learning !== undefined) return learning.then(() => this.#enter(request, room, path));
    return this.#enter(request, room, path);
  }

  async #page(request: Incoming): Promise<Answer> {
    return toAnswer(await this.#deps.pages(toRequest(request), request.peer));
  }

  #enter(request: Incoming, room: Guarded, path: EndpointPath | undefined): Answer | Promise<Answer> {
    const admission = admit(request, room.gate, this.#deps);
    if (admission instanceof Answer) {
      const fields = { server: room.endpoint.displayName, status: admission.status };
      if (admission.status >= 400) {
        room.endpoint.refused(admission.status);
        this.#deps.log.debug(fields, "request refused");
      }
      return admission;
    }
    const { caller } = admission;
    if (room.plan !== undefined) caller.endpoint = room.endpoint.displayName;
    const { streamableHttp, httpSse } = this.#deps;
    const admitted = {
      request,
      endpoint: room.endpoint,
      caller,
      headers: admission.headers,
      heard: this.#logger(room, admission),
    };
    if (path?.kind === "sse") return httpSse.open(admitted, path.announces);
    if (path?.kind === "message") return httpSse.post(admitted);
    if (request.method === "GET") return streamableHttp.get(admitted);
    if (request.method === "DELETE") return streamableHttp.delete(admitted);
    return streamableHttp.post(admitted);
  }

  #logger({ endpoint }: Guarded, { caller }: Admission): (message: Message) => void {
    const server = endpoint.displayName;
    return (message) => {
      if (!endpoint.logs(message)) return;
      const tool = message.method === "tools/call" ? message.stringParam("name") : undefined;
      const fields = {
        server,
        method: message.method,
        ...(tool === undefined ? {} : { tool }),
        caller: caller.principal.id,
      };
      this.#deps.log.info(fields, `<${server}> ${message.method ?? "response"}${tool === undefined ? "" : ` ${tool}`}`);
    };
  }
}

/** At the bare base URL a person gets a page, and an MCP client never does. */
function isForClients({ method, headers }: Incoming): boolean {
  if (method === "GET") return headers.get("accept")?.includes("text/event-stream") === true;
  return method === "POST" || method === "DELETE" || method === "OPTIONS";
}
