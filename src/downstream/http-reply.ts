import { Answer } from "../http1/answer.ts";
import type { AnswerHeaders } from "../http1/answer.ts";
import type { EventStream, Reply } from "../relay/ends.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Beating, Heartbeat } from "./heartbeat.ts";
import type { Replay } from "./replay.ts";
import { SseStream } from "./sse-stream.ts";

/** A body that has not arrived by then is dripped on purpose: the runtime's own timeout only sees silence. */
const BODY_DEADLINE_MS = 30_000;
/** A request that is silent for so long gets its event stream, so that nothing in between gives up. */
const OPEN_STREAM_AFTER_MS = 15_000;
/** Reverse proxies cut streams that are silent for 60 s, some earlier. */
export const KEEP_ALIVE_MS = 20_000;

export interface Accepts {
  readonly json: boolean;
  readonly events: boolean;
}

/** Headers of the answers to one request; shared objects where nothing differs, for that is cheaper. */
export interface ReplyHeaders {
  readonly json: AnswerHeaders;
  readonly events: AnswerHeaders;
}

export interface HttpReplyDeps {
  readonly clock: Clock;
  readonly heartbeat: Heartbeat;
}

/**
 * The answer to one POST: plain JSON when the first thing to say is the final answer, an event stream as soon as there
 * is anything before it (MCP 2025-11-25, Streamable HTTP, "Sending Messages to the Server").
 */
export class HttpReply implements Reply, Beating {
  readonly answer: Promise<Answer>;
  readonly #accepts: Accepts;
  readonly #headers: ReplyHeaders;
  readonly #deps: HttpReplyDeps;
  #since: number;
  /** Called when the client leaves while an answer is still owed. Not for requests of sessions: they live on. */
  gone: (() => void) | undefined;
  #aside: ((text: string) => void) | undefined;
  #resolve!: (answer: Answer) => void;
  #asked = false;
  #late: (() => Answer) | undefined;
  #carrier: SseStream | undefined;
  #stream: EventStream | undefined;
  #resumable: (() => Replay | undefined) | undefined;
  #over = false;

  /** @param late makes the answer to a client whose body does not arrive in time */
  constructor(accepts: Accepts, headers: ReplyHeaders, deps: HttpReplyDeps, late: () => Answer) {
    this.#accepts = accepts;
    this.#headers = headers;
    this.#deps = deps;
    this.#late = late;
    this.#since = deps.clock.now();
    this.answer = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    deps.heartbeat.add(this);
  }

  /** The body is here: from now on it is the server that may be slow. */
  arrived(): void {
    this.#late = undefined;
  }

  /**
   * What has arrived is a request that may be answered with a stream.
   * @param aside takes what comes before the answer when the client accepts no stream here
   * @param resumable remembers the stream, so that a client that loses it can take it up again
   */
  asked(aside?: (text: string) => void, resumable?: () => Replay | undefined): void {
    this.#resumable = resumable;
    this.#asked = true;
    this.#since = this.#deps.clock.now();
    this.#aside = aside;
  }

  /** Whether an event stream has been opened. */
  get streaming(): boolean {
    return this.#stream !== undefined;
  }

  /** Answers with anything but a message; not after one. */
  respond(answer: Answer): void {
    if (this.#over) return;
    this.#end();
    this.#resolve(answer);
  }

  push(text: string): void {
    if (this.#over) return;
    if (this.#accepts.events) this.#open().push(text);
    else this.#aside?.(text);
  }

  finish(text: string, status = 200, retryAfterSeconds?: number): void {
    if (this.#over) return;
    this.#end();
    if (this.#stream === undefined && (this.#accepts.json || status !== 200)) {
      const { json } = this.#headers;
      const headers = retryAfterSeconds === undefined ? json : json.with("Retry-After", String(retryAfterSeconds));
      return this.#resolve(new Answer(status, headers, text));
    }
    const stream = this.#open();
    stream.push(text);
    stream.end();
  }

  /** The answer will take its time: a client that can come back for it gets a stream that it can come back to. */
  park(): void {
    if (!this.#over && this.#accepts.events && this.#resumable?.()?.primes === true) this.#open();
  }

  drop(): void {
    if (this.#over) return;
    this.#end();
    if (this.#stream === undefined && !this.#accepts.events) {
      return this.#resolve(new Answer(202, this.#headers.json));
    }
    this.#open().end();
  }

  beat(now: number): void {
    const waited = now - this.#since;
    if (this.#late !== undefined) {
      if (waited >= BODY_DEADLINE_MS) this.respond(this.#late());
    } else if (this.#carrier !== undefined) {
      this.#carrier.beat(now, KEEP_ALIVE_MS);
    } else if (this.#asked && waited >= OPEN_STREAM_AFTER_MS && this.#accepts.events) {
      this.#open();
      // Something at once, so that what stands between sends the headers on.
      this.#comment(": waiting\n\n");
    }
  }

  #comment(text: string): void {
    this.#carrier?.write(text);
  }

  #open(): EventStream {
    if (this.#stream === undefined) {
      const carrier = new SseStream(this.#deps.clock.now(), () => {
        this.#deps.heartbeat.delete(this);
        resumable?.lost(carrier);
        this.gone?.();
      });
      const resumable = this.#resumable?.()?.open("call", carrier);
      this.#carrier = carrier;
      this.#stream = resumable ?? carrier;
      this.#resolve(new Answer(200, this.#headers.events, carrier));
    }
    return this.#stream;
  }

  #end(): void {
    this.#over = true;
    this.#deps.heartbeat.delete(this);
  }
}
