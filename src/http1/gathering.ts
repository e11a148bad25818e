const NOTHING = Buffer.alloc(0);
const LEAST_ROOM = 1_024;

/**
 * Bytes that come in parts, kept as one piece. The first part is kept as it is; what follows is copied to it, into room
 * that doubles: who sends byte by byte makes us hold the bytes, and not an object for each of them.
 */
export class Gathering {
  #bytes: Buffer = NOTHING;
  #length = 0;
  /** The room is our own, and may be written to. */
  #own = false;

  get length(): number {
    return this.#length;
  }

  add(part: Buffer): void {
    const length = this.#length + part.length;
    if (this.#length === 0) {
      this.#bytes = part;
      this.#own = false;
    } else {
      if (!this.#own || length > this.#bytes.length) {
        const wider = Buffer.allocUnsafeSlow(Math.max(LEAST_ROOM, 2 * length));
        this.#bytes.copy(wider, 0, 0, this.#length);
        this.#bytes = wider;
        this.#own = true;
      }
      part.copy(this.#bytes, this.#length);
    }
    this.#length = length;
  }

  /** All of it, which stays. */
  get all(): Buffer {
    return this.#length === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, this.#length);
  }

  /** All of it, and begins anew. */
  take(): Buffer {
    const all = this.all;
    this.#bytes = NOTHING;
    this.#length = 0;
    this.#own = false;
    return all;
  }
}
