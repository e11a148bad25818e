import { RequestHeaders } from "./request-headers.ts";

/** What stands before the body of a request. */
export interface RequestHead {
  readonly method: string;
  /** Absolute, in the one form of the URL standard. */
  readonly url: string;
  /** Of it, without the query. */
  readonly path: string;
  readonly headers: RequestHeaders;
  /** Bytes of the body, or how its end is found. */
  readonly body: number | "chunked";
  /** The client may send another request on the same connection. */
  readonly keepsAlive: boolean;
  /** The client waits for a word before it sends the body. */
  readonly expectsContinue: boolean;
  /** Chunks and interim answers are understood. */
  readonly version: "1.0" | "1.1";
}

/** What a client has connected to. */
export interface Place {
  /** A host, and its port where it has one. */
  readonly here: string;
}

/** Why a request is not looked at. */
export class BadRequest extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e\x80-\xff]+) HTTP\/(\d\.\d)$/;
/** Everything but control characters; a tab may stand inside. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const LENGTH = /^\d{1,15}$/;
/** Says which host is meant where the client did not, so that there is a URL; it is refused for that later. */
const NO_HOST = "nowhere.invalid";

/**
 * Reads the head of a request (RFC 9112), without its last empty line, as Latin-1. It is strict where two programs
 * that read the same bytes could see two different requests, for that is how requests are smuggled past the one in
 * front: no line folding, no blank before a colon, no bare line feed, no second length, no length beside chunks.
 * @param scheme of the connection
 * @param place where the client has connected to
 * @throws BadRequest with the status to answer
 */
export function readHead(text: string, scheme: "http" | "https", place: Place): RequestHead {
  const lines = text.split("\r\n");
  const [, method = "", target = "", version] = REQUEST_LINE.exec(lines[0] ?? "") ?? bad("the request line");
  // Methods are told apart by case; what is built on the Fetch standard would take `get` for GET (RFC 9110 section 9.1).
  if (/[a-z]/.test(method)) throw new BadRequest(501, "Method not implemented: methods are in upper case");
  if (version !== "1.0" && version !== "1.1") throw new BadRequest(505, "HTTP version not supported: speak HTTP/1.1");
  const headers = new RequestHeaders();
  const seen = new Set<string>();
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index] as string;
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    if (colon === -1 || !TOKEN.test(name)) bad("a header line");
    const value = trimmed(line, colon + 1);
    if (!FIELD_VALUE.test(value)) bad(`the header ${name}`);
    const key = name.toLowerCase();
    if (SINGLE.has(key) && seen.has(key)) bad(`the header ${name}: it stands there twice`);
    seen.add(key);
    headers.add(key, value);
  }
  if (!headers.has("host")) {
    if (version === "1.1") bad("the Host header is missing");
    // Health checks of load balancers name none. No web page can make a browser do that, so no foreign name hides here.
    headers.set("host", place.here);
  }
  const authority = authorityOf(target);
  // The target says more exactly what is meant, and a server must not look at the header then (RFC 9112 section 3.2.2).
  if (authority !== undefined) headers.set("host", authority);
  const connection = tokensOf(headers.get("connection"));
  const expectation = headers.get("expect")?.toLowerCase();
  if (expectation !== undefined && expectation !== "100-continue") throw new BadRequest(417, "Expectation failed");
  const { href, pathname } = urlOf(target, authority ?? headers.get("host"), scheme);
  return {
    method,
    url: href,
    path: pathname,
    headers,
    body: framingOf(headers, version),
    keepsAlive: version === "1.1" && !connection.includes("close"),
    expectsContinue: version === "1.1" && expectation !== undefined,
    version,
  };
}

/** Where a second one means that somebody reads the first and somebody else the last. */
const SINGLE = new Set(["host", "content-length", "transfer-encoding", "content-type", "authorization"]);

function framingOf(headers: RequestHeaders, version: string): number | "chunked" {
  const coding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (coding !== null) {
    if (length !== null) bad("the framing: a length and a transfer coding at once");
    if (version === "1.0") bad("the framing: HTTP/1.0 has no transfer codings");
    if (coding.toLowerCase() !== "chunked") throw new BadRequest(501, "Transfer coding not supported: use chunked");
    return "chunked";
  }
  if (length === null) return 0;
  if (!LENGTH.test(length)) bad("the header Content-Length");
  return Number(length);
}

/** The host of a target that is a whole URL. */
function authorityOf(target: string): string | undefined {
  if (target.startsWith("/") || target === "*") return undefined;
  return /^https?:\/\/([^/?#@\\]+)(?=[/?]|$)/i.exec(target)?.[1] ?? bad("the request target");
}

function urlOf(target: string, host: string | null, scheme: string): URL {
  if (target.includes("#")) bad("the request target");
  const path = target.startsWith("/") || target === "*" ? target : target.replace(/^https?:\/\/[^/?]+/i, "");
  // The standard would take it for a slash, and what stands in front of us would not.
  if ((path.split("?")[0] ?? "").includes("\\")) bad("the request target");
  const plain = path.replaceAll(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
  const rest = plain.startsWith("/") ? plain : `/${plain}`;
  // Without a host the standard would take it from the path.
  const named = host === null || host === "" || /[^\x21-\x7e]|[/?#@\\]/.test(host) ? NO_HOST : host;
  const url = URL.parse(`${scheme}://${named}${rest}`);
  if (url !== null) return url;
  // A header that is no host is refused where the answer to that is made; in a target it is as wrong as the rest of it.
  if (!target.startsWith("/") && target !== "*") bad("the request target");
  return URL.parse(`${scheme}://${NO_HOST}${rest}`) ?? bad("the request target");
}

/** What stands from there on, without the blanks around it. An expression would look at a run of n blanks n times. */
function trimmed(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start++;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

function tokensOf(header: string | null): readonly string[] {
  return header === null ? [] : header.split(",").map((token) => token.trim().toLowerCase());
}

function bad(what: string): never {
  throw new BadRequest(400, `Bad request: ${what}`);
}
