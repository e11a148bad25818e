import { randomBytes } from "node:crypto";
import type { EventStream } from "../relay/ends.ts";
import type { Session } from "../relay/session.ts";
import type { SseStream } from "./sse-stream.ts";

/** What an event costs beside its text. */
const OVERHEAD = 64;
/** Characters remembered for all sessions together: a limit for each alone is none when sessions cost nothing. */
const MAX_TOTAL = 64 * 1024 * 1024;
/** When a client is to come back to a stream that broke or was closed, in milliseconds. */
const RETRY_MS = 1_000;

export interface ReplayLimits {
  /** Events of one session; 0 switches resumption off. */
  readonly events: number;
  /** Characters of one session. */
  readonly bytes: number;
}

/** What was said on the streams of every session and may have to be said again. */
export class Replays {
  #limits: ReplayLimits;
  readonly #replays = new Map<Session, Replay>();
  #total = 0;
  #purgeAt = 1_024;

  constructor(limits: ReplayLimits) {
    this.#limits = limits;
  }

  /** Takes new limits over; they count from the next event on. */
  limit(limits: ReplayLimits): void {
    this.#limits = limits;
  }

  /** What is remembered of a session; undefined where resumption is switched off. */
  of(session: Session): Replay | undefined {
    const known = this.#replays.get(session);
    if (known !== undefined || this.#limits.events === 0) return known;
    if (this.#replays.size >= this.#purgeAt) this.#purge();
    const made = new Replay(session.client.protocolVersion >= "2025-11-25", (replay, size) =>
      this.#grown(session, replay, size),
    );
    this.#replays.set(session, made);
    return made;
  }

  #grown(session: Session, replay: Replay, size: number): void {
    this.#total += size;
    while (replay.events > this.#limits.events || replay.size > this.#limits.bytes)
      this.#total -= replay.forgetOldest();
    if (session.ended) this.#drop(session, replay);
    else if (this.#total > MAX_TOTAL) {
      // Who spoke last is remembered best.
      this.#replays.delete(session);
      this.#replays.set(session, replay);
      this.#purge();
      for (const each of this.#replays.values()) {
        while (this.#total > MAX_TOTAL && each.events > 0) this.#total -= each.forgetOldest();
        if (this.#total <= MAX_TOTAL) return;
      }
    }
  }

  #purge(): void {
    for (const [session, replay] of this.#replays) if (session.ended) this.#drop(session, replay);
    this.#purgeAt = Math.max(1_024, 2 * this.#replays.size);
  }

  #drop(session: Session, replay: Replay): void {
    this.#total -= replay.size;
    this.#replays.delete(session);
  }
}

interface Said {
  readonly stream: ResumableStream;
  readonly number: number;
  readonly event: string;
  /** What it counts for. */
  readonly size: number;
}

/**
 * What was said on the streams of one session, as far as the limits allow (MCP 2025-11-25, "Resumability and
 * Redelivery"). Ids of events mean something within their session alone, and begin by chance in each life of it: what
 * is forged, foreign or forgotten is simply not found.
 */
export class Replay {
  readonly #life = randomBytes(6).toString("base64url").replaceAll("-", "_");
  readonly #primes: boolean;
  readonly #grown: (replay: Replay, size: number) => void;
  readonly #streams = new Map<number, ResumableStream>();
  #said: (Said | undefined)[] = [];
  /** Entries at the front that are forgotten already. */
  #gone = 0;
  #size = 0;
  #next = 1;

  /** @param primes whether streams begin with an event that has an id only, so that they can be resumed from the start */
  constructor(primes: boolean, grown: (replay: Replay, size: number) => void) {
    this.#primes = primes;
    this.#grown = grown;
  }

  get events(): number {
    return this.#said.length - this.#gone;
  }

  get size(): number {
    return this.#size;
  }

  /** Clients of this session know streams that are closed before the answer. */
  get primes(): boolean {
    return this.#primes;
  }

  /** Opens a stream on a connection. */
  open(kind: "call" | "session", carrier: SseStream): ResumableStream {
    const number = this.#next++;
    const stream = new ResumableStream(kind, number, `id: ${this.#life}-${number}-`, this);
    this.#streams.set(number, stream);
    stream.carry(carrier);
    if (this.#primes) carrier.write(`${stream.head}0\nretry: ${RETRY_MS}\ndata:\n\n`);
    else carrier.write(": open\n\n");
    return stream;
  }

  /**
   * Takes a stream up again on another connection, with what came after the named event.
   * @returns undefined when there is nothing to be taken up; a new stream is as good then
   */
  resume(lastEventId: string, carrier: SseStream): ResumableStream | undefined {
    const match = /^([\w]+)-(\d{1,15})-(\d{1,15})$/.exec(lastEventId);
    if (match === null || match[1] !== this.#life) return undefined;
    const stream = this.#streams.get(Number(match[2]));
    if (stream === undefined) return undefined;
    const after = Number(match[3]);
    const missed = this.#said.filter((said) => said?.stream === stream && said.number > after) as Said[];
    if (stream.kind === "call" && stream.over && missed.length === 0) return undefined;
    carrier.write(": open\n\n");
    for (const { event } of missed) carrier.write(event);
    stream.carry(carrier);
    return stream;
  }

  /** Remembers what is said on a stream. @returns it as an event */
  say(stream: ResumableStream, number: number, text: string): string {
    const size = text.length + OVERHEAD;
    const parts = `${stream.head}${number}\nevent: message\ndata: ${text}\n\n`;
    // What is said to a session was said to many: they share the text.
    const event = stream.kind === "call" ? joined(parts) : parts;
    this.#said.push({ stream, number, event, size });
    this.#size += size;
    stream.kept++;
    this.#grown(this, size);
    return event;
  }

  /** @returns how much that frees */
  forgetOldest(): number {
    const said = this.#said[this.#gone];
    if (said === undefined) return 0;
    this.#said[this.#gone++] = undefined;
    if (this.#gone > 64 && this.#gone * 2 > this.#said.length) {
      this.#said = this.#said.slice(this.#gone);
      this.#gone = 0;
    }
    this.#size -= said.size;
    said.stream.kept--;
    this.settle(said.stream);
    return said.size;
  }

  /** A stream that nothing can be said on any more, and of which nothing is left, need not be known. */
  settle(stream: ResumableStream): void {
    if (stream.kept === 0 && stream.idle) this.#streams.delete(stream.number);
  }
}

/**
 * One text in the place of its parts, which would keep alive all that they were cut out of: what a server said together
 * with them. Looking into a text joins it, if something depends on what is found.
 */
function joined(event: string): string {
  return event.charCodeAt(0) === 0 ? "" : event;
}

/** A stream that outlives the connections that carry it. */
export class ResumableStream implements EventStream {
  readonly kind: "call" | "session";
  readonly number: number;
  /** How its events begin, up to their numbers. */
  readonly head: string;
  /** Events remembered. */
  kept = 0;
  readonly #replay: Replay;
  #carrier: SseStream | undefined;
  #said = 0;
  #over = false;

  constructor(kind: "call" | "session", number: number, head: string, replay: Replay) {
    this.kind = kind;
    this.number = number;
    this.head = head;
    this.#replay = replay;
  }

  /** Nothing follows. */
  get over(): boolean {
    return this.#over;
  }

  /** Nobody hears it, and nothing will be said on it unless somebody comes back. */
  get idle(): boolean {
    return this.#carrier === undefined && (this.#over || this.kind === "session");
  }

  push(text: string): void {
    if (this.#over) return;
    const event = this.#replay.say(this, ++this.#said, text);
    this.#carrier?.write(event);
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    const carrier = this.#carrier;
    this.#carrier = undefined;
    carrier?.end();
    this.#replay.settle(this);
  }

  /** Goes on over another connection; one that hangs is given up. The end of a session's stream was not for ever. */
  carry(carrier: SseStream): void {
    const before = this.#carrier;
    this.#carrier = carrier;
    before?.end();
    if (this.kind === "session") this.#over = false;
    else if (this.#over) this.#finish(carrier);
  }

  /** A connection is gone. */
  lost(carrier: SseStream): void {
    if (this.#carrier !== carrier) return;
    this.#carrier = undefined;
    this.#replay.settle(this);
  }

  #finish(carrier: SseStream): void {
    this.#carrier = undefined;
    carrier.end();
  }
}
