import type { ReplyHeaders } from "../downstream/http-reply.ts";
import { Answer, AnswerHeaders } from "../http1/answer.ts";
import type { Incoming } from "../http1/incoming.ts";

const JSON_TYPE = { "Content-Type": "application/json" };
const EVENTS_TYPE = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-store, no-transform",
  // nginx would collect the stream before it passes it on.
  "X-Accel-Buffering": "no",
};

const EXPOSED = ["Mcp-Session-Id", "MCP-Protocol-Version", "WWW-Authenticate", "Retry-After"];
const ALLOWED_HEADERS = [
  "Accept",
  "Authorization",
  "Content-Type",
  "Last-Event-ID",
  "MCP-Protocol-Version",
  "Mcp-Session-Id",
  "Mcp-Method",
  "Mcp-Name",
];
const PREFLIGHT_SECONDS = "600";

/** Headers of MCP answers to callers that are no web page: made once, shared by all. */
export function plainReplyHeaders(): ReplyHeaders {
  return { json: new AnswerHeaders(JSON_TYPE), events: new AnswerHeaders(EVENTS_TYPE) };
}

/**
 * Headers of MCP answers to a web page whose origin is allowed.
 * @param exposed names of further response headers that it may read
 */
export function pageReplyHeaders(origin: string, exposed: readonly string[]): ReplyHeaders {
  const cors = {
    "Access-Control-Allow-Origin": origin,
    "Access-Control-Expose-Headers": [...EXPOSED, ...exposed].join(", "),
    Vary: "Origin",
  };
  return { json: new AnswerHeaders({ ...JSON_TYPE, ...cors }), events: new AnswerHeaders({ ...EVENTS_TYPE, ...cors }) };
}

/** The answer to `OPTIONS`, which browsers send without any credential (Fetch, "CORS-preflight request"). */
export function preflight(origin: string, request: Incoming): Answer {
  const requested = (request.headers.get("access-control-request-headers") ?? "").split(",").map((name) => name.trim());
  const params = requested.filter((name) => /^mcp-param-[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name));
  const headers = new AnswerHeaders({
    "Access-Control-Allow-Origin": origin,
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": [...ALLOWED_HEADERS, ...params].join(", "),
    "Access-Control-Max-Age": PREFLIGHT_SECONDS,
    Vary: "Origin, Access-Control-Request-Headers",
  });
  return new Answer(204, headers);
}
