import { withParams } from "./eras/envelope.ts";
import { isObject, setMeta } from "./eras/object-text.ts";
import { stringAt } from "./message.ts";
import type { Message } from "./message.ts";

/** Where a request belongs in a trace (W3C Trace Context, W3C Baggage); every value can stand in a header as it is. */
export type Trace = Readonly<Record<string, string>>;

/** Version, trace, parent, flags; neither all zeros nor the version that is forbidden (Trace Context section 3.2.2). */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
/** Printable ASCII, as long as the two standards let it become. What is not that could end a header and begin another. */
const TRACESTATE = /^[\x20-\x7e]{1,512}$/;
const BAGGAGE = /^[\x20-\x7e]{1,8192}$/;

/**
 * The trace of a request: what its `_meta` says, else what the HTTP request says that brought it. Baggage is taken from
 * `_meta` alone: as a header it was meant for the proxy, and may say things that concern no server behind it.
 * @returns undefined where there is none, or none that is valid
 */
export function traceOf(message: Message, headers: { get(name: string): string | null }): Trace | undefined {
  const own = metaText(message, "traceparent");
  if (own !== undefined) {
    if (!TRACEPARENT.test(own)) return undefined;
    return {
      traceparent: own,
      ...valid("tracestate", metaText(message, "tracestate"), TRACESTATE),
      ...valid("baggage", metaText(message, "baggage"), BAGGAGE),
    };
  }
  const header = headers.get("traceparent");
  if (header === null || !TRACEPARENT.test(header)) return undefined;
  return { traceparent: header, ...valid("tracestate", headers.get("tracestate") ?? undefined, TRACESTATE) };
}

/** The request with a trace in its `_meta` (MCP 2026-07-28, basic/index); the same one where a trace stands there. */
export function withTrace(message: Message, trace: Trace): Message {
  if (message.meta("traceparent") !== undefined) return message;
  const params = message.params === undefined ? "{}" : message.slice(message.params);
  // Positional params have no place for it.
  if (!isObject(params)) return message;
  const traced = Object.entries(trace).reduce(
    (text, [key, value]) => setMeta(text, key, JSON.stringify(value)),
    params,
  );
  return withParams(message, traced);
}

function metaText(message: Message, key: string): string | undefined {
  const span = message.meta(key);
  return span === undefined ? undefined : stringAt(message.text, span);
}

function valid(key: string, value: string | undefined, rule: RegExp): Record<string, string> {
  return value !== undefined && rule.test(value) ? { [key]: value } : {};
}
