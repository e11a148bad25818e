import type { HeaderSource } from "../relay/ends.ts";

/** What kind of answer a caller of a page wants, by its `Accept` header. */
export type Wish = "page" | "json" | "stream";

/** For the start page: a page for everybody who does not ask for something else. */
export function startPageWish(accept: string | null): Wish {
  if (accept === null) return "json";
  if (names(accept, "text/event-stream")) return "stream";
  return names(accept, "application/json") && !names(accept, "text/html") ? "json" : "page";
}

/** Whether a browser asks, on a path that is meant for programs: those must never get HTML unasked. */
export function isBrowser({ method, headers }: { readonly method: string; readonly headers: HeaderSource }): boolean {
  if (method !== "GET") return false;
  const accept = headers.get("accept");
  return accept !== null && names(accept, "text/html") && !names(accept, "text/event-stream");
}

function names(accept: string, type: string): boolean {
  return accept
    .toLowerCase()
    .split(",")
    .some((range) => range.split(";")[0]?.trim() === type && !/;\s*q=0(\.0*)?\s*(;|$)/.test(range));
}
