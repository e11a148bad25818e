import type { Clock } from "../telemetry/clock.ts";
import { Backoff } from "./backoff.ts";
import { discard, readStart } from "./http-body.ts";
import { isEventStream } from "./http-exchange.ts";
import { sessionLost } from "./http-fault.ts";
import type { HttpLink } from "./http-link.ts";
import { messagesIn } from "./line-answer.ts";
import { readEvents, retryPause } from "./sse-events.ts";

export interface ListenerDeps {
  readonly link: HttpLink;
  readonly clock: Clock;
  readonly random: () => number;
  readonly maxMessageBytes: number;
  readonly message: (text: string) => void;
  readonly noise: (line: string) => void;
  /** The server does not know the session any more that it has given us a stream for. */
  readonly lost: () => void;
}

const EVENT_STREAM = "text/event-stream";
const REFUSAL_BYTES = 64 * 1024;

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
    let retryMs: number | undefined;
    /** Servers without such a stream refuse it in many ways; only one that gave it can have forgotten whom. */
    let had = false;
    while (!signal.aborted) {
      const since = clock.now();
      const headers = lastEventId === "" ? undefined : { "last-event-id": lastEventId };
      const response = await link.call({ method: "GET", accept: EVENT_STREAM, signal, headers }).catch(() => undefined);
      if (signal.aborted) return;
      let heard = false;
      if (response?.body && response.ok && isEventStream(response)) {
        had = true;
        const end = await readEvents(response.body, maxMessageBytes, {
          message: (data) => {
            heard = true;
            if (!signal.aborted) this.#deliver(data);
          },
          id: (id) => (lastEventId = id),
          retry: (ms) => (retryMs = retryPause(ms)),
        });
        if (end === "too large") {
          // Taken up where it was left, it would bring the same message again.
          lastEventId = "";
          this.#deps.noise(`skipped a message of more than ${maxMessageBytes} bytes`);
        }
      } else if (response !== undefined) {
        if (had && link.session !== undefined && (await isLost(response))) {
          if (!signal.aborted) this.#deps.lost();
          return;
        }
        discard(response);
        // 405 says that there is no such stream; other refusals will not change by asking again.
        if (response.status !== 405) this.#deps.noise(`no stream of notifications: HTTP ${response.status}`);
        if (response.status < 500 && response.status !== 429) return;
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

async function isLost(response: Response): Promise<boolean> {
  const read = await readStart(response, REFUSAL_BYTES).catch(() => undefined);
  return read !== undefined && sessionLost({ status: response.status, headers: response.headers, body: read.text });
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
