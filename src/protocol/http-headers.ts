import { isLegacyVersion } from "./versions.ts";

/** Names of headers as the specification writes them, in lower case. */
export const SESSION_HEADER = "mcp-session-id";
export const VERSION_HEADER = "mcp-protocol-version";
export const LAST_EVENT_HEADER = "last-event-id";

const BOTH = Object.freeze({ json: true, events: true });

/** Which kinds of answer an `Accept` header allows; without one every kind (RFC 9110 section 12.5.1). */
export function readAccept(header: string | null): { readonly json: boolean; readonly events: boolean } {
  if (header === null || header === "application/json, text/event-stream" || header === "*/*") return BOTH;
  // The range that names a kind most exactly decides about it, so wildcards are only asked last.
  const ranges = new Map<string, boolean>();
  for (const range of header.toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    ranges.set(type, !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)));
  }
  const allowed = (exact: string, group: string): boolean =>
    ranges.get(exact) ?? ranges.get(group) ?? ranges.get("*/*") ?? false;
  return { json: allowed("application/json", "application/*"), events: allowed("text/event-stream", "text/*") };
}

/** Whether a body is declared as JSON; the charset, if given, must be UTF-8 (RFC 8259 section 8.1). */
export function isJsonMediaType(header: string | null): boolean {
  if (header === "application/json") return true;
  if (header === null) return false;
  const [type = "", ...parameters] = header
    .toLowerCase()
    .split(";")
    .map((part) => part.trim());
  if (type !== "application/json") return false;
  return parameters.every((parameter) => !parameter.startsWith("charset=") || /^charset="?utf-?8"?$/.test(parameter));
}

/** Whether a version header names a version that `initialize` can have settled; absent ones are fine. */
export function isKnownVersionHeader(header: string | null): boolean {
  return header === null || isLegacyVersion(header.trim());
}
