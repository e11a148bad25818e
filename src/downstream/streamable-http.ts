import { ambiguityOf } from "../protocol/ambiguity.ts";
import { ErrorCode, errorText } from "../protocol/errors.ts";
import {
  SESSION_HEADER,
  VERSION_HEADER,
  isJsonMediaType,
  isKnownVersionHeader,
  readAccept,
} from "../protocol/http-headers.ts";
import { Message } from "../protocol/message.ts";
import { LEGACY_VERSIONS, negotiate } from "../protocol/versions.ts";
import type { Caller, Client } from "../relay/ends.ts";
import type { ServerEndpoint } from "../relay/endpoint.ts";
import type { Session } from "../relay/session.ts";
import type { Sessions } from "../relay/sessions.ts";
import { Fault } from "../upstream/fault.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { BodyNotText, BodyTooLarge, readBody } from "./body.ts";
import type { Heartbeat } from "./heartbeat.ts";
import { HttpReply, KEEP_ALIVE_MS } from "./http-reply.ts";
import type { Accepts, ReplyHeaders } from "./http-reply.ts";
import { SseStream } from "./sse-stream.ts";

export interface StreamableHttpDeps {
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly heartbeat: Heartbeat;
  /** A request without a session is answered on the shared connection instead of with 400. */
  readonly stateless: boolean;
  /** Longest body, in bytes. */
  readonly maxRequestBytes: number;
  readonly log: Log;
  /** The proxy is about to end: what runs may finish, nothing new begins. */
  readonly draining: () => boolean;
}

/** One admitted HTTP request to an endpoint. */
export interface Admitted {
  readonly request: Request;
  readonly endpoint: ServerEndpoint;
  readonly caller: Caller;
  readonly headers: ReplyHeaders;
  /** Hears of each message before it is relayed. */
  readonly heard: ((message: Message) => void) | undefined;
  /** Takes the runtime's limit for silent requests off this one, and puts it on again for who does not read. */
  patient(on: boolean): void;
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

  post(admitted: Admitted): Response | Promise<Response> {
    const { request, headers } = admitted;
    const accepts = readAccept(request.headers.get("accept"));
    const refusal = this.#refuse(admitted, accepts);
    if (refusal !== undefined) return refusal;
    const reply = new HttpReply(accepts, headers, this.#deps, () => {
      const response = this.#error(admitted, 408, ErrorCode.server, "Request timeout: the body did not arrive in time");
      response.headers.set("Connection", "close");
      return response;
    });
    readBody(request, this.#deps.maxRequestBytes).then(
      (body) => {
        try {
          this.#received(admitted, body, reply, accepts);
        } catch (error) {
          // A promise of our own is what the runtime waits for; it would wait without end.
          this.#deps.log.error({ error: String(error), stack: (error as Error).stack }, "a request failed");
          reply.respond(this.#error(admitted, 500, ErrorCode.internal, "Internal error"));
        }
      },
      (error: unknown) => reply.respond(this.#unreadable(admitted, error)),
    );
    return reply.response;
  }

  /** The stream for what belongs to no request. */
  get(admitted: Admitted): Response {
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
    if (session instanceof Response) return session;
    if (session === undefined) return this.#error(admitted, 400, ErrorCode.server, MISSING_SESSION);
    const { heartbeat, clock } = this.#deps;
    const stream = new SseStream(clock.now(), () => {
      heartbeat.delete(beating);
      session.closeStream(stream);
    });
    const beating = {
      beat: (now: number): void => {
        session.lastUsed = now;
        stream.beat(now, KEEP_ALIVE_MS);
        if (stream.over) heartbeat.delete(beating);
      },
    };
    heartbeat.add(beating);
    // Something at once, so that what stands between sends the headers on.
    stream.write(": open\n\n");
    endpoint.openStream(stream, caller, session);
    return new Response(stream.body, { headers: headers.events });
  }

  /** Ends a session. */
  delete(admitted: Admitted): Response {
    const session = this.#session(admitted, undefined, true);
    if (session instanceof Response) return session;
    if (session === undefined) return this.#error(admitted, 400, ErrorCode.server, MISSING_SESSION);
    this.#deps.log.debug({ server: admitted.endpoint.config.displayName }, "session ended by its client");
    this.#deps.sessions.end(session);
    return new Response(null, { status: 204, headers: admitted.headers.json });
  }

  #received(admitted: Admitted, body: string, reply: HttpReply, accepts: Accepts): void {
    reply.arrived();
    let message: Message | string;
    try {
      message = Message.read(body, "client");
    } catch {
      return reply.respond(this.#error(admitted, 400, ErrorCode.parse, "Parse error: the body is not JSON"));
    }
    const wrong = typeof message === "string" ? message : ambiguityOf(message);
    if (typeof message === "string" || wrong !== undefined) {
      return reply.respond(this.#error(admitted, 400, ErrorCode.invalidRequest, `Invalid request: ${wrong}`));
    }
    if (message.kind === "request" && this.#deps.draining()) {
      const response = this.#error(
        admitted,
        503,
        ErrorCode.server,
        "The proxy is being stopped; try again soon",
        message.id,
      );
      response.headers.set("Retry-After", "5");
      return reply.respond(response);
    }
    admitted.heard?.(message);
    if (message.method === "initialize" && message.kind === "request") {
      reply.answering = () => admitted.patient(false);
      return void this.#initialize(admitted, message).then((response) => reply.respond(response));
    }
    const session = this.#session(admitted, message.id);
    if (session instanceof Response) return reply.respond(session);
    switch (message.kind) {
      case "request":
        return this.#request(admitted, message, session, reply, accepts);
      case "notification":
        admitted.endpoint.notification(message, admitted.caller, session);
        break;
      case "response":
        session?.answer(message);
        break;
    }
    reply.respond(new Response(null, { status: 202, headers: admitted.headers.json }));
  }

  #unreadable(admitted: Admitted, error: unknown): Response {
    if (error instanceof BodyNotText) {
      return this.#error(admitted, 400, ErrorCode.parse, "Parse error: the body is not UTF-8");
    }
    if (!(error instanceof BodyTooLarge)) {
      return this.#error(admitted, 400, ErrorCode.server, "Bad request: the body could not be read");
    }
    const limit = `Payload too large: at most ${this.#deps.maxRequestBytes} bytes (maxRequestBytes)`;
    const response = this.#error(admitted, 413, ErrorCode.server, limit);
    response.headers.set("Connection", "close");
    return response;
  }

  #refuse(admitted: Admitted, accepts: Accepts): Response | undefined {
    const { headers } = admitted.request;
    if (!accepts.json && !accepts.events) {
      return this.#error(admitted, 406, ErrorCode.server, "Not acceptable: accept application/json, text/event-stream");
    }
    if (!isJsonMediaType(headers.get("content-type"))) {
      return this.#error(admitted, 415, ErrorCode.server, "Unsupported media type: send application/json");
    }
    return undefined;
  }

  async #initialize(admitted: Admitted, message: Message): Promise<Response> {
    const { endpoint, caller, headers } = admitted;
    const { sessions } = this.#deps;
    const params = message.parsedParams();
    const client: Client = {
      protocolVersion: negotiate(params["protocolVersion"]),
      info: params["clientInfo"] ?? { name: "unknown", version: "0" },
      capabilities: asObject(params["capabilities"]),
    };
    // It may wait as long as a first start takes, and never opens a stream before its answer.
    admitted.patient(true);
    const session = sessions.create(
      endpoint.name,
      caller.principal,
      client,
      endpoint.switchboard.givesOwnChild(client),
    );
    try {
      const text = await endpoint.initialize(message, session, caller);
      this.#deps.log.debug({ server: endpoint.config.displayName }, "session begins");
      const withSession = new Headers(headers.json);
      withSession.set(SESSION_HEADER, session.id);
      return new Response(text, { headers: withSession });
    } catch (error) {
      sessions.discard(session);
      const fault = error instanceof Fault ? error : new Fault("upstream.protocol", String(error));
      const { message: why, data } = endpoint.switchboard.describe(fault, caller);
      return new Response(errorText(message.id ?? "null", ErrorCode.internal, why, data), {
        status: 503,
        headers: headers.json,
      });
    }
  }

  #request(
    admitted: Admitted,
    message: Message,
    session: Session | undefined,
    reply: HttpReply,
    accepts: Accepts,
  ): void {
    const { endpoint, caller, request } = admitted;
    if (!accepts.events) {
      admitted.patient(true);
      reply.answering = () => admitted.patient(false);
    }
    reply.asked(session === undefined ? undefined : (text) => session.push(text));
    const exchange = endpoint.request(message, caller, session, reply);
    if (session !== undefined || exchange === undefined) return;
    // Nothing could bring the answer to this client later: when it leaves, the work is for nobody.
    reply.gone = () => exchange.cancel("the client has left");
    request.signal.addEventListener("abort", reply.gone, { once: true });
  }

  /** The session of a request, undefined where none is needed, or the response that refuses it. */
  #session(admitted: Admitted, id: string | undefined, needed = false): Session | Response | undefined {
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
      ownChild: (client) => endpoint.switchboard.givesOwnChild(client),
      made: (made) => endpoint.restored(made),
    });
    return session ?? this.#error(admitted, 404, ErrorCode.sessionNotFound, "Session not found; initialize again", id);
  }

  #error(admitted: Admitted, status: number, code: number, text: string, id = "null"): Response {
    return new Response(errorText(id, code, text), { status, headers: admitted.headers.json });
  }
}

const MISSING_SESSION = "Bad request: the Mcp-Session-Id header is missing; initialize first";

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
