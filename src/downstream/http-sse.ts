import { randomUUID } from "node:crypto";
import { Answer } from "../http1/answer.ts";
import { ErrorCode, errorText } from "../protocol/errors.ts";
import { isJsonMediaType, readAccept } from "../protocol/http-headers.ts";
import type { Principal } from "../policy/principal.ts";
import { Message } from "../protocol/message.ts";
import type { Reply } from "../relay/ends.ts";
import type { Session } from "../relay/session.ts";
import type { Admitted } from "./admitted.ts";
import { isBatch, readBatch } from "./batch.ts";
import { takeBody, unreadable } from "./body.ts";
import type { HttpEndDeps } from "./http-end.ts";
import { HttpReply, KEEP_ALIVE_MS } from "./http-reply.ts";
import { introduce, readClient } from "./introduce.ts";
import { readMessage } from "./read-message.ts";
import { SseStream } from "./sse-stream.ts";

/** The first question of clients that speak both eras. */
const DISCOVER = "server/discover";

export interface HttpSseDeps extends HttpEndDeps {
  readonly lines: SseLines;
}

/** By what stands in the announced URL: it cannot be guessed, and serves the principal who opened the stream only. */
export type SseLines = Map<string, SseLine>;

/** A client's open stream, and what it said of itself on it. */
export interface SseLine {
  readonly stream: SseStream;
  readonly endpoint: string;
  readonly principal: Principal;
  session: Session | undefined;
}

/**
 * The server side of HTTP+SSE (MCP 2024-11-05, basic/transports): a stream that names where to post, and posts whose
 * answers come on that stream. The session is as long as the stream.
 */
export class HttpSse {
  readonly #deps: HttpSseDeps;
  readonly #lines: SseLines;

  constructor(deps: HttpSseDeps) {
    this.#deps = deps;
    this.#lines = deps.lines;
  }

  /** @param announces the place to post to, up to the value of the session */
  open(admitted: Admitted, announces: string): Answer {
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
    this.#lines.set(id, { stream, endpoint: endpoint.name, principal: caller.principal, session: undefined });
    heartbeat.add(beating);
    stream.write(`event: endpoint\ndata: ${announces}${id}\n\n`);
    return new Answer(200, headers.events, stream);
  }

  /** Takes a message; its answer comes on the stream. */
  post(admitted: Admitted): Answer | Promise<Answer> {
    const { request, endpoint, caller } = admitted;
    if (request.method !== "POST") return wrongMethod(admitted, "POST");
    if (!isJsonMediaType(request.headers.get("content-type"))) {
      return refuse(admitted, 415, "Unsupported media type: send application/json");
    }
    const query = new URL(request.url).searchParams;
    const id = query.get("sessionId") ?? query.get("session_id");
    if (id === null)
      return refuse(admitted, 400, "Bad request: the URL lacks the session; post to the URL that the stream names");
    const line = this.#lines.get(id);
    if (line === undefined || line.endpoint !== endpoint.name || line.principal.id !== caller.principal.id) {
      return refuse(
        admitted,
        404,
        "Session not found: its stream is not open; open one again",
        ErrorCode.sessionNotFound,
      );
    }
    const late = (): Answer => refuse(admitted, 408, "Request timeout: the body did not arrive in time");
    const accepted = new HttpReply({ json: true, events: false }, admitted.headers, this.#deps, late);
    const { maxRequestBytes } = this.#deps;
    takeBody(
      request,
      maxRequestBytes,
      (body) => {
        accepted.arrived();
        try {
          accepted.respond(this.#received(admitted, body, line));
        } catch (error) {
          this.#deps.log.error({ error: String(error), stack: (error as Error).stack }, "a request failed");
          accepted.respond(refuse(admitted, 500, "Internal error", ErrorCode.internal));
        }
      },
      (error) => accepted.respond(unreadable(admitted, error, maxRequestBytes)),
    );
    return accepted.answer;
  }

  #received(admitted: Admitted, body: string, line: SseLine): Answer {
    if (!isBatch(body)) {
      const message = readMessage(body);
      if (!(message instanceof Message)) return refuse(admitted, 400, message.text, message.code);
      this.#take(admitted, message, line);
      return taken(admitted);
    }
    const batch = readBatch(body, line.session?.client.protocolVersion);
    if (!Array.isArray(batch)) return refuse(admitted, 400, batch.text, batch.code);
    for (const each of batch) {
      if (each instanceof Message) this.#take(admitted, each, line);
      else line.stream.push(errorText("null", each.code, each.text));
    }
    return taken(admitted);
  }

  #take(admitted: Admitted, message: Message, line: SseLine): void {
    const { endpoint, caller } = admitted;
    const { session, stream } = line;
    admitted.heard?.(message);
    if (message.kind === "response") return session?.answer(message);
    if (message.kind === "notification") return endpoint.notification(message, caller, session);
    const no = (why: string): void => stream.push(errorText(message.id ?? "null", ErrorCode.server, why));
    if (this.#deps.draining()) return no("The proxy is being stopped; try again soon");
    if (message.method === "initialize") {
      if (session !== undefined) return no("initialize was said on this stream before");
      return void this.#initialize(admitted, message, line);
    }
    // This transport has sessions, so whoever asks first which era is spoken here gets the answer of the older one.
    if (session === undefined && message.method === DISCOVER) {
      return stream.push(errorText(message.id ?? "null", ErrorCode.methodNotFound, `Method not found: ${DISCOVER}`));
    }
    if (session === undefined && !this.#deps.stateless) return no("the first request of a stream is initialize");
    endpoint.request(message, caller, session, new StreamReply(stream));
  }

  async #initialize(admitted: Admitted, message: Message, line: SseLine): Promise<void> {
    const { endpoint, caller } = admitted;
    const { sessions } = this.#deps;
    const client = readClient(message);
    const session = sessions.attach(endpoint.name, caller.principal, client, endpoint.ownChild(client));
    line.session = session;
    const { text, welcome } = await introduce(endpoint, message, session, caller);
    line.stream.push(text);
    // The client may have left while the server was coming up; its session has ended with it then.
    if (welcome) return session.ended ? undefined : endpoint.openStream(line.stream, caller, session);
    line.session = undefined;
    sessions.detach(session);
  }

  #gone(id: string, beating: { beat(now: number): void }): void {
    this.#deps.heartbeat.delete(beating);
    const line = this.#lines.get(id);
    this.#lines.delete(id);
    if (line?.session !== undefined) this.#deps.sessions.detach(line.session);
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

function taken({ headers }: Admitted): Answer {
  return new Answer(202, headers.json.with("Content-Type", "text/plain"), "Accepted");
}

function wrongMethod({ headers }: Admitted, allowed: "GET" | "POST"): Answer {
  const text = errorText("null", ErrorCode.server, "Method not allowed");
  return new Answer(405, headers.json.with("Allow", allowed), text);
}

function refuse(
  { headers }: { headers: Admitted["headers"] },
  status: number,
  text: string,
  code: number = ErrorCode.server,
): Answer {
  return new Answer(status, headers.json, errorText("null", code, text));
}
