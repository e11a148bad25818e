import type { Readable, Writable } from "node:stream";
import type { Stdio } from "../downstream/stdio.ts";
import { LineReader } from "../upstream/line-reader.ts";

/** Where messages come from and go to. */
export interface Pipes {
  readonly input: Readable;
  readonly output: Writable;
}

/** What may wait for a client that does not read, in bytes; then it is taken for dead. */
const MAX_WAITING_BYTES = 256 * 1024 * 1024;

/** Writes lines, and says when the other side does not keep up. */
export class LineOutput {
  readonly #output: Writable;
  readonly #gone: (why: string) => void;
  /** Called when reading should stop, and when it may go on. */
  congested: (on: boolean) => void = () => {};
  #over = false;

  /** @param gone called once when nobody reads any more */
  constructor(output: Writable, gone: (why: string) => void) {
    this.#output = output;
    this.#gone = gone;
    output.on("error", (error: Error) => this.#end(`standard output is closed (${error.message})`));
    output.on("close", () => this.#end("standard output is closed"));
    output.on("drain", () => this.congested(false));
  }

  write(line: string): void {
    if (this.#over) return;
    if (!this.#output.write(`${line}\n`)) this.congested(true);
    if (this.#output.writableLength > MAX_WAITING_BYTES) this.#end("the client does not read");
  }

  /** Resolves when all is written, or nobody takes it. */
  flush(): Promise<void> {
    if (this.#over) return Promise.resolve();
    // What has left the stream may still be on its way to the pipe, so its length says nothing.
    return new Promise((resolve) => this.#output.write("", () => resolve()));
  }

  #end(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#gone(why);
  }
}

/**
 * Brings the lines of an input to the end that serves them.
 * @param maxBytes longest message
 * @param ended called once, when the input has ended
 */
export function readLines(
  input: Readable,
  output: LineOutput,
  stdio: Stdio,
  maxBytes: number,
  ended: () => void,
): void {
  const reader = new LineReader(maxBytes, {
    line: (text) => stdio.line(text),
    oversized: () => stdio.oversized(maxBytes),
    skipped: () => {},
  });
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    // Where reading was stopped because nobody reads the answers, the end overtakes what waits.
    for (let rest: unknown = input.read(); rest !== null; rest = input.read()) reader.push(rest as Uint8Array);
    stdio.line(reader.end());
    ended();
  };
  // A client that does not read its answers gets no more requests through: what waits for it stays bounded.
  output.congested = (on) => (on ? input.pause() : input.resume());
  input.on("data", (chunk: Uint8Array) => reader.push(chunk));
  input.on("end", end);
  input.on("close", end);
  input.on("error", end);
}
