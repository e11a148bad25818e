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
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
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
