import { randomUUID } from "node:crypto";
import { ErrorCode, errorText } from "../protocol/errors.ts";
import { isJsonMediaType, readAccept } from "../protocol/http-headers.ts";
import { Message } from "../protocol/message.ts";
import type { Reply } from "../relay/ends.ts";
import type { Session } from "../relay/session.ts";
import type { Sessions } from "../relay/sessions.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Admitted } from "./admitted.ts";
import { isBatch, readBatch } from "./batch.ts";
import { readBody, unreadable } from "./body.ts";
import type { Heartbeat } from "./heartbeat.ts";
import { HttpReply, KEEP_ALIVE_MS } from "./http-reply.ts";
import { introduce, readClient } from "./introduce.ts";
import { SseStream } from "./sse-stream.ts";

export interface HttpSseDeps {
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly heartbeat: Heartbeat;
  /** Requests before `initialize` are answered on the shared connection instead of with an error. */
  readonly stateless: boolean;
  /** Longest body, in bytes. */
  readonly maxRequestBytes: number;
  readonly log: Log;
}

/** A client's open stream, and what it said of itself on it. */
interface Line {
  readonly stream: SseStream;
  readonly endpoint: string;
  readonly principal: string;
  session: Session | undefined;
}

/**
 * The server side of HTTP+SSE (MCP 2024-11-05, basic/transports): a stream that names where to post, and posts whose
 * answers come on that stream. The session is as long as the stream.
 */
export class HttpSse {
  readonly #deps: HttpSseDeps;
  /** By what stands in the announced URL: it cannot be guessed, and serves the principal who opened the stream only. */
  readonly #lines = new Map<string, Line>();

  constructor(deps: HttpSseDeps) {
    this.#deps = deps;
  }

  /** Streams open now. */
  get size(): number {
    return this.#lines.size;
  }

  /** @param announces the place to post to, up to the value of the session */
  open(admitted: Admitted, announces: string): Response {
    const { request, endpoint, caller, headers } = admitted;
    if (request.method !== "GET") return wrongMethod(admitted, "GET");
    if (!readAccept(request.headers.get("accept")).events) {
      return refuse(admitted, 406, "Not acceptable: this is an event stream; accept text/event-stream");
    }
    const { clock, heartbeat } = this.#deps;
    const id = randomUUID();
    const stream = new SseStream(clock.now(), () => this.#gone(id, beating));
    const beating = {
      beat: (now: number): void => {
        stream.beat(now, KEEP_ALIVE_MS);
        // Ended from here: the client does not read, or everything stops.
        if (stream.over) this.#gone(id, beating);
      },
    };
    this.#lines.set(id, { stream, endpoint: endpoint.name, principal: caller.principal.id, session: undefined });
    heartbeat.add(beating);
    stream.write(`event: endpoint\ndata: ${announces}${id}\n\n`);
    return new Response(stream.body, { headers: headers.events });
  }

  /** Takes a message; its answer comes on the stream. */
  post(admitted: Admitted): Response | Promise<Response> {
    const { request, endpoint, caller } = admitted;
    if (request.method !== "POST") return wrongMethod(admitted, "POST");
    if (!isJsonMediaType(request.headers.get("content-type"))) {
      return refuse(admitted, 415, "Unsupported media type: send application/json");
    }
    const query = new URL(request.url).searchParams;
    const id = query.get("sessionId") ?? query.get("session_id");
    if (id === null) return refuse(admitted, 400, "Bad request: the URL lacks the session; post to the URL that the stream names");
    const line = this.#lines.get(id);
    if (line === undefined || line.endpoint !== endpoint.name || line.principal !== caller.principal.id) {
      return refuse(admitted, 404, "Session not found: its stream is not open; open one again", ErrorCode.sessionNotFound);
    }
    const late = (): Response => refuse(admitted, 408, "Request timeout: the body did not arrive in time");
    const accepted = new HttpReply({ json: true, events: false }, admitted.headers, this.#deps, late);
    readBody(request, this.#deps.maxRequestBytes).then(
      (body) => {
        try {
          accepted.respond(this.#received(admitted, body, line));
        } catch (error) {
          this.#deps.log.error({ error: String(error), stack: (error as Error).stack }, "a request failed");
          accepted.respond(refuse(admitted, 500, "Internal error", ErrorCode.internal));
        }
      },
      (error: unknown) => accepted.respond(unreadable(admitted, error, this.#deps.maxRequestBytes)),
    );
    return accepted.response;
  }

  /** Ends all streams. */
  close(): void {
    for (const { stream, session } of this.#lines.values()) {
      session?.end();
      stream.end();
    }
    this.#lines.clear();
  }

  #received(admitted: Admitted, body: string, line: Line): Response {
    if (isBatch(body)) {
      const batch = readBatch(body, line.session?.client.protocolVersion);
      if (typeof batch === "string") return refuse(admitted, 400, batch, ErrorCode.invalidRequest);
      for (const each of batch) {
        if (typeof each === "string") line.stream.push(errorText("null", ErrorCode.invalidRequest, each));
        else this.#take(admitted, each, line);
      }
      return taken(admitted);
    }
    let message: Message | string;
    try {
      message = Message.read(body, "client");
    } catch {
      return refuse(admitted, 400, "Parse error: the body is not JSON", ErrorCode.parse);
    }
    if (typeof message === "string") return refuse(admitted, 400, `Invalid request: ${message}`, ErrorCode.invalidRequest);
    this.#take(admitted, message, line);
    return taken(admitted);
  }

  #take(admitted: Admitted, message: Message, line: Line): void {
    const { endpoint, caller } = admitted;
    admitted.heard?.(message);
    if (message.kind === "response") return line.session?.answer(message);
    if (message.kind === "notification") return endpoint.notification(message, caller, line.session);
    if (message.method === "initialize") return void this.#initialize(admitted, message, line);
    if (line.session === undefined && !this.#deps.stateless) {
      const why = "the first request of a stream is initialize";
      return line.stream.push(errorText(message.id ?? "null", ErrorCode.server, why));
    }
    endpoint.request(message, caller, line.session, new StreamReply(line.stream));
  }

  async #initialize(admitted: Admitted, message: Message, line: Line): Promise<void> {
    const { endpoint, caller } = admitted;
    const client = readClient(message);
    const session = this.#deps.sessions.attached(caller.principal, client, endpoint.switchboard.givesOwnChild(client));
    // Said twice, the later one counts, as for a client that connects anew.
    line.session?.end();
    line.session = session;
    const { text, welcome } = await introduce(endpoint, message, session, caller);
    line.stream.push(text);
    if (welcome && line.session === session) return endpoint.openStream(new Outside(line.stream), caller, session);
    session.end();
    if (line.session === session) line.session = undefined;
  }

  #gone(id: string, beating: { beat(now: number): void }): void {
    this.#deps.heartbeat.delete(beating);
    const line = this.#lines.get(id);
    this.#lines.delete(id);
    line?.session?.end();
  }
}

/** What belongs to one request, on the one stream there is. */
class StreamReply implements Reply {
  readonly #stream: SseStream;

  constructor(stream: SseStream) {
    this.#stream = stream;
  }

  push(text: string): void {
    this.#stream.push(text);
  }

  finish(text: string): void {
    this.#stream.push(text);
  }

  drop(): void {}
}

/** The stream as a session sees it: an ended session does not end the stream, a new one may begin on it. */
class Outside extends StreamReply {
  end(): void {}
}

function taken({ headers }: Admitted): Response {
  const text = new Headers(headers.json);
  text.set("Content-Type", "text/plain");
  return new Response("Accepted", { status: 202, headers: text });
}

function wrongMethod(admitted: Admitted, allowed: "GET" | "POST"): Response {
  const response = refuse(admitted, 405, "Method not allowed");
  response.headers.set("Allow", allowed);
  return response;
}

function refuse({ headers }: { headers: Admitted["headers"] }, status: number, text: string, code: number = ErrorCode.server): Response {
  return new Response(errorText("null", code, text), { status, headers: headers.json });
}

