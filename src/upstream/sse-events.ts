import { createParser } from "eventsource-parser";

/** What an event stream brings; see {@link readEvents}. */
export interface EventSink {
  /** An event without a type, or of the type `message`, with something in it. */
  message(data: string): void;
  /** Any other event. */
  other?(type: string, data: string): void;
  /** An event with nothing in it, which opens a stream that can be taken up again (2025-11-25). */
  prime?(): void;
  /** Where to take up the stream again; `""` takes an earlier one back. */
  id(id: string): void;
  /** Milliseconds the server wants to be left alone before the next attempt. */
  retry(ms: number): void;
}

/**
 * Reads a stream of server-sent events to its end.
 * @param maxChars longest event that is accepted
 * @returns how it ended; a connection that breaks is an end like any other, for the stream may be taken up again
 */
export async function readEvents(
  body: ReadableStream<Uint8Array>,
  maxChars: number,
  sink: EventSink,
): Promise<"ended" | "too large"> {
  let tooLarge = false;
  const parser = createParser({
    maxBufferSize: maxChars,
    onEvent({ event, data }) {
      if (tooLarge) return;
      if (data.trim() === "") return sink.prime?.();
      // The parser's own limit is for what it holds; an event that came in one piece passes it.
      if (data.length > maxChars) tooLarge = true;
      else if (event === undefined || event === "message") sink.message(data);
      else sink.other?.(event, data);
    },
    onId: (id) => sink.id(id),
    onRetry: (ms) => sink.retry(ms),
    onError(error) {
      if (error.type === "max-buffer-size-exceeded") tooLarge = true;
    },
  });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  for (;;) {
    const part = await reader.read().catch(() => undefined);
    if (part === undefined || part.done) return "ended";
    parser.feed(decoder.decode(part.value, { stream: true }));
    if (tooLarge) {
      reader.cancel().catch(() => undefined);
      return "too large";
    }
  }
}

/** A server's `retry` within reason: 0 would make a loop without rest of a stream that ends at once. */
export function retryPause(ms: number): number {
  return Math.min(Math.max(ms, 20), 5 * 60_000);
}
