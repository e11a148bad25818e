/** Held for somebody who has not asked yet, or asks more slowly than it comes; beyond that nothing more is read. */
const ENOUGH_BYTES = 256 * 1_024;
const NOTHING = Buffer.alloc(0);

/** The client left, or broke its own framing, in the middle of a body. */
export class BodyBroken extends Error {}

/** The body of a request, while it comes. */
export class IncomingBody {
  #parts: Buffer[] = [];
  #held = 0;
  #over: boolean;
  #broken = false;
  #wake: (() => void) | undefined;
  readonly #more: () => void;

  /**
   * @param whole the body, where all of it is here already
   * @param more called when somebody begins to read, and when there is room again
   */
  constructor(whole: Buffer | undefined, more: () => void) {
    this.#over = whole !== undefined;
    this.#more = more;
    if (whole !== undefined && whole.length > 0) this.push(whole);
  }

  /** All of it, if it is here and nobody has begun to read it. */
  get whole(): Buffer | undefined {
    if (!this.#over || this.#broken || this.#parts.length > 1) return undefined;
    return this.#parts[0] ?? NOTHING;
  }

  /** Nothing more should be taken from the connection for now. */
  get full(): boolean {
    return this.#held >= ENOUGH_BYTES;
  }

  push(part: Buffer): void {
    this.#parts.push(part);
    this.#held += part.length;
    this.#notify();
  }

  finish(): void {
    this.#over = true;
    this.#notify();
  }

  break(): void {
    if (this.#over) return;
    this.#broken = true;
    this.#over = true;
    this.#notify();
  }

  /** Nobody is going to read it. */
  discard(): void {
    this.#parts = [];
    this.#held = 0;
  }

  /**
   * The next part; for one reader.
   * @returns undefined at the end
   * @throws BodyBroken when it does not come to its end
   */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const part = this.#parts.shift();
      if (part !== undefined) {
        this.#held -= part.length;
        if (!this.#over) this.#more();
        return part;
      }
      if (this.#broken) throw new BodyBroken("the body did not come to its end");
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#more();
      });
    }
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
