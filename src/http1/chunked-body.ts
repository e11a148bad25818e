import { BadRequest } from "./request-head.ts";

/** Longest line that announces a chunk; extensions in it mean nothing to us. */
const MAX_SIZE_LINE = 256;
const MAX_TRAILER_BYTES = 8_192;
const TOKEN = String.raw`[!#$%&'*+.^_\`|~0-9A-Za-z-]+`;
const EXTENSION = String.raw`;${TOKEN}(?:=(?:${TOKEN}|"[\t !#-\[\]-~\x80-\xff]*"))?`;
const SIZE_LINE = new RegExp(`^([0-9A-Fa-f]{1,13})(?:${EXTENSION})*$`);
const TRAILER_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*$/;
/** These would come too late to mean anything, and whoever reads them after all sees another request. */
const LATE_LINE = /^(?:content-length|transfer-encoding|host):/i;
const LF = 10;
const CR = 13;

/** Finds the end of a body. */
export interface Framing {
  /** The whole body has been taken. */
  readonly over: boolean;
  /**
   * Takes what belongs to the body.
   * @param bytes may be changed as far as they are taken
   * @param part hears its content, in one piece
   * @returns how many bytes it took
   * @throws BadRequest when the framing is broken: nothing can be made of what follows
   */
  take(bytes: Buffer, part: (content: Buffer) => void): number;
}

/** A body whose length was announced. */
export class MeasuredBody implements Framing {
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get over(): boolean {
    return this.#left === 0;
  }

  take(bytes: Buffer, part: (content: Buffer) => void): number {
    const taken = Math.min(this.#left, bytes.length);
    this.#left -= taken;
    if (taken > 0) part(bytes.subarray(0, taken));
    return taken;
  }
}

/** A body in chunks (RFC 9112 section 7.1). What follows the last one is read and thrown away. */
export class ChunkedBody implements Framing {
  #state: "size" | "content" | "end of chunk" | "trailer" | "over" = "size";
  /** Of the chunk that is being read. */
  #left = 0;
  /** The line that is being read, as far as it has come. */
  #line = "";
  #trailerBytes = 0;

  get over(): boolean {
    return this.#state === "over";
  }

  take(bytes: Buffer, part: (content: Buffer) => void): number {
    let at = 0;
    // The content is moved together: a chunk of one byte must not cost an object.
    let first = 0;
    let last = 0;
    while (at < bytes.length && this.#state !== "over") {
      if (this.#state === "content") {
        const end = Math.min(bytes.length, at + this.#left);
        if (last === 0) first = last = at;
        if (last !== at) bytes.copyWithin(last, at, end);
        last += end - at;
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#state = "end of chunk";
        continue;
      }
      const feed = bytes.indexOf(LF, at);
      const end = feed === -1 ? bytes.length : feed + 1;
      this.#line += bytes.toString("latin1", at, end);
      at = end;
      if (this.#line.length > (this.#state === "trailer" ? MAX_TRAILER_BYTES : MAX_SIZE_LINE)) broken();
      if (feed !== -1) this.#endLine();
    }
    if (last > first) part(bytes.subarray(first, last));
    return at;
  }

  #endLine(): void {
    const line = this.#line.slice(0, -2);
    // Who takes a bare line feed for the end of a line sees other chunks than who does not.
    if (this.#line.charCodeAt(this.#line.length - 2) !== CR) broken();
    this.#line = "";
    switch (this.#state) {
      case "size": {
        const size = SIZE_LINE.exec(line)?.[1] ?? broken();
        this.#left = Number.parseInt(size, 16);
        this.#state = this.#left === 0 ? "trailer" : "content";
        return;
      }
      case "end of chunk":
        if (line !== "") broken();
        this.#state = "size";
        return;
      case "trailer":
        if (line === "") {
          this.#state = "over";
          return;
        }
        this.#trailerBytes += line.length + 2;
        if (this.#trailerBytes > MAX_TRAILER_BYTES || !TRAILER_LINE.test(line) || LATE_LINE.test(line)) broken();
        return;
      case "content":
      case "over":
    }
  }
}

function broken(): never {
  throw new BadRequest(400, "Bad request: the chunks of the body");
}
