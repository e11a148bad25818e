import type { Outlet, StreamedBody } from "../http1/answer.ts";
import type { EventStream } from "../relay/ends.ts";

/** Text that waits for a client that does not read; beyond it the client is taken for dead and its stream ended. */
const MAX_WAITING_CHARACTERS = 16 * 1024 * 1024;
const KEEP_ALIVE = ": keep-alive\n\n";

/**
 * An event stream to a client (MCP Streamable HTTP, and HTTP+SSE). What is said in one turn of the event loop leaves in
 * one write; a client that does not read costs a bounded amount of memory.
 */
export class SseStream implements EventStream, StreamedBody {
  readonly #gone: () => void;
  #outlet: Outlet | undefined;
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
    if (this.#waiting.length > MAX_WAITING_CHARACTERS && this.#waiting.length > event.length) return this.#giveUp();
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

  open(outlet: Outlet): string {
    this.#outlet = outlet;
    const first = this.#waiting;
    this.#waiting = "";
    if (this.over) this.#schedule();
    return first;
  }

  drained(): void {
    this.#blocked = false;
    this.#flush();
  }

  left(): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = "";
    this.#gone();
  }

  #schedule(): void {
    if (this.#scheduled || this.#outlet === undefined) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#outlet === undefined || this.#blocked) return;
    const text = this.#waiting;
    this.#waiting = "";
    if (this.over) {
      this.#over = true;
      this.#outlet.end(text);
    } else if (text !== "") this.#blocked = !this.#outlet.write(text);
  }

  /** Takes the client for dead. */
  #giveUp(): void {
    this.left();
    this.#outlet?.cut();
  }
}
