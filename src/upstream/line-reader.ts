import { ownText } from "../protocol/own-text.ts";

/** Where a `LineReader` delivers. */
export interface LineSink {
  /** One line without its line feed; a carriage return before it is taken off too. */
  line(text: string): void;
  /** A line just grew beyond the limit; what still comes of it is thrown away. `head` is how it began. */
  oversized(head: string): void;
  /** The oversized line has ended. `tail` is how it ended, `bytes` how long it was. */
  skipped(head: string, tail: string, bytes: number): void;
}

const HEAD_CHARS = 4096;
const TAIL_CHARS = 256;

/**
 * Cuts a stream of UTF-8 into lines. Every chunk is decoded once; a line that spans many chunks is joined once, so
 * the cost stays linear. Never more than `maxBytes` of one line are held, for a child that forgets its line feeds
 * would otherwise fill the memory of the proxy.
 */
export class LineReader {
  readonly #sink: LineSink;
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder();
  #parts: string[] = [];
  #bytes = 0;
  #skipping = false;
  #head = "";
  #tail = "";

  /** @param maxBytes longest line that is delivered, in bytes */
  constructor(maxBytes: number, sink: LineSink) {
    this.#maxBytes = maxBytes;
    this.#sink = sink;
  }

  push(chunk: Uint8Array): void {
    const text = this.#decoder.decode(chunk, { stream: true });
    let start = 0;
    let end = text.indexOf("\n");
    if (end === -1) return this.#grow(text, chunk.byteLength);
    // Lines can only be too long where what is held and this chunk together are.
    const close = this.#bytes + chunk.byteLength > this.#maxBytes;
    if (this.#bytes > 0) {
      const rest = text.slice(0, end);
      if (close || this.#skipping) this.#grow(rest, Buffer.byteLength(rest));
      else this.#parts.push(rest);
      this.#endLine();
      start = end + 1;
      end = text.indexOf("\n", start);
    }
    for (; end !== -1; start = end + 1, end = text.indexOf("\n", start)) {
      if (close) {
        const line = text.slice(start, end);
        this.#grow(line, Buffer.byteLength(line));
        this.#endLine();
      } else this.#sink.line(withoutReturn(text, start, end));
    }
    if (start < text.length) {
      const rest = text.slice(start);
      this.#grow(rest, Buffer.byteLength(rest));
    }
  }

  /**
   * The stream has ended.
   * @returns what stands behind the last line feed, `""` when nothing does
   */
  end(): string {
    const rest = this.#decoder.decode();
    if (rest !== "") this.#grow(rest, rest.length);
    if (this.#skipping) {
      this.#endLine();
      return "";
    }
    const half = this.#parts.join("");
    this.#parts = [];
    this.#bytes = 0;
    return half;
  }

  #grow(text: string, bytes: number): void {
    this.#bytes += bytes;
    if (this.#skipping) {
      this.#tail = ownText((this.#tail + text.slice(-TAIL_CHARS)).slice(-TAIL_CHARS));
      return;
    }
    this.#parts.push(text);
    if (this.#bytes <= this.#maxBytes) return;
    const held = this.#parts.join("");
    // These two live as long as the line.
    this.#head = ownText(held.slice(0, HEAD_CHARS));
    this.#tail = ownText(held.slice(-TAIL_CHARS));
    this.#parts = [];
    this.#skipping = true;
    this.#sink.oversized(this.#head);
  }

  #endLine(): void {
    const bytes = this.#bytes;
    this.#bytes = 0;
    if (this.#skipping) {
      const [head, tail] = [this.#head, this.#tail];
      this.#skipping = false;
      this.#head = this.#tail = "";
      this.#sink.skipped(head, tail, bytes);
      return;
    }
    const line = this.#parts.length === 1 ? (this.#parts[0] as string) : this.#parts.join("");
    this.#parts = [];
    this.#sink.line(withoutReturn(line, 0, line.length));
  }
}

function withoutReturn(text: string, start: number, end: number): string {
  return text.slice(start, end > start && text.charCodeAt(end - 1) === 13 ? end - 1 : end);
}
