import { messagesIn, responseId } from "./line-answer.ts";
import { Fault } from "./fault.ts";
import { printable } from "../telemetry/printable.ts";

const DETAIL_CHARS = 1000;

/** Nothing of the request can have been sent when one of these is the reason. */
const BEFORE_SENDING = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EAI_FAIL",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "EPROTO",
  "ERR_INVALID_URL",
]);
const CERTIFICATE = /CERT|SELF_SIGNED|CRL_|ISSUER|VERIFY/;

/** A request that got no answer at all, as `fetch` reports it. */
export function networkFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const detail = error instanceof Error ? error.message : String(error);
  if (CERTIFICATE.test(code)) {
    const message = `the server's certificate is not accepted (${code}); renew it, or trust its authority`;
    return new Fault("upstream.unreachable", message, { detail, notRun: true });
  }
  const notRun = BEFORE_SENDING.has(code);
  const what = notRun ? "the server cannot be reached" : "the connection to the server broke before it answered";
  const remedy = notRun ? "; see that it runs and that its url is right" : "";
  return new Fault("upstream.unreachable", `${what}${code === "" ? "" : ` (${code})`}${remedy}`, { detail, notRun });
}

export interface Refusal {
  readonly status: number;
  readonly headers: Headers;
  /** How the body begins. */
  readonly body: string;
}

/** The answer to request `id` that stands in the body of an error status, if one does. */
export function answerIn(refusal: Refusal, id: number): string | undefined {
  return messagesIn(refusal.body.trim()).find((message) => responseId(message) === id);
}

/**
 * Whether the server says that it does not know our session. The specification demands 404; servers made after the
 * TypeScript SDK's examples say 400 with -32000 and the id `null`, also when they were restarted.
 */
export function sessionLost(refusal: Refusal): boolean {
  const { status, body } = refusal;
  if (status === 404) return !/"code"\s*:\s*-32601\b/.test(body);
  return status === 400 && /"code"\s*:\s*-32000\b/.test(body) && /session|not initialized/i.test(body);
}

export function sessionFault(notRun: boolean): Fault {
  return new Fault("upstream.session_lost", "the server does not know its session any more; it is opened anew", {
    notRun,
  });
}

/** What a status means that is no answer. */
export function statusFault({ status, headers, body }: Refusal): Fault {
  const shown = printable(body.slice(0, DETAIL_CHARS)).trim();
  if (status === 401 || status === 403) {
    const challenge = headers.get("www-authenticate");
    const digest = challenge !== null && /(?:^|,)\s*digest\s/i.test(challenge);
    const remedy = digest
      ? "it asks for Digest authentication: see that --digest is given, and that --username and --password are right"
      : "set or renew its headers";
    return new Fault(
      "upstream.unauthorized",
      `the server does not accept our credentials (HTTP ${status}); ${remedy}`,
      {
        detail: [challenge?.slice(0, DETAIL_CHARS), shown].filter(Boolean).join("\n") || undefined,
        notRun: true,
        status,
      },
    );
  }
  if (status >= 300 && status < 400) {
    return new Fault(
      "upstream.http_status",
      `the server redirects (HTTP ${status}), and credentials are not sent elsewhere; configure the url it names`,
      { detail: `Location: ${printable((headers.get("location") ?? "(none)").slice(0, DETAIL_CHARS))}`, notRun: true },
    );
  }
  // Statuses that a server gives before it looks at what the message asks for.
  const notRun = [404, 405, 406, 413, 415, 429].includes(status);
  const hint = status === 404 || status === 405 ? "; see that its url is right" : "";
  return new Fault("upstream.http_status", `the server answered with HTTP ${status}${hint}`, {
    detail: shown === "" ? undefined : shown,
    notRun,
    status,
  });
}

export function tooLargeFault(maxBytes: number): Fault {
  return new Fault(
    "upstream.too_large",
    `the server's answer is longer than ${maxBytes} bytes; raise the limit of messages or ask for less`,
  );
}

export function protocolFault(what: string, body: string): Fault {
  const shown = printable(body.slice(0, DETAIL_CHARS)).trim();
  return new Fault("upstream.protocol", `the server answered with ${what}; see that its url is that of an MCP server`, {
    detail: shown === "" ? undefined : shown,
  });
}
