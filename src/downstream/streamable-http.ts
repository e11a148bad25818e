import { Answer } from "../http1/answer.ts";
import { isModernVersion } from "../protocol/eras/names.ts";
import { ErrorCode, errorText } from "../protocol/errors.ts";
import {
  LAST_EVENT_HEADER,
  SESSION_HEADER,
  VERSION_HEADER,
  isJsonMediaType,
  isKnownVersionHeader,
  readAccept,
} from "../protocol/http-headers.ts";
import { Message } from "../protocol/message.ts";
import { LEGACY_VERSIONS, VERSION_WITHOUT_HEADER } from "../protocol/versions.ts";
import type { EventStream } from "../relay/ends.ts";
import type { Exchange } from "../relay/exchange.ts";
import type { Session } from "../relay/session.ts";
import type { Admitted } from "./admitted.ts";
import { BatchReplies, isBatch, readBatch } from "./batch.ts";
import { takeBody, unreadable } from "./body.ts";
import type { HttpEndDeps } from "./http-end.ts";
import { HttpReply, KEEP_ALIVE_MS } from "./http-reply.ts";
import type { Accepts } from "./http-reply.ts";
import { introduce, readClient } from "./introduce.ts";
import { isModern, receiveModern } from "./modern-http.ts";
import { readMessage } from "./read-message.ts";
import type { Replays } from "./replay.ts";
import { SseStream } from "./sse-stream.ts";

export interface StreamableHttpDeps extends HttpEndDeps {
  /** What clients may want to hear again. */
  readonly replays: Replays;
}

/**
 * The server side of legacy Streamable HTTP, 2025-03-26 to 2025-11-25: sealed sessions, POST, GET stream, DELETE
 * (MCP 2025-11-25, basic/transports).
 */
export class StreamableHttp {
  readonly #deps: StreamableHttpDeps;

  constructor(deps: StreamableHttpDeps) {
    this.#deps = deps;
  }

  post(admitted: Admitted): Answer | Promise<Answer> {
    const { request, headers } = admitted;
    const accepts = readAccept(request.headers.get("accept"));
    const refusal = this.#refuse(admitted, accepts);
    if (refusal !== undefined) return refusal;
    const { maxRequestBytes } = this.#deps;
    const reply = new HttpReply(accepts, headers, this.#deps, () =>
      this.#error(admitted, 408, ErrorCode.server, "Request timeout: the body did not arrive in time"),
    );
    takeBody(
      request,
      maxRequestBytes,
      (body) => {
        try {
          this.#received(admitted, body, reply, accepts);
        } catch (error) {
          // A promise of our own is what the connection waits for; it would wait without end.
          this.#deps.log.error({ error: String(error), stack: (error as Error).stack }, "a request failed");
          reply.respond(this.#error(admitted, 500, ErrorCode.internal, "Internal error"));
        }
      },
      (error) => reply.respond(unreadable(admitted, error, maxRequestBytes)),
    );
    return reply.answer;
  }

  /** The stream for what belongs to no request. */
  get(admitted: Admitted): Answer {
    const { request, endpoint, caller, headers } = admitted;
    if (!readAccept(request.headers.get("accept")).events) {
      return this.#error(
        admitted,
        406,
        ErrorCode.server,
        "Not acceptable: a GET here opens an event stream; accept text/event-stream",
      );
    }
    const session = this.#session(admitted, undefined, true);
    if (session instanceof Answer) return session;
    if (session === undefined) return this.#error(admitted, 400, ErrorCode.server, MISSING_SESSION);
    const { heartbeat, clock, replays } = this.#deps;
    const carrier = new SseStream(clock.now(), () => {
      heartbeat.delete(beating);
      resumed?.lost(carrier);
      session.closeStream(stream);
    });
    const beating = {
      beat: (now: number): void => {
        session.lastUsed = now;
        carrier.beat(now, KEEP_ALIVE_MS);
        if (carrier.over) heartbeat.delete(beating);
      },
    };
    heartbeat.add(beating);
    const replay = replays.of(session);
    const lastEventId = request.headers.get(LAST_EVENT_HEADER);
    const resumed =
      (lastEventId === null ? undefined : replay?.resume(lastEventId, carrier)) ?? replay?.open("session", carrier);
    const stream: EventStream = resumed ?? carrier;
    // Something at once, so that what stands between sends the headers on.
    if (resumed === undefined) carrier.write(": open\n\n");
    if (resumed?.kind !== "call") {
      session.closeStream(stream);
      endpoint.openStream(stream, caller, session);
    }
    return new Answer(200, headers.events, carrier);
  }

  /** Ends a session. */
  delete(admitted: Admitted): Answer {
    const session = this.#session(admitted, undefined, true);
    if (session instanceof Answer) return session;
    if (session === undefined) return this.#error(admitted, 400, ErrorCode.server, MISSING_SESSION);
    this.#deps.log.debug({ server: admitted.endpoint.displayName }, "session ended by its client");
    this.#deps.sessions.end(session);
    return new Answer(204, admitted.headers.json);
  }

  #received(admitted: Admitted, body: string, reply: HttpReply, accepts: Accepts): void {
    reply.arrived();
    if (isBatch(body) && !isModernVersion(admitted.request.headers.get(VERSION_HEADER) ?? ""))
      return this.#batch(admitted, body, reply);
    const message = readMessage(body);
    if (!(message instanceof Message)) return reply.respond(this.#error(admitted, 400, message.code, message.text));
    if (message.kind === "request" && this.#deps.draining()) return reply.respond(this.#stopping(admitted, message.id));
    admitted.heard?.(message);
    if (isModern(message, admitted.request.headers)) return receiveModern(admitted, message, reply, accepts);
    if (message.method === "initialize" && message.kind === "request") {
      return void this.#initialize(admitted, message).then((answer) => reply.respond(answer));
    }
    const session = this.#session(admitted, message.id);
    if (session instanceof Answer) return reply.respond(session);
    switch (message.kind) {
      case "request":
        return this.#request(admitted, message, session, reply);
      case "notification":
        admitted.endpoint.notification(message, admitted.caller, session);
        break;
      case "response":
        session?.answer(message);
        break;
    }
    reply.respond(new Answer(202, admitted.headers.json));
  }

  /** Several messages at once, which 2025-03-26 had (basic/transports, "Sending Messages to the Server"). */
  #batch(admitted: Admitted, body: string, reply: HttpReply): void {
    const session = this.#session(admitted, undefined);
    if (session instanceof Answer) return reply.respond(session);
    const header = admitted.request.headers.get(VERSION_HEADER);
    const batch = readBatch(body, session?.client.protocolVersion ?? header ?? VERSION_WITHOUT_HEADER);
    if (!Array.isArray(batch)) return reply.respond(this.#error(admitted, 400, batch.code, batch.text));
    const { endpoint, caller } = admitted;
    const answered = batch.filter((each) => !(each instanceof Message) || each.kind === "request").length;
    if (answered > 0 && this.#deps.draining()) return reply.respond(this.#stopping(admitted));
    const replies = new BatchReplies(reply, answered);
    if (answered > 0) this.#prepare(session, reply);
    const exchanges: Exchange[] = [];
    for (const each of batch) {
      if (!(each instanceof Message)) {
        replies.one().finish(errorText("null", each.code, each.text));
        continue;
      }
      admitted.heard?.(each);
      if (each.kind === "response") session?.answer(each);
      else if (each.kind === "notification") endpoint.notification(each, caller, session);
      else {
        const exchange = endpoint.request(each, caller, session, replies.one());
        if (exchange !== undefined) exchanges.push(exchange);
      }
    }
    if (answered === 0) return reply.respond(new Answer(202, admitted.headers.json));
    if (session === undefined) this.#cancelWhenGone(admitted, reply, exchanges);
  }

  #stopping({ headers }: Admitted, id = "null"): Answer {
    const text = errorText(id, ErrorCode.server, "The proxy is being stopped; try again soon");
    return new Answer(503, headers.json.with("Retry-After", "5"), text);
  }

  #refuse(admitted: Admitted, accepts: Accepts): Answer | undefined {
    const { headers } = admitted.request;
    if (!accepts.json && !accepts.events) {
      return this.#error(admitted, 406, ErrorCode.server, "Not acceptable: accept application/json, text/event-stream");
    }
    if (headers.has("content-encoding")) {
      return this.#error(
        admitted,
        415,
        ErrorCode.server,
        "Unsupported media type: send the body without Content-Encoding",
      );
    }
    if (!isJsonMediaType(headers.get("content-type"))) {
      return this.#error(admitted, 415, ErrorCode.server, "Unsupported media type: send application/json");
    }
    return undefined;
  }

  async #initialize(admitted: Admitted, message: Message): Promise<Answer> {
    const { endpoint, caller, headers } = admitted;
    const { sessions } = this.#deps;
    const client = readClient(message);
    const session = sessions.create(endpoint.name, caller.principal, client, endpoint.ownChild(client));
    const { text, welcome } = await introduce(endpoint, message, session, caller);
    if (!welcome) {
      sessions.discard(session);
      return new Answer(503, headers.json, text);
    }
    this.#deps.log.debug({ server: endpoint.displayName }, "session begins");
    return new Answer(200, headers.json.with(SESSION_HEADER, session.id), text);
  }

  #request(admitted: Admitted, message: Message, session: Session | undefined, reply: HttpReply): void {
    const { endpoint, caller } = admitted;
    this.#prepare(session, reply);
    const exchange = endpoint.request(message, caller, session, reply);
    if (session === undefined && exchange !== undefined) this.#cancelWhenGone(admitted, reply, [exchange]);
  }

  #prepare(session: Session | undefined, reply: HttpReply): void {
    if (session === undefined) reply.asked();
    else
      reply.asked(
        (text) => session.push(text),
        () => this.#deps.replays.of(session),
      );
  }

  /** Nothing could bring an answer to this client later: when it leaves, the work is for nobody. */
  #cancelWhenGone({ request }: Admitted, reply: HttpReply, exchanges: readonly Exchange[]): void {
    reply.gone = () => {
      for (const exchange of exchanges) exchange.cancel("the client has left");
    };
    request.onLeft(reply.gone);
  }

  /** The session of a request, undefined where none is needed, or the response that refuses it. */
  #session(admitted: Admitted, id: string | undefined, needed = false): Session | Answer | undefined {
    const { request, endpoint, caller } = admitted;
    const version = request.headers.get(VERSION_HEADER);
    if (!isKnownVersionHeader(version)) {
      const text = `Unsupported protocol version; supported: ${LEGACY_VERSIONS.join(", ")}`;
      return this.#error(admitted, 400, ErrorCode.server, text, id);
    }
    const header = request.headers.get(SESSION_HEADER);
    if (header === null) {
      if (this.#deps.stateless && !needed) return undefined;
      return this.#error(admitted, 400, ErrorCode.server, MISSING_SESSION, id);
    }
    const session = this.#deps.sessions.find(header, endpoint.name, caller.principal, {
      ownChild: (client) => endpoint.ownChild(client),
      made: (made) => endpoint.restored(made),
    });
    return session ?? this.#error(admitted, 404, ErrorCode.sessionNotFound, "Session not found; initialize again", id);
  }

  #error(admitted: Admitted, status: number, code: number, text: string, id = "null"): Answer {
    return new Answer(status, admitted.headers.json, errorText(id, code, text));
  }
}

const MISSING_SESSION = "Bad request: the Mcp-Session-Id header is missing; initialize first";
