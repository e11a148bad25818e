import { EventReader } from "./event-reader.ts";
import type { EventSink } from "./event-reader.ts";

/**
 * Reads a stream of server-sent events to its end. A connection that breaks is an end like any other, for the stream may
 * be taken up again.
 * @param maxChars longest event that is accepted
 */
export async function readEvents(body: ReadableStream<Uint8Array>, maxChars: number, sink: EventSink): Promise<void> {
  const events = new EventReader(maxChars, sink);
  const decoder = new TextDecoder();
  const reader = body.getReader();
  for (;;) {
    const part = await reader.read().catch(() => undefined);
    if (part === undefined || part.done) return;
    events.push(decoder.decode(part.value, { stream: true }));
  }
}

/** A server's `retry` within reason: 0 would make a loop without rest of a stream that ends at once. */
export function retryPause(ms: number): number {
  return Math.min(Math.max(ms, 20), 5 * 60_000);
}
