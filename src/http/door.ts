import type { HttpSse } from "../downstream/http-sse.ts";
import type { StreamableHttp } from "../downstream/streamable-http.ts";
import type { Message } from "../protocol/message.ts";
import type { Log } from "../telemetry/log.ts";
import { admit, refuse } from "./admit.ts";
import type { Admission, AdmissionDeps } from "./admit.ts";
import { IDLE_TIMEOUT_SECONDS } from "./caller.ts";
import type { Peers } from "./caller.ts";
import { isHost } from "./origin.ts";
import { pathOf } from "./paths.ts";
import type { EndpointPath, PathTable } from "./paths.ts";
import type { Room } from "./rooms.ts";

export interface DoorDeps extends AdmissionDeps {
  readonly paths: PathTable;
  readonly rooms: ReadonlyMap<string, Room>;
  readonly streamableHttp: StreamableHttp;
  readonly httpSse: HttpSse;
  readonly log: Log;
  /** Everything that is no MCP endpoint. */
  readonly pages: (request: Request, peers: Peers) => Response | Promise<Response>;
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

  handle(request: Request, peers: Peers): Response | Promise<Response> {
    const host = request.headers.get("host");
    if (host !== this.#host) {
      // Its slashes, question marks and at signs would become part of the URL that is looked at below.
      if (host === null || !isHost(host))
        return refuse(400, "Bad request: the Host header is no host", this.#deps.plain);
      this.#host = host;
    }
    const path = this.#deps.paths.find(pathOf(request.url));
    const room = path === undefined ? undefined : this.#deps.rooms.get(path.server);
    if (room === undefined) return this.#deps.pages(request, peers);
    const learning = room.gate.learn?.(request.headers.get("authorization"));
    if (learning !== undefined) return learning.then(() => this.#enter(request, room, path, peers));
    return this.#enter(request, room, path, peers);
  }

  #enter(request: Request, room: Room, path: EndpointPath | undefined, peers: Peers): Response | Promise<Response> {
    const admission = admit(request, room.gate, peers, this.#deps);
    if (admission instanceof Response) {
      const fields = { server: room.endpoint.config.displayName, status: admission.status };
      if (admission.status >= 400) {
        room.endpoint.switchboard.meter.refused(admission.status);
        this.#deps.log.debug(fields, "request refused");
      }
      return admission;
    }
    const { streamableHttp, httpSse } = this.#deps;
    const admitted = {
      request,
      endpoint: room.endpoint,
      caller: admission.caller,
      headers: admission.headers,
      heard: room.endpoint.config.logEnabled ? this.#logger(room, admission) : undefined,
      patient: (on: boolean) => peers.timeout(request, on ? 0 : IDLE_TIMEOUT_SECONDS),
    };
    if (path?.kind === "sse") return httpSse.open(admitted, path.announces);
    if (path?.kind === "message") return httpSse.post(admitted);
    if (request.method === "GET") return streamableHttp.get(admitted);
    if (request.method === "DELETE") return streamableHttp.delete(admitted);
    return streamableHttp.post(admitted);
  }

  #logger(room: Room, { caller }: Admission): (message: Message) => void {
    const server = room.endpoint.config.displayName;
    return (message) => {
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
