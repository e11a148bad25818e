import type { Socket } from "bun";

/** What is written to a socket, in order, with what the socket has not taken yet. */
export class Output {
  readonly #socket: Socket<unknown>;
  #unsent: Buffer[] | undefined;
  #closed = false;
  /** Bytes that had to wait and have left since. */
  late = 0;

  constructor(socket: Socket<unknown>) {
    this.#socket = socket;
  }

  /** Something has not left yet. */
  get waiting(): boolean {
    return this.#unsent !== undefined;
  }

  /**
   * @param size in bytes; counting them takes as long as writing them
   * @returns whether all of it has left
   */
  write(what: string | Uint8Array, size: number): boolean {
    if (this.#closed) return true;
    const written = this.waiting ? 0 : Math.max(0, this.#socket.write(what));
    if (written >= size) return true;
    const bytes = typeof what === "string" ? Buffer.from(what) : Buffer.from(what.buffer, what.byteOffset, size);
    (this.#unsent ??= []).push(bytes.subarray(written));
    return false;
  }

  /** Writes what waits. @returns whether all of it has left */
  drain(): boolean {
    const unsent = this.#unsent ?? [];
    for (let bytes = unsent[0]; bytes !== undefined; bytes = unsent[0]) {
      const written = Math.max(0, this.#socket.write(bytes));
      this.late += written;
      if (written < bytes.length) {
        unsent[0] = bytes.subarray(written);
        return false;
      }
      unsent.shift();
    }
    this.#unsent = undefined;
    return true;
  }

  /** Nobody reads any more. */
  close(): void {
    this.#closed = true;
    this.#unsent = undefined;
  }
}
