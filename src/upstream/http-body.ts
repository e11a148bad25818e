/**
 * Reads a body as text.
 * @param maxBytes what is longer is refused, after decompression: a small body may unpack to gigabytes
 * @returns undefined when it is too long; the rest is not read then
 * @throws TypeError when the connection breaks
 */
export async function readText(response: Response, maxBytes: number): Promise<string | undefined> {
  const length = response.headers.get("content-length");
  if (length !== null && !response.headers.has("content-encoding") && Number(length) <= maxBytes) {
    return response.text();
  }
  const { text, whole } = await readStart(response, maxBytes);
  return whole ? text : undefined;
}

/** Reads the start of a body, and leaves the rest. */
export async function readStart(response: Response, maxBytes: number): Promise<{ text: string; whole: boolean }> {
  if (response.body === null) return { text: "", whole: true };
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  const parts: string[] = [];
  let bytes = 0;
  for (;;) {
    const part = await reader.read();
    if (part.done) {
      parts.push(decoder.decode());
      return { text: parts.join(""), whole: true };
    }
    bytes += part.value.byteLength;
    if (bytes > maxBytes) {
      parts.push(decoder.decode(part.value.subarray(0, part.value.byteLength - (bytes - maxBytes)), { stream: true }));
      reader.cancel().catch(() => undefined);
      return { text: parts.join(""), whole: false };
    }
    parts.push(decoder.decode(part.value, { stream: true }));
  }
}

/** Lets go of a body that nobody wants to read. */
export function discard(response: Response): void {
  response.body?.cancel().catch(() => undefined);
}
