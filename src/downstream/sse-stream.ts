import type { EventStream } from "../relay/ends.ts";

/** Text that waits for a client that does not read; beyond it the client is taken for dead and its stream ended. */
const MAX_WAITING_CHARACTERS = 16 * 1024 * 1024;
const KEEP_ALIVE = ": keep-alive\n\n";

/** The one part of the runtime's controller that is used here; its type says less than it does. */
interface Controller {
  write(text: string): unknown;
  flush(): unknown;
  close(): void;
}

/**
 * An event stream to a client (MCP Streamable HTTP, and HTTP+SSE). What is said in one turn of the event loop leaves in
 * one write; a client that does not read costs a bounded amount of memory.
 */
export class SseStream implements EventStream {
  readonly body: ReadableStream;
  readonly #gone: () => void;
  #controller: Controller | undefined;
  #finish: (() => void) | undefined;
  #waiting = "";
  #scheduled = false;
  #blocked = false;
  #ending = false;
  #over = false;
  #lastWrite: number;

  /** @param gone called once when the client has left before the stream was ended here */
  constructor(now: number, gone: () => void) {
    this.#gone = gone;
    this.#lastWrite = now;
    const source = {
      type: "direct",
      pull: (controller: Controller) => {
        this.#controller = controller;
        this.#flush();
        if (this.#over) return undefined;
        return new Promise<void>((resolve) => {
          this.#finish = resolve;
        });
      },
      cancel: () => this.#cancelled(),
    };
    // A direct stream costs about two thirds of the CPU time of a default one; the types know it without `cancel`.
    this.body = new ReadableStream(source as unknown as Bun.DirectUnderlyingSource);
  }

  get over(): boolean {
    return this.#over || this.#ending;
  }

  /** Sends one message; it is one line. */
  push(text: string): void {
    this.write(`event: message\ndata: ${text}\n\n`);
  }

  /** Sends raw event text. */
  write(event: string): void {
    if (this.over) return;
    this.#waiting += event;
    if (this.#waiting.length > MAX_WAITING_CHARACTERS && this.#waiting.length > event.length) return this.#cancelled();
    this.#schedule();
  }

  /** Ends the stream after what was said. */
  end(): void {
    if (this.over) return;
    this.#ending = true;
    this.#schedule();
  }

  /** Keeps reverse proxies from cutting a silent stream. */
  beat(now: number, everyMs: number): void {
    if (now - this.#lastWrite < everyMs || this.over) return;
    this.#lastWrite = now;
    this.write(KEEP_ALIVE);
  }

  #schedule(): void {
    if (this.#scheduled || this.#controller === undefined) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const controller = this.#controller;
    if (controller === undefined || this.#blocked || this.#over) return;
    if (this.#waiting !== "") {
      const text = this.#waiting;
      this.#waiting = "";
      const written = controller.write(text);
      controller.flush();
      // A promise says that the socket is full; it resolves when there is room again, or when the client has gone.
      if (written instanceof Promise) {
        this.#blocked = true;
        const go = (): void => {
          this.#blocked = false;
          this.#flush();
        };
        written.then(go, () => this.#cancelled());
        return;
      }
    }
    if (!this.#ending) return;
    this.#over = true;
    controller.close();
    this.#finish?.();
  }

  #cancelled(): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = "";
    this.#finish?.();
    try {
      this.#controller?.close();
    } catch {
      // The connection is gone already.
    }
    this.#gone();
  }
}
