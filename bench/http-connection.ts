/**
 * The least HTTP/1.1 client that can load a server without being slower than it: one keep-alive connection, one request
 * at a time, bodies by length or in chunks. `fetch` costs more per request than the servers that are measured here.
 */

export interface Answer {
  status: number;
  /** Status line and header fields as received. */
  head: string;
  pieces: Buffer[];
}

type State = "head" | "body" | "chunk-size" | "chunk-end" | "trailer";

const NONE = Buffer.alloc(0);
const HEAD_END = Buffer.from("\r\n\r\n");
const LINE_END = Buffer.from("\r\n");

/** @throws Error when the answer is not HTTP/1.1 as a well-behaved server sends it. */
class AnswerReader {
  readonly #done: (answer: Answer) => void;
  #state: State = "head";
  #unread: Buffer = NONE;
  #remaining = 0;
  #chunked = false;
  #answer: Answer = { status: 0, head: "", pieces: [] };

  constructor(done: (answer: Answer) => void) {
    this.#done = done;
  }

  read(incoming: Buffer): void {
    const data = this.#unread.length === 0 ? incoming : Buffer.concat([this.#unread, incoming]);
    this.#unread = NONE;
    let at = 0;
    while (at < data.length) {
      const next = this.#step(data, at);
      if (next < 0) {
        this.#unread = data.subarray(at);
        return;
      }
      at = next;
    }
  }

  /** Reads one part from `at`; returns where the next begins, or -1 when more bytes are needed. */
  #step(data: Buffer, at: number): number {
    switch (this.#state) {
      case "head":
        return this.#head(data, at);
      case "body":
        return this.#body(data, at);
      case "chunk-size": {
        const end = data.indexOf(LINE_END, at);
        if (end < 0) return -1;
        this.#remaining = Number.parseInt(data.toString("latin1", at, end), 16);
        if (Number.isNaN(this.#remaining)) throw new Error("a chunk without a size");
        this.#state = this.#remaining === 0 ? "trailer" : "body";
        return end + 2;
      }
      case "chunk-end":
        if (data.length - at < 2) return -1;
        this.#state = "chunk-size";
        return at + 2;
      case "trailer":
        if (data.length - at < 2) return -1;
        this.#finish();
        return at + 2;
    }
  }

  #head(data: Buffer, at: number): number {
    const end = data.indexOf(HEAD_END, at);
    if (end < 0) return -1;
    const head = data.toString("latin1", at, end);
    this.#answer = { status: Number(head.slice(9, 12)), head, pieces: [] };
    this.#chunked = /\r\ntransfer-encoding: *chunked/i.test(head);
    if (this.#chunked) {
      this.#state = "chunk-size";
    } else {
      this.#remaining = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      this.#state = "body";
      if (this.#remaining === 0) this.#finish();
    }
    return end + 4;
  }

  #body(data: Buffer, at: number): number {
    const end = Math.min(data.length, at + this.#remaining);
    this.#answer.pieces.push(data.subarray(at, end));
    this.#remaining -= end - at;
    if (this.#remaining === 0) {
      if (this.#chunked) this.#state = "chunk-end";
      else this.#finish();
    }
    return end;
  }

  #finish(): void {
    this.#state = "head";
    this.#done(this.#answer);
  }
}

/** One keep-alive connection. `send` may be called again from within `onAnswer`. */
export class HttpConnection {
  onAnswer: (answer: Answer) => void = () => {};
  onFailure: (error: Error) => void = () => {};
  readonly #reader = new AnswerReader((answer) => this.onAnswer(answer));
  #socket: Bun.Socket | undefined;
  #closed = false;

  static async open(port: number): Promise<HttpConnection> {
    const connection = new HttpConnection();
    connection.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, data) => connection.#read(data),
        close: () => connection.#fail(new Error("the server closed the connection")),
        error: (_socket, error) => connection.#fail(error),
      },
    });
    return connection;
  }

  /** Sends one whole request. It must be small: a request the kernel does not take at once is a failure. */
  send(request: string): void {
    const written = this.#socket?.write(request) ?? -1;
    if (written < request.length) this.#fail(new Error(`only ${written} of ${request.length} bytes were taken`));
  }

  request(request: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.onAnswer = resolve;
      this.onFailure = reject;
      this.send(request);
    });
  }

  close(): void {
    this.#closed = true;
    this.#socket?.end();
  }

  #read(data: Buffer): void {
    try {
      this.#reader.read(data);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onFailure(error);
    this.#socket?.end();
  }
}
