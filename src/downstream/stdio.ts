import { ErrorCode, errorText } from "../protocol/errors.ts";
import { hasEnvelope } from "../protocol/eras/envelope.ts";
import { Message } from "../protocol/message.ts";
import type { Caller, EventStream, Reply } from "../relay/ends.ts";
import type { Endpoint } from "../relay/served.ts";
import type { Session } from "../relay/session.ts";
import type { Sessions } from "../relay/sessions.ts";
import type { Log } from "../telemetry/log.ts";
import { isBatch, readBatch } from "./batch.ts";
import { introduce, readClient } from "./introduce.ts";
import { ModernStdio } from "./modern-stdio.ts";
import { readStateless } from "./modern-request.ts";
import { readMessage } from "./read-message.ts";
import type { Unreadable } from "./read-message.ts";

export interface StdioDeps {
  readonly endpoint: Endpoint;
  readonly sessions: Sessions;
  readonly log: Log;
  /** Takes one line, without its line feed. */
  readonly write: (line: string) => void;
}

/** Who sits at the other end of standard input: whoever started this process, so nothing is hidden from it. */
const LOCAL: Caller = Object.freeze({
  principal: Object.freeze({ kind: "anonymous", id: "local" } as const),
  headers: { get: () => null },
  usedAuthorization: false,
  trusted: true,
});

/** Requests that no earlier revision had: without an envelope they are malformed, and not early. */
const STATELESS_ONLY = new Set(["server/discover", "subscriptions/listen"]);

/**
 * The server side of stdio: one client, one message a line (MCP 2025-11-25, basic/transports, "stdio"). The session is
 * as long as the input, unless the client says `initialize` again. Requests of the stateless revision stand beside it.
 */
export class Stdio implements EventStream {
  readonly #deps: StdioDeps;
  readonly #modern: ModernStdio;
  #session: Session | undefined;
  #open = 0;
  #quiet: (() => void)[] = [];
  #over = false;

  constructor(deps: StdioDeps) {
    this.#deps = deps;
    this.#modern = new ModernStdio(deps.endpoint.modern, LOCAL);
  }

  push(text: string): void {
    // The texts of servers may hold line feeds between their members; in strings JSON does not allow them.
    if (!this.#over) this.#deps.write(/[\r\n]/.test(text) ? text.replaceAll(/[\r\n]+/g, " ") : text);
  }

  /** The session's stream is the output; it ends with the input. */
  end(): void {}

  /** Takes one line of the input. */
  line(text: string): void {
    if (text.trim() === "" || this.#over) return;
    try {
      this.#received(text);
    } catch (error) {
      this.#deps.log.error({ error: String(error), stack: (error as Error).stack }, "a message failed");
      this.push(errorText("null", ErrorCode.internal, "Internal error"));
    }
  }

  /** A line was longer than a message may be. */
  oversized(maxBytes: number): void {
    this.push(errorText("null", ErrorCode.invalidRequest, `Invalid request: a message has at most ${maxBytes} bytes`));
  }

  /** Resolves when every request has its answer. */
  quiet(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : new Promise((resolve) => this.#quiet.push(resolve));
  }

  /** The input has ended: answers that are owed may still come. */
  ended(): void {
    this.#modern.hush();
  }

  /** The client is gone: what it left open is cancelled. */
  close(): void {
    this.#over = true;
    this.#modern.close();
    this.#leave();
  }

  #received(text: string): void {
    if (!isBatch(text)) {
      const message = readMessage(text);
      if (message instanceof Message) return this.#take(message, this.#single());
      return this.#refuse(message, text);
    }
    const batch = readBatch(text, this.#session?.client.protocolVersion);
    if (!Array.isArray(batch)) return this.#refuse(batch, text);
    const answers = new Answers(this);
    for (const each of batch) {
      if (!(each instanceof Message)) answers.add(errorText("null", each.code, each.text));
      else if (each.kind === "request") this.#take(each, this.#counted(answers.one()));
      else this.#take(each, this.#single());
    }
    answers.complete();
  }

  /** What is no message is answered, so that a client that waits for an answer does not wait without end. */
  #refuse({ code, text: why }: Unreadable, text: string): void {
    this.#deps.log.warn({}, `a line of standard input is no message: ${why} (${text.length} characters)`);
    this.push(errorText("null", code, why));
  }

  #take(message: Message, reply: Reply): void {
    const { endpoint } = this.#deps;
    const session = this.#session;
    const stateless = hasEnvelope(message);
    this.#deps.log.debug({ method: message.method }, `client: ${message.method ?? "response"}`);
    if (message.kind === "response") return session?.answer(message);
    if (message.kind === "notification") return this.#notified(message, stateless);
    // One that listens has no answer to wait for.
    if (stateless && message.method === "subscriptions/listen") return this.#modern.request(message, this.#plain());
    this.#open++;
    if (stateless) return this.#modern.request(message, reply);
    if (message.method === "initialize") return void this.#initialize(message, reply);
    if (session === undefined && message.method === "ping") {
      return reply.finish(`{"jsonrpc":"2.0","id":${message.id},"result":{}}`);
    }
    if (STATELESS_ONLY.has(message.method ?? "")) {
      const wrong = readStateless(message);
      if ("code" in wrong) return reply.finish(errorText(message.id ?? "null", wrong.code, wrong.text));
    }
    if (session === undefined) {
      return reply.finish(
        errorText(message.id ?? "null", ErrorCode.server, "there is no session: the first request is initialize"),
      );
    }
    endpoint.request(message, LOCAL, session, reply);
  }

  /** A cancellation names a request of either era. */
  #notified(message: Message, stateless: boolean): void {
    const { endpoint } = this.#deps;
    const named = message.method === "notifications/cancelled" ? message.param("requestId") : undefined;
    if (named !== undefined && this.#modern.cancel(message.slice(named))) return;
    if (stateless || this.#session === undefined) return this.#modern.notification(message);
    endpoint.notification(message, LOCAL, this.#session);
  }

  async #initialize(message: Message, reply: Reply): Promise<void> {
    const { endpoint, sessions } = this.#deps;
    this.#leave();
    const client = readClient(message);
    const ownChild = endpoint.ownChild(client);
    const session = sessions.attach(endpoint.name, LOCAL.principal, client, ownChild);
    this.#session = session;
    const { text, welcome } = await introduce(endpoint, message, session, LOCAL);
    reply.finish(text);
    if (this.#session !== session) return;
    if (welcome) return session.ended ? undefined : endpoint.openStream(this, LOCAL, session);
    // Without a session: the client may say initialize again when the server is back.
    this.#leave();
  }

  #leave(): void {
    if (this.#session !== undefined) this.#deps.sessions.detach(this.#session);
    this.#session = undefined;
  }

  #single(): Reply {
    return this.#counted(this.#plain());
  }

  #plain(): Reply {
    return { push: (text) => this.push(text), finish: (text) => this.push(text), drop: () => {} };
  }

  #counted(reply: Reply): Reply {
    return {
      push: (text) => reply.push(text),
      finish: (text) => {
        reply.finish(text);
        this.#done();
      },
      drop: () => {
        reply.drop();
        this.#done();
      },
    };
  }

  #done(): void {
    if (--this.#open > 0) return;
    for (const resolve of this.#quiet.splice(0)) resolve();
  }
}

/** The answers to one batch, said together (JSON-RPC 2.0 section 6). */
class Answers {
  readonly #out: EventStream;
  readonly #answers: string[] = [];
  #open = 1;

  constructor(out: EventStream) {
    this.#out = out;
  }

  add(text: string): void {
    this.#answers.push(text);
  }

  one(): Reply {
    this.#open++;
    return {
      push: (text) => this.#out.push(text),
      finish: (text) => {
        this.add(text);
        this.complete();
      },
      drop: () => this.complete(),
    };
  }

  /** One of those waited for is done; at first, the reading itself. */
  complete(): void {
    if (--this.#open === 0 && this.#answers.length > 0) this.#out.push(`[${this.#answers.join(",")}]`);
  }
}
