import type { Socket } from "bun";
import type { Clock } from "../telemetry/clock.ts";
import { CHUNK_END, LAST_CHUNK, answerHead, chunkStart } from "./answer-head.ts";
import type { HttpDate } from "./answer-head.ts";
import { Answer } from "./answer.ts";
import type { Outlet, StreamedBody } from "./answer.ts";
import { ChunkedBody, MeasuredBody } from "./chunked-body.ts";
import type { Framing } from "./chunked-body.ts";
import { Incoming } from "./incoming.ts";
import type { Peer } from "./incoming.ts";
import { BodyBroken, IncomingBody } from "./incoming-body.ts";
import type { BodySource } from "./incoming-body.ts";
import { Output } from "./output.ts";
import { BadRequest, readHead } from "./request-head.ts";
import type { Place, RequestHead } from "./request-head.ts";

/** Longest head of a request. */
const MAX_HEAD_BYTES = 16 * 1_024;
/** What a client may send ahead while it waits for an answer. Each byte of it may come alone, and then all is copied. */
const MAX_AHEAD_BYTES = 16 * 1_024;
/** What of a body is read for nothing, so that a connection can be used again. */
const MAX_WASTE_BYTES = 64 * 1_024;
/** A head that has not come by then is dripped on purpose. */
const HEAD_MS = 10_000;
/** A body that has not come by then; who reads it may have less patience. */
const BODY_MS = 40_000;
/** A connection without a request, or whose client does not read, is closed after this. */
const IDLE_MS = 40_000;
/** Heads that repeat come faster than that; others are not worth their memory. */
const FORGET_MS = 3_000;
/** After the last answer: time for the client to read it before what it still sends would reset the connection. */
const LINGER_MS = 2_000;
const END_OF_HEAD = "\r\n\r\n";
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const NOTHING = Buffer.alloc(0);
const LF = 10;
const CR = 13;

export type Handler = (request: Incoming) => Answer | Promise<Answer>;

/** What all connections of one listener share. */
export interface ConnectionDeps {
  /** Has no addresses. */
  readonly unix: boolean;
  readonly scheme: "http" | "https";
  readonly clock: Clock;
  readonly date: HttpDate;
  readonly handler: Handler;
  /** The answer to what cannot be read as a request. */
  readonly refuse: (status: number, text: string) => Answer;
  /** The answer where the handler fails. */
  readonly failed: (error: unknown) => Answer;
}

/**
 * One client's connection (HTTP/1.1, RFC 9112): reads a request, waits for its answer, writes it, and goes on to the
 * next. What a client sends ahead, does not read or does not finish costs a bounded amount of memory and time.
 */
export class Connection implements BodySource, Outlet, Peer, Place {
  readonly #socket: Socket<Connection>;
  readonly #deps: ConnectionDeps;
  readonly #output: Output;
  readonly address: string | null;
  /** What has come and is not taken yet. */
  #input: Buffer = NOTHING;
  #paused = false;
  /** The head before this one: clients repeat theirs, and what was read once need not be read again. */
  #lastText = "";
  #lastHead: RequestHead | undefined;
  #request: Incoming | undefined;
  /** While the body of the request is coming. */
  #framing: Framing | undefined;
  #awaitsContinue = false;
  /** While the answer is being said, and how. */
  #stream: StreamedBody | undefined;
  #inChunks = false;
  /** All of the answer is said. */
  #answered = false;
  /** No request is taken after this one. */
  #last = false;
  /** Nothing is read any more but to throw it away. */
  #ending = false;
  #advancing = false;
  /** Others have their turn before the next request. */
  #resting = false;
  /** When what is waited for began, in milliseconds since the epoch. */
  #since: number;

  constructor(socket: Socket<Connection>, deps: ConnectionDeps) {
    this.#socket = socket;
    this.#deps = deps;
    this.#since = deps.clock.now();
    this.#output = new Output(socket);
    // A broken connection has none any more, and somebody who may ask then would take it for a Unix socket, and trust it.
    this.address = deps.unix ? null : (socket.remoteAddress ?? null);
  }

  get here(): string {
    const { localAddress, localPort } = this.#socket;
    if (this.#deps.unix || localAddress === undefined) return "localhost";
    return `${localAddress.includes(":") ? `[${localAddress}]` : localAddress}:${localPort}`;
  }

  /** Something has come. */
  data(bytes: Buffer): void {
    if (this.#ending) return;
    if (this.#input.length > 0) this.#input = Buffer.concat([this.#input, bytes]);
    else {
      this.#input = bytes;
      if (this.#free) this.#since = this.#deps.clock.now();
    }
    this.#advance();
  }

  /** The socket takes more. */
  drained(): void {
    if (this.#output.waiting) this.#since = this.#deps.clock.now();
    if (!this.#output.drain()) return;
    if (this.#stream === undefined) this.#settle();
    else this.#stream.drained();
  }

  /** The client has gone, or the connection broke. */
  closed(): void {
    const { stream, request } = { stream: this.#stream, request: this.#request };
    this.#ending = true;
    this.#input = NOTHING;
    this.#output.close();
    this.#request = this.#stream = this.#framing = undefined;
    this.#forget();
    try {
      stream?.left();
    } finally {
      request?.leave();
    }
  }

  /** Looks after what takes too long. @param now in milliseconds since the epoch */
  beat(now: number): void {
    const waited = now - this.#since;
    if (waited >= FORGET_MS) this.#forget();
    if (this.#ending) {
      if (waited >= LINGER_MS) this.cut();
    } else if (this.#output.waiting) {
      if (waited >= IDLE_MS) this.cut();
    } else if (!this.#free) {
      if (this.#answered && waited >= HEAD_MS) this.#end();
      else if (this.#framing !== undefined && this.#stream === undefined && waited >= BODY_MS)
        this.#refuse(new BadRequest(408, "Request timeout: the body did not arrive in time"));
    } else if (this.#input.length === 0) {
      if (waited >= IDLE_MS) this.#end();
    } else if (waited >= HEAD_MS) this.#refuse(new BadRequest(408, "Request timeout: the head did not arrive in time"));
  }

  /** Something went wrong here that is not the doing of a request, so that no answer can be trusted. */
  fail(error: unknown): void {
    this.#deps.failed(error);
    this.cut();
  }

  /** Takes no request after the one that is being answered. */
  finish(): void {
    this.#last = true;
    if (this.#free) this.#end();
  }

  write(text: string): boolean {
    return this.#part("", text, "");
  }

  end(text: string): void {
    if (this.#stream === undefined) return;
    this.#stream = undefined;
    this.#answered = true;
    this.#part("", text, this.#inChunks ? LAST_CHUNK : "");
    this.#settle();
  }

  cut(): void {
    this.#socket.terminate();
  }

  /** Says a part of a stream, with what stands before and behind it. */
  #part(before: string, text: string, behind: string): boolean {
    const size = Buffer.byteLength(text);
    const framed = this.#inChunks && size > 0;
    const start = framed ? before + chunkStart(size) : before;
    const end = framed ? CHUNK_END + behind : behind;
    return this.#say(start + text + end, Buffer.byteLength(start) + size + end.length);
  }

  /** @param size in bytes */
  #say(what: string | Uint8Array, size: number): boolean {
    const all = this.#output.write(what, size);
    if (!all) this.#since = this.#deps.clock.now();
    return all;
  }

  /** No request is being answered. */
  get #free(): boolean {
    return this.#request === undefined && this.#stream === undefined && !this.#answered;
  }

  #forget(): void {
    this.#lastText = "";
    this.#lastHead = undefined;
  }

  /** Goes on with what has come, as far as that is possible now. */
  #advance(): void {
    // An answer that is there at once leads back here.
    if (this.#advancing || this.#ending) return;
    this.#advancing = true;
    try {
      while (this.#input.length > 0 && !this.#ending && this.#step());
    } catch (error) {
      if (error instanceof BadRequest) this.#refuse(error);
      else this.fail(error);
    } finally {
      this.#advancing = false;
    }
    if (this.#ending) return;
    const full = this.#input.length > MAX_AHEAD_BYTES;
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }

  /** Takes one thing of what has come. @returns whether to look again */
  #step(): boolean {
    if (this.#framing !== undefined) return this.#takeBody(this.#framing);
    return this.#free && !this.#last && !this.#resting && this.#takeHead();
  }

  #takeHead(): boolean {
    const start = this.#input[0] === CR && this.#input[1] === LF ? 2 : 0;
    const end = this.#input.indexOf(END_OF_HEAD, start, "latin1");
    if ((end === -1 ? this.#input.length : end) > MAX_HEAD_BYTES)
      throw new BadRequest(431, `Request header fields too large: at most ${MAX_HEAD_BYTES} bytes`);
    if (end === -1) return false;
    const text = this.#input.toString("latin1", start, end);
    const head =
      text === this.#lastText && this.#lastHead !== undefined
        ? this.#lastHead
        : readHead(text, this.#deps.scheme, this);
    this.#lastText = text;
    this.#lastHead = head;
    this.#begin(head, behind(this.#input, end + END_OF_HEAD.length));
    return true;
  }

  #begin(head: RequestHead, rest: Buffer): void {
    let whole: Buffer | undefined;
    if (head.body !== "chunked" && rest.length >= head.body) {
      whole = head.body === 0 ? NOTHING : rest.subarray(0, head.body);
      this.#input = behind(rest, head.body);
    } else {
      this.#framing = head.body === "chunked" ? new ChunkedBody() : new MeasuredBody(head.body);
      this.#input = rest;
      this.#awaitsContinue = head.expectsContinue && rest.length === 0;
      this.#since = this.#deps.clock.now();
    }
    const request = new Incoming(head, this, new IncomingBody(whole, this));
    this.#request = request;
    if (!head.keepsAlive) this.#last = true;
    let answer: Answer | Promise<Answer>;
    try {
      answer = this.#deps.handler(request);
    } catch (error) {
      answer = this.#failed(error);
    }
    if (answer instanceof Answer) return this.#answer(request, answer);
    answer.then(
      (later) => this.#answerLater(request, later),
      (error: unknown) => this.#answerLater(request, this.#failed(error)),
    );
  }

  #failed(error: unknown): Answer {
    // The client's doing, which is not worth a line in the log.
    if (error instanceof BodyBroken) return this.#deps.refuse(400, "Bad request: the body could not be read");
    return this.#deps.failed(error);
  }

  #takeBody(framing: Framing): boolean {
    const body = this.#request?.body;
    if (body?.full === true) return false;
    const taken = framing.take(this.#input, (part) => body?.push(part));
    this.#input = behind(this.#input, taken);
    if (!framing.over) return false;
    this.#framing = undefined;
    body?.finish();
    this.#settle();
    return true;
  }

  wanted(): void {
    if (this.#framing === undefined || this.#answered || this.#ending) return;
    if (this.#awaitsContinue) {
      this.#awaitsContinue = false;
      this.#say(CONTINUE, CONTINUE.length);
    }
    this.#advance();
  }

  #answer(request: Incoming, answer: Answer): void {
    const { body, status } = answer;
    const streamed = typeof body !== "string" && !(body instanceof Uint8Array);
    if (this.#request !== request) return streamed ? body.left() : undefined;
    const { method, version } = request;
    this.#inChunks = streamed && version === "1.1";
    if (answer.closes || (streamed && !this.#inChunks) || !this.#canSkipBody(request)) this.#last = true;
    request.body.discard();
    const date = this.#deps.date.at(this.#deps.clock.now());
    const closes = this.#last;
    const bodiless = method === "HEAD" || status === 204 || status === 304;
    if (streamed) {
      const length = this.#inChunks ? "chunked" : "until the end";
      const lines = answerHead(answer, { length, closes }, date);
      if (bodiless) {
        body.left();
        this.#answered = true;
        this.#say(lines, Buffer.byteLength(lines));
        return this.#settle();
      }
      // Many streams may be open, and for long: what was asked is not kept.
      this.#forget();
      if (!request.isAwaited) this.#request = undefined;
      this.#stream = body;
      this.#part(lines, body.open(this), "");
      return;
    }
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.byteLength;
    // Who answered may have left out a body that GET would have, and zero would be a lie (RFC 9110 section 8.6).
    const unsaid = method === "HEAD" && length === 0;
    const lines = answerHead(answer, { length: unsaid ? "until the end" : length, closes }, date);
    this.#answered = true;
    const size = Buffer.byteLength(lines);
    if (bodiless || length === 0) this.#say(lines, size);
    else if (typeof body === "string") this.#say(lines + body, size + length);
    else {
      this.#say(lines, size);
      this.#say(body, length);
    }
    this.#settle();
  }

  /** An answer that was waited for, so that nobody would catch what goes wrong. */
  #answerLater(request: Incoming, answer: Answer): void {
    try {
      this.#answer(request, answer);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Whether so little of the body is still to come that it can be read for nothing. */
  #canSkipBody(request: Incoming): boolean {
    if (this.#framing === undefined) return true;
    // Who was not told to go on may or may not send it.
    return !this.#awaitsContinue && (request.declaredLength ?? Number.POSITIVE_INFINITY) <= MAX_WASTE_BYTES;
  }

  /** Goes on to the next request when the answer has left and the whole of this one has come. */
  #settle(): void {
    if (!this.#answered || this.#output.waiting) return;
    if (this.#last) return this.#end();
    this.#since = this.#deps.clock.now();
    if (this.#framing === undefined) {
      this.#request = undefined;
      this.#answered = false;
      if (this.#input.length > 0) this.#rest();
    }
    this.#advance();
  }

  /** Requests that were sent all at once are taken one in a turn of the event loop: thousands of them fit in one read. */
  #rest(): void {
    if (this.#resting) return;
    this.#resting = true;
    setImmediate(() => {
      this.#resting = false;
      this.#advance();
    });
  }

  /** What comes cannot be read, or does not come, so that nobody knows where the next request would begin. */
  #refuse({ status, message }: BadRequest): void {
    this.#last = true;
    this.#input = NOTHING;
    this.#framing = undefined;
    const request = this.#request;
    if (this.#answered || this.#stream !== undefined) {
      request?.body.discard();
      return this.#settle();
    }
    // Whoever is still at it need not answer any more.
    this.#request = undefined;
    request?.leave();
    const answer = this.#deps.refuse(status, message);
    const body = answer.body as string;
    const length = Buffer.byteLength(body);
    const lines = answerHead(answer, { length, closes: true }, this.#deps.date.at(this.#deps.clock.now()));
    this.#answered = true;
    this.#say(lines + body, Buffer.byteLength(lines) + length);
    this.#settle();
  }

  /** Says goodbye. What the client still sends is thrown away for a while, so that it can read what it was told. */
  #end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#since = this.#deps.clock.now();
    this.#input = NOTHING;
    this.#request = this.#framing = undefined;
    if (this.#paused) this.#socket.resume();
    this.#socket.shutdown();
  }
}

/** What is left behind what was taken. An empty view would keep all of it in memory for as long as the connection. */
function behind(bytes: Buffer, taken: number): Buffer {
  return taken < bytes.length ? bytes.subarray(taken) : NOTHING;
}
