import type { Clock } from "../telemetry/clock.ts";
import { Backoff } from "./backoff.ts";
import { discard } from "./http-body.ts";
import { isEventStream } from "./http-exchange.ts";
import type { HttpLink } from "./http-link.ts";
import { messagesIn } from "./line-answer.ts";
import { skippedLine } from "./line-noise.ts";
import { readEvents, retryPause } from "./sse-events.ts";

export interface ListenerDeps {
  readonly link: HttpLink;
  readonly clock: Clock;
  readonly random: () => number;
  readonly maxMessageBytes: number;
  readonly message: (text: string) => void;
  /** A message that was too long; how it began and ended. */
  readonly oversized: (head: string, tail: string) => void;
  readonly noise: (line: string) => void;
  /** The server refuses the stream that it gave before. */
  readonly lost: () => void;
}

const EVENT_STREAM = "text/event-stream";

/**
 * The stream on which a server speaks outside any request (a GET on the endpoint), for as long as somebody wants to
 * hear it: opened again when it drops, from the last event on.
 */
export class HttpListener {
  readonly #deps: ListenerDeps;
  #abort: AbortController | undefined;

  constructor(deps: ListenerDeps) {
    this.#deps = deps;
  }

  /** @param after what has to be sent before */
  start(after: Promise<void>): void {
    if (this.#abort !== undefined) return;
    const abort = new AbortController();
    this.#abort = abort;
    void after.then(() => this.#run(abort.signal));
  }

  stop(): void {
    this.#abort?.abort();
    this.#abort = undefined;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, link, maxMessageBytes } = this.#deps;
    const backoff = new Backoff(this.#deps.random);
    let lastEventId = "";
    let opened = false;
    let retryMs: number | undefined;
    while (!signal.aborted) {
      const since = clock.now();
      const headers = lastEventId === "" ? undefined : { "last-event-id": lastEventId };
      const response = await link.call({ method: "GET", accept: EVENT_STREAM, signal, headers }).catch(() => undefined);
      if (signal.aborted) return;
      let heard = false;
      if (response?.body && response.ok && isEventStream(response)) {
        opened = true;
        await readEvents(response.body, maxMessageBytes, {
          message: (data) => {
            heard = true;
            if (!signal.aborted) this.#deliver(data);
          },
          oversized: () => (heard = true),
          skipped: (head, tail, chars) => {
            this.#deps.oversized(head, tail);
            this.#deps.noise(skippedLine(chars, maxMessageBytes, head));
          },
          id: (id) => (lastEventId = id),
          retry: (ms) => (retryMs = retryPause(ms)),
        });
      } else if (response !== undefined) {
        discard(response);
        const again = response.status >= 500 || response.status === 429;
        // A server may know the session, and not the event any more.
        if (!again && lastEventId === "") {
          // It had this stream before, so it is the session that it does not know: it was started anew, perhaps.
          if (opened) return this.#deps.lost();
          // 405 says that there is no such stream; other refusals will not change by asking again.
          if (response.status !== 405) this.#deps.noise(`no stream of notifications: HTTP ${response.status}`);
          return;
        }
        if (!again) lastEventId = "";
      }
      if (signal.aborted) return;
      const wished = response?.ok === true ? retryMs : undefined;
      // Also while it waits as the server wishes, the count of vain attempts goes on.
      const own = backoff.next(heard ? Number.POSITIVE_INFINITY : clock.now() - since);
      await sleep(clock, wished ?? own, signal);
    }
  }

  #deliver(data: string): void {
    const messages = messagesIn(data);
    if (messages.length === 0) this.#deps.noise(data);
    for (const message of messages) this.#deps.message(message);
  }
}

function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, resolve);
    signal.addEventListener(
      "abort",
      () => {
        cancel();
        resolve();
      },
      { once: true },
    );
  });
}
