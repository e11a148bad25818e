/**
 * What waits to be written to a child's stdin. One write per turn of the event loop, however many messages that turn
 * brings, and one write under way at a time, so that what a child does not read stays here, counted.
 */
export class StdinQueue {
  readonly #sink: Bun.FileSink;
  readonly #maxChars: number;
  readonly #broken: () => void;
  #texts: string[] = [];
  #ids: number[] = [];
  #chars = 0;
  #inFlight = 0;
  #scheduled = false;
  #dead = false;

  /**
   * @param maxChars how much may wait; a single message is accepted whatever its length when nothing else waits
   * @param broken called once when the child has closed its stdin
   */
  constructor(sink: Bun.FileSink, maxChars: number, broken: () => void) {
    this.#sink = sink;
    this.#maxChars = maxChars;
    this.#broken = broken;
  }

  /** Whether one more message of this length would be too much. */
  full(chars: number): boolean {
    const waiting = this.#chars + this.#inFlight;
    return waiting > 0 && waiting + chars > this.#maxChars;
  }

  /** @param id of a request, to be told by `unsent` if it never leaves */
  push(text: string, id: number | undefined): void {
    this.#texts.push(text);
    if (id !== undefined) this.#ids.push(id);
    this.#chars += text.length + 1;
    if (this.#scheduled || this.#inFlight > 0) return;
    this.#scheduled = true;
    setImmediate(() => this.flush());
  }

  /** Writes now what waits. */
  flush(): void {
    this.#scheduled = false;
    if (this.#dead || this.#inFlight > 0 || this.#texts.length === 0) return;
    const text = this.#texts.length === 1 ? `${this.#texts[0] as string}\n` : `${this.#texts.join("\n")}\n`;
    const chars = this.#chars;
    this.#texts = [];
    this.#ids = [];
    this.#chars = 0;
    try {
      const written: unknown = this.#sink.write(text);
      const flushed: unknown = this.#sink.flush();
      if (!(written instanceof Promise) && !(flushed instanceof Promise)) return;
      this.#inFlight = chars;
      Promise.all([written, flushed]).then(
        () => {
          this.#inFlight = 0;
          this.flush();
        },
        () => this.#fail(),
      );
    } catch {
      this.#fail();
    }
  }

  /** Ids of the requests of which not a byte was written; nothing is written after this. */
  end(): number[] {
    this.#dead = true;
    const ids = this.#ids;
    this.#ids = [];
    this.#texts = [];
    this.#chars = 0;
    return ids;
  }

  #fail(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#broken();
  }
}
