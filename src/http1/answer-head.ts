import type { Answer } from "./answer.ts";

/** What clients see of a status beside its number; they must not rely on it (RFC 9112 section 4). */
const REASONS: ReadonlyMap<number, string> = new Map([
  [200, "OK"],
  [201, "Created"],
  [202, "Accepted"],
  [204, "No Content"],
  [302, "Found"],
  [303, "See Other"],
  [304, "Not Modified"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [406, "Not Acceptable"],
  [408, "Request Timeout"],
  [413, "Content Too Large"],
  [415, "Unsupported Media Type"],
  [417, "Expectation Failed"],
  [429, "Too Many Requests"],
  [431, "Request Header Fields Too Large"],
  [500, "Internal Server Error"],
  [501, "Not Implemented"],
  [503, "Service Unavailable"],
  [505, "HTTP Version Not Supported"],
]);

/** How an answer is framed. */
export interface AnswerFraming {
  /** Bytes of the body; `"chunked"` where that is not known, `"until the end"` where chunks are not understood. */
  readonly length: number | "chunked" | "until the end";
  readonly closes: boolean;
}

/** Status line and header of an answer, with the empty line (RFC 9112 section 4 and 6). */
export function answerHead({ status, headers }: Answer, { length, closes }: AnswerFraming, date: string): string {
  const first = `HTTP/1.1 ${status} ${REASONS.get(status) ?? ""}\r\n${headers.text}Date: ${date}\r\n`;
  const last = closes ? "Connection: close\r\n\r\n" : "\r\n";
  // These never have a body, and saying that it is empty is not allowed for all of them.
  if (status === 204 || status === 304) return first + last;
  if (length === "chunked") return `${first}Transfer-Encoding: chunked\r\n${last}`;
  return length === "until the end" ? first + last : `${first}Content-Length: ${length}\r\n${last}`;
}

/** The date in answers (RFC 9110 section 6.6.1), made anew once a second. */
export class HttpDate {
  #second = 0;
  #text = "";

  /** @param now in milliseconds since the epoch */
  at(now: number): string {
    const second = Math.floor(now / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1_000).toUTCString();
    }
    return this.#text;
  }
}

/**
 * What stands before a part of a body whose length is not known (RFC 9112 section 7.1); `CHUNK_END` stands behind it.
 * Not for an empty part, which would be the end.
 * @param size in bytes
 */
export function chunkStart(size: number): string {
  return `${size.toString(16)}\r\n`;
}

export const CHUNK_END = "\r\n";
export const LAST_CHUNK = "0\r\n\r\n";
