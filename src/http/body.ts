import type { Clock } from "../telemetry/clock.ts";
import type { Beating, Heartbeat } from "../downstream/heartbeat.ts";

/** A body that has not arrived by then is dripped on purpose: the runtime's own timeout only sees silence. */
const BODY_DEADLINE_MS = 30_000;

export type BodyProblem = "too-large" | "too-slow" | "broken";

/** Reads request bodies as text, bounded in size and time. */
export class BodyReader {
  readonly #maxBytes: number;
  readonly #clock: Clock;
  readonly #heartbeat: Heartbeat;

  constructor(maxBytes: number, clock: Clock, heartbeat: Heartbeat) {
    this.#maxBytes = maxBytes;
    this.#clock = clock;
    this.#heartbeat = heartbeat;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** @returns the text, or what is wrong with it as an object */
  read(request: Request): Promise<string | { problem: BodyProblem }> {
    const length = request.headers.get("content-length");
    if (length !== null && Number(length) > this.#maxBytes) return Promise.resolve({ problem: "too-large" });
    return new Promise((resolve) => {
      const deadline = this.#clock.now() + BODY_DEADLINE_MS;
      const watch: Beating = {
        beat: (now) => {
          if (now >= deadline) settle({ problem: "too-slow" });
        },
      };
      const settle = (result: string | { problem: BodyProblem }): void => {
        this.#heartbeat.delete(watch);
        resolve(result);
      };
      this.#heartbeat.add(watch);
      const text = length === null ? this.#readUnknown(request) : request.text();
      text.then(settle, () => settle({ problem: "broken" }));
    });
  }

  /** A body without a declared length is counted while it comes. */
  async #readUnknown(request: Request): Promise<string | { problem: BodyProblem }> {
    if (request.body === null) return "";
    const decoder = new TextDecoder();
    const reader = request.body.getReader();
    let text = "";
    let bytes = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      bytes += value.byteLength;
      if (bytes > this.#maxBytes) {
        await reader.cancel();
        return { problem: "too-large" };
      }
      text += decoder.decode(value, { stream: true });
    }
  }
}
