import { ErrorCode, errorText } from "../protocol/errors.ts";
import type { ReplyHeaders } from "./http-reply.ts";

/** Keeps nothing from one call to the next. */
const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** The client sends more than it may. */
export class BodyTooLarge extends Error {}

/** The body is not UTF-8, and so not JSON (RFC 8259 section 8.1). */
export class BodyNotText extends Error {}

/**
 * Reads a request's body as text. How long it may take is the caller's business.
 * @param maxBytes limit
 * @throws BodyTooLarge, or what the runtime throws when the client leaves in the middle
 */
export function readBody(request: Request, maxBytes: number): Promise<string> {
  const length = request.headers.get("content-length");
  if (length === null) return readUndeclared(request, maxBytes);
  return Number(length) > maxBytes ? Promise.reject(new BodyTooLarge()) : request.bytes().then(decode);
}

/** Replacing what is no UTF-8 would change what the client said without a word. */
function decode(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new BodyNotText();
  }
}

/** A body without a declared length is counted while it comes. */
async function readUndeclared(request: Request, maxBytes: number): Promise<string> {
  if (request.body === null) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new BodyTooLarge();
    chunks.push(chunk);
  }
  return decode(Buffer.concat(chunks));
}

/** The answer to a body that could not be read to its end. */
export function unreadable(to: { readonly headers: ReplyHeaders }, error: unknown, maxBytes: number): Response {
  const { json: headers } = to.headers;
  if (error instanceof BodyNotText) {
    return new Response(errorText("null", ErrorCode.parse, "Parse error: the body is not UTF-8"), {
      status: 400,
      headers,
    });
  }
  if (!(error instanceof BodyTooLarge)) {
    return new Response(errorText("null", ErrorCode.server, "Bad request: the body could not be read"), {
      status: 400,
      headers,
    });
  }
  const limit = `Payload too large: at most ${maxBytes} bytes (maxRequestBytes)`;
  const response = new Response(errorText("null", ErrorCode.server, limit), { status: 413, headers });
  response.headers.set("Connection", "close");
  return response;
}
