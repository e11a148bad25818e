import { ErrorCode, errorText } from "../protocol/errors.ts";
import type { ReplyHeaders } from "./http-reply.ts";

/** The client sends more than it may. */
export class BodyTooLarge extends Error {}

/**
 * Reads a request's body as text. How long it may take is the caller's business.
 * @param maxBytes limit
 * @throws BodyTooLarge, or what the runtime throws when the client leaves in the middle
 */
export function readBody(request: Request, maxBytes: number): Promise<string> {
  const length = request.headers.get("content-length");
  if (length === null) return readUndeclared(request, maxBytes);
  return Number(length) > maxBytes ? Promise.reject(new BodyTooLarge()) : request.text();
}

/** A body without a declared length is counted while it comes. */
async function readUndeclared(request: Request, maxBytes: number): Promise<string> {
  if (request.body === null) return "";
  const decoder = new TextDecoder();
  const reader = request.body.getReader();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > maxBytes) {
      await reader.cancel();
      throw new BodyTooLarge();
    }
    text += decoder.decode(value, { stream: true });
  }
}

/** The answer to a body that could not be read to its end. */
export function unreadable(to: { readonly headers: ReplyHeaders }, error: unknown, maxBytes: number): Response {
  const { json: headers } = to.headers;
  if (!(error instanceof BodyTooLarge)) {
    return new Response(errorText("null", ErrorCode.server, "Bad request: the body could not be read"), { status: 400, headers });
  }
  const limit = `Payload too large: at most ${maxBytes} bytes (maxRequestBytes)`;
  const response = new Response(errorText("null", ErrorCode.server, limit), { status: 413, headers });
  response.headers.set("Connection", "close");
  return response;
}
