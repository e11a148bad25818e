import { connect } from "node:net";
import type { Socket } from "node:net";

/** What came back over a socket. */
export interface RawAnswer {
  /** 0 where nothing came before the connection was closed. */
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly whole: string;
}

/** Longest wait for the other side to close; a test that reaches it fails. */
const PATIENCE_MS = 20_000;

/**
 * Sends bytes as they are and reads until the other side closes. No library stands between that would tidy up a path
 * or refuse a header.
 * @param patienceMs after this the connection counts as left open
 * @throws Error when the connection stays open
 */
export function exchange(port: number, bytes: string | Uint8Array, patienceMs = PATIENCE_MS): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const timer = setTimeout(() => {
      socket.destroy();
      const sofar = Buffer.concat(chunks).toString().slice(0, 500);
      reject(new Error(`the connection stayed open: ${JSON.stringify(sofar)}`));
    }, patienceMs);
    socket.on("data", (chunk: Buffer) => void chunks.push(chunk));
    // A reset after an answer is an answer.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(parse(Buffer.concat(chunks).toString()));
    });
  });
}

/** An open connection, for what is not one question and one answer. */
export function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** A request as text; `Host`, `Connection: close` and, for a body, its length are added where they are missing. */
export function request(line: string, headers: Record<string, string> = {}, body = ""): string {
  const all: Record<string, string> = { Host: "127.0.0.1", Connection: "close", ...headers };
  if (body !== "" && !("Transfer-Encoding" in all) && !("Content-Length" in all)) {
    all["Content-Length"] = String(Buffer.byteLength(body));
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `${line} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** A POST of a JSON body as MCP clients send it. */
export function post(path: string, message: unknown, headers: Record<string, string> = {}): string {
  const body = typeof message === "string" ? message : JSON.stringify(message);
  const all = { "Content-Type": "application/json", Accept: "application/json, text/event-stream", ...headers };
  return request(`POST ${path}`, all, body);
}

/** Only the first answer when several came. */
function parse(whole: string): RawAnswer {
  const end = whole.indexOf("\r\n\r\n");
  const [line = "", ...lines] = whole.slice(0, end === -1 ? whole.length : end).split("\r\n");
  const headers = new Map(
    lines.map((header) => {
      const colon = header.indexOf(":");
      return [header.slice(0, colon).toLowerCase(), header.slice(colon + 1).trim()];
    }),
  );
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(line)?.[1] ?? 0);
  return { status, headers, body: end === -1 ? "" : whole.slice(end + 4), whole };
}
