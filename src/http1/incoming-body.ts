import { Gathering } from "./gathering.ts";

/** Held for somebody who has not asked yet, or asks more slowly than it comes; beyond that nothing more is read. */
const ENOUGH_BYTES = 256 * 1_024;
const NOTHING = Buffer.alloc(0);

/** The client left, or broke its own framing, in the middle of a body; or the answer was given before its end. */
export class BodyBroken extends Error {}

/** Where a body comes from. */
export interface BodySource {
  /** Somebody begins to read it, or there is room again. */
  wanted(): void;
}

/** The body of a request, while it comes. */
export class IncomingBody {
  /** Where all of it came at once, as it nearly always does. */
  #whole: Buffer | undefined;
  #held: Gathering | undefined;
  #over: boolean;
  #broken = false;
  #wake: (() => void) | undefined;
  readonly #source: BodySource;

  /**
   * @param whole the body, where all of it is here already
   */
  constructor(whole: Buffer | undefined, source: BodySource) {
    this.#over = whole !== undefined;
    this.#whole = whole;
    this.#source = source;
  }

  /** All of it, if it is here and nobody has begun to read it. */
  get whole(): Buffer | undefined {
    if (!this.#over || this.#broken) return undefined;
    return this.#whole ?? this.#held?.all ?? NOTHING;
  }

  /** Nothing more should be taken from the connection for now. */
  get full(): boolean {
    return this.#held !== undefined && this.#held.length >= ENOUGH_BYTES;
  }

  push(part: Buffer): void {
    if (this.#over) return;
    this.#held ??= new Gathering();
    this.#held.add(part);
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

  /** Nobody is going to read it. Who still does must not take a part of it for all. */
  discard(): void {
    this.#whole = this.#held = undefined;
    this.#broken = true;
    if (this.#over) return;
    this.#over = true;
    this.#notify();
  }

  /**
   * The next part; for one reader.
   * @returns undefined at the end
   * @throws BodyBroken when it does not come to its end
   */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const part = this.#take();
      if (part.length > 0) {
        if (!this.#over) this.#source.wanted();
        return part;
      }
      if (this.#broken) throw new BodyBroken("the body did not come to its end");
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#source.wanted();
      });
    }
  }

  #take(): Buffer {
    const part = this.#whole ?? this.#held?.take() ?? NOTHING;
    if (this.#whole !== undefined) this.#whole = NOTHING;
    return part;
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
