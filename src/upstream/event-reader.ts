import { ownText } from "../protocol/own-text.ts";
import { createParser } from "eventsource-parser";
import type { EventSourceMessage, EventSourceParser } from "eventsource-parser";

/** What an event stream brings. */
export interface EventSink {
  /** An event without a type, or of the type `message`, with something in it. */
  message(data: string): void;
  /** Any other event. */
  other?(type: string, data: string): void;
  /** An event with nothing in it, which opens a stream that can be taken up again (2025-11-25). */
  prime?(): void;
  /** An event just grew beyond what is accepted; what still comes of it is thrown away. `head` is how its data began. */
  oversized(head: string): void;
  /** That event has ended; `tail` is how its data ended. */
  skipped(head: string, tail: string, chars: number): void;
  /** Where to take up the stream again; `""` takes an earlier one back. */
  id(id: string): void;
  /** Milliseconds the server wants to be left alone before the next attempt. */
  retry(ms: number): void;
}

const HEAD_CHARS = 8_192;
const TAIL_CHARS = 512;
const EVENT_END = /(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))/;

/**
 * Cuts the text of an event stream into events (HTML, "Server-sent events"). An event beyond the limit costs itself
 * alone: the parser forgets what it holds when its own limit is passed, so what comes until the end of that event is
 * thrown away here, and the parser begins anew behind it.
 */
export class EventReader {
  readonly #maxChars: number;
  readonly #sink: EventSink;
  readonly #parser: EventSourceParser;
  /** Never less than what the parser holds. */
  #held = 0;
  /** How the text began that the parser holds, perhaps behind other events. */
  #start: string[] = [];
  #startChars = 0;
  #dispatched = false;
  #tooLarge = false;
  #skipped: { head: string; tail: string; chars: number } | undefined;

  /** @param maxChars longest event that is accepted */
  constructor(maxChars: number, sink: EventSink) {
    this.#maxChars = maxChars;
    this.#sink = sink;
    this.#parser = createParser({
      maxBufferSize: maxChars,
      onEvent: (event) => this.#event(event),
      onId: (id) => sink.id(id),
      onRetry: (ms) => sink.retry(ms),
      onError: ({ type }) => {
        if (type === "max-buffer-size-exceeded") this.#tooLarge = true;
      },
    });
  }

  push(text: string): void {
    let rest = this.#skipped === undefined ? text : this.#skip(text);
    if (rest === "") return;
    if (this.#held + rest.length <= this.#maxChars) {
      this.#feed(rest);
      if (rest.endsWith("\n\n") || rest.endsWith("\r\n\r\n") || rest.endsWith("\r\r")) this.#clear();
      return;
    }
    // Close to the limit it is looked at line by line, so that it is known where the limit is passed.
    const lines = /[^\r\n]*(?:\r\n|\n|\r|$)/y;
    while (lines.lastIndex < rest.length) {
      const first = lines.lastIndex === 0;
      const line = lines.exec(rest)?.[0] ?? "";
      this.#feed(line);
      if (this.#tooLarge) {
        this.#startSkipping(line);
        rest = this.#skip(rest.slice(lines.lastIndex));
        lines.lastIndex = 0;
      } else if (!first && /^[\r\n]/.test(line)) this.#clear();
    }
  }

  #event({ event, data }: EventSourceMessage): void {
    this.#dispatched = true;
    if (data.trim() === "") return this.#sink.prime?.();
    if (event === undefined || event === "message") this.#sink.message(data);
    else this.#sink.other?.(event, data);
  }

  #feed(text: string): void {
    this.#dispatched = false;
    this.#parser.feed(text);
    if (this.#dispatched) this.#clear();
    this.#held += text.length;
    if (this.#startChars >= HEAD_CHARS) return;
    // What is before the first event that is still open may be long, and does not count.
    if (this.#start.length > 0) this.#startChars += text.length;
    this.#start.push(text);
  }

  #clear(): void {
    this.#held = this.#startChars = 0;
    this.#start = [];
  }

  #startSkipping(line: string): void {
    const known = this.#start.join("");
    let from = 0;
    // Of the last event only; no blank line can be in it.
    for (let end = EVENT_END.exec(known); end !== null; end = EVENT_END.exec(known.slice(from)))
      from += end.index + end[0].length;
    const begin = known.slice(from, from + HEAD_CHARS);
    let head = "";
    createParser({
      onEvent: ({ data }) => (head = data),
      // Taken up behind it, the stream does not bring it again.
      onId: (id) => this.#sink.id(id),
    }).feed(`${begin}\n\n`);
    this.#tooLarge = false;
    this.#parser.reset();
    const end = /[\r\n]*$/.exec(line)?.[0] ?? "";
    this.#skipped = { head: ownText(head), tail: ownText(line.slice(-TAIL_CHARS)), chars: this.#held - end.length };
    this.#clear();
    this.#sink.oversized(this.#skipped.head);
  }

  /** @returns what stands behind the event that is being skipped */
  #skip(text: string): string {
    const { head, tail, chars } = this.#skipped as { head: string; tail: string; chars: number };
    const ending = /[\r\n]*$/.exec(tail)?.[0] ?? "";
    const found = EVENT_END.exec(ending + text);
    if (found === null) {
      this.#skipped = { head, tail: ownText((tail + text).slice(-TAIL_CHARS)), chars: chars + text.length };
      return "";
    }
    const end = found.index + found[0].length - ending.length;
    this.#skipped = undefined;
    this.#sink.skipped(head, dataIn((tail + text.slice(0, end)).slice(-TAIL_CHARS)), chars + end);
    return text.slice(end);
  }
}

/** The data in the last lines of an event. */
function dataIn(lines: string): string {
  return lines
    .split(/[\r\n]+/)
    .filter((line) => !/^(?:id|event|retry):/.test(line))
    .map((line) => line.replace(/^data: ?/, ""))
    .join("\n");
}
