import type { Gate, Refusal } from "../auth/gate.ts";
import type { ReplyHeaders } from "../downstream/http-reply.ts";
import { Answer, AnswerHeaders } from "../http1/answer.ts";
import type { Incoming } from "../http1/incoming.ts";
import { ErrorCode, errorText } from "../protocol/errors.ts";
import { HttpCaller } from "./caller.ts";
import type { HostRule, OriginRule } from "./origin.ts";
import { pageReplyHeaders, preflight } from "./reply-headers.ts";

export interface AdmissionDeps {
  readonly origins: OriginRule;
  readonly hosts: HostRule;
  /** Headers for callers that are no web page. */
  readonly plain: ReplyHeaders;
  /** Where the metadata of the resource at this request's URL is; undefined without a login. */
  readonly metadataUrl: ((request: Incoming) => string | undefined) | undefined;
  /** Response headers that web pages may read, beside those of MCP. */
  readonly exposed: readonly string[];
}

/** A caller that may go on, and the headers its answers carry. */
export interface Admission {
  readonly caller: HttpCaller;
  readonly headers: ReplyHeaders;
}

const METHODS = "GET, POST, DELETE, OPTIONS";

/**
 * The one gate in front of every MCP endpoint. In this order: where the page comes from, preflight, method, credential,
 * host. Nothing of the body and no session is looked at before.
 */
export function admit(request: Incoming, gate: Gate, deps: AdmissionDeps): Admission | Answer {
  const origin = request.headers.get("origin");
  let headers = deps.plain;
  if (origin !== null) {
    if (!deps.origins.allows(origin))
      return refuse(403, "Forbidden: this web origin is not allowed (allowedOrigins)", headers);
    if (request.method === "OPTIONS") return preflight(origin, request);
    headers = pageReplyHeaders(origin, deps.exposed);
  }
  const { method } = request;
  if (method !== "POST" && method !== "GET" && method !== "DELETE") {
    if (method === "OPTIONS") return new Answer(204, new AnswerHeaders({ Allow: METHODS }));
    return refuse(405, "Method not allowed", headers, { Allow: METHODS });
  }
  const authorization = gate.open ? null : request.headers.get("authorization");
  const principal = gate.check(authorization);
  if (typeof principal === "string") return challenge(principal, request, gate, headers, deps);
  // Only who brings no credential could be a page that made the browser resolve its name to this address.
  if (principal.kind === "anonymous" && !deps.hosts.allows(request.headers.get("host"))) {
    return refuse(403, "Forbidden: this host name is not allowed (baseURL, allowedHosts)", headers);
  }
  return { caller: new HttpCaller(principal, request), headers };
}

/** Tells a caller what is missing, and where to get it (RFC 6750 section 3, RFC 9728 section 5.1). */
function challenge(
  refusal: Refusal,
  request: Incoming,
  gate: Gate,
  headers: ReplyHeaders,
  deps: AdmissionDeps,
): Answer {
  const metadata = gate.login ? deps.metadataUrl?.(request) : undefined;
  const parts = [
    ...(refusal === "invalid" ? ['error="invalid_token"'] : []),
    ...(refusal === "insufficient" ? ['error="insufficient_scope"'] : []),
    ...(gate.login ? ['scope="mcp"'] : []),
    ...(metadata === undefined ? [] : [`resource_metadata="${metadata}"`]),
  ];
  const insufficient = refusal === "insufficient";
  const text = insufficient
    ? "Forbidden: the token lacks the scope mcp"
    : `Unauthorized: ${gate.login ? "log in, or send" : "send"} a valid token as Authorization: Bearer <token>`;
  return refuse(insufficient ? 403 : 401, text, headers, {
    "WWW-Authenticate": `Bearer ${parts.join(", ")}`.trim(),
    "Cache-Control": "no-store",
  });
}

/** An error before anything of the message was read. */
export function refuse(
  status: number,
  text: string,
  headers: ReplyHeaders,
  extra: Record<string, string> = {},
): Answer {
  let all = headers.json;
  for (const [name, value] of Object.entries(extra)) all = all.with(name, value);
  return new Answer(status, all, errorText("null", ErrorCode.server, text));
}
