import { Answer } from "../http1/answer.ts";
import { Gathering } from "../http1/gathering.ts";
import type { Incoming } from "../http1/incoming.ts";
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
 * @returns the text itself where all of it is here already
 * @throws BodyTooLarge, BodyNotText, or BodyBroken when the client leaves in the middle
 */
function readBody(request: Incoming, maxBytes: number): string | Promise<string> {
  if ((request.declaredLength ?? 0) > maxBytes) throw new BodyTooLarge();
  const { whole } = request.body;
  return whole === undefined || whole.length > maxBytes ? readParts(request, maxBytes) : decode(whole);
}

/**
 * Reads a request's body and hands it on, at once where all of it is here.
 * @param received must not throw
 * @param failed hears why the body could not be read
 */
export function takeBody(
  request: Incoming,
  maxBytes: number,
  received: (body: string) => void,
  failed: (error: unknown) => void,
): void {
  let body: string | Promise<string>;
  try {
    body = readBody(request, maxBytes);
  } catch (error) {
    return failed(error);
  }
  if (typeof body === "string") received(body);
  else body.then(received, failed);
}

/** Replacing what is no UTF-8 would change what the client said without a word. @throws BodyNotText */
export function decode(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new BodyNotText();
  }
}

/** What comes in parts is counted while it comes. */
async function readParts({ body }: Incoming, maxBytes: number): Promise<string> {
  const all = new Gathering();
  for (let part = await body.next(); part !== undefined; part = await body.next()) {
    if (all.length + part.length > maxBytes) throw new BodyTooLarge();
    all.add(part);
  }
  return decode(all.all);
}

/** The answer to a body that could not be read to its end. */
export function unreadable(to: { readonly headers: ReplyHeaders }, error: unknown, maxBytes: number): Answer {
  const { json } = to.headers;
  if (error instanceof BodyNotText) {
    return new Answer(400, json, errorText("null", ErrorCode.parse, "Parse error: the body is not UTF-8"));
  }
  if (!(error instanceof BodyTooLarge)) {
    return new Answer(400, json, errorText("null", ErrorCode.server, "Bad request: the body could not be read"));
  }
  const limit = `Payload too large: at most ${maxBytes} bytes (maxRequestBytes)`;
  return new Answer(413, json, errorText("null", ErrorCode.server, limit), { closes: true });
}
