import type { Answer, HttpConnection } from "./http-connection.ts";

/** What the load is sent to. `session`: it wants an `initialize` first and the session's id on each request. */
export interface Destination {
  port: number;
  path: string;
  session: boolean;
  /** What a caller shows; absent: the static token. */
  token?: string;
}

export const TOKEN = "bench-token";
export const PROTOCOL_VERSION = "2025-11-25";

const SESSION_END_MS = 1_000;

/** What is called; `list` asks for the tools instead. */
export type Tool = "echo" | "big" | "progress" | "touch" | "sized" | "list";

const INITIALIZE = JSON.stringify({
  jsonrpc: "2.0",
  id: "init",
  method: "initialize",
  params: {
    protocolVersion: PROTOCOL_VERSION,
    capabilities: {},
    clientInfo: { name: "bench-load", version: "1.0.0" },
  },
});
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';

/** Header fields of every request, the same for all that are measured, so that all of them read as much. */
function fields(method: string, destination: Destination, sessionId: string, accept: string): string {
  let head = `${method} ${destination.path} HTTP/1.1\r\nHost: 127.0.0.1:${destination.port}\r\n`;
  head += `Authorization: Bearer ${destination.token ?? TOKEN}\r\nAccept: ${accept}\r\n`;
  if (sessionId !== "") head += `Mcp-Session-Id: ${sessionId}\r\nMCP-Protocol-Version: ${PROTOCOL_VERSION}\r\n`;
  return head;
}

export function postHead(destination: Destination, sessionId: string): string {
  const head = fields("POST", destination, sessionId, "application/json, text/event-stream");
  return `${head}Content-Type: application/json\r\nContent-Length: `;
}

export function streamRequest(destination: Destination, sessionId: string): string {
  return `${fields("GET", destination, sessionId, "text/event-stream")}\r\n`;
}

/** Ends a session, so that servers that keep a process for each do not fill the machine. */
export async function closeSession(connection: HttpConnection, destination: Destination, id: string): Promise<void> {
  if (id === "") return;
  const request = `${fields("DELETE", destination, id, "application/json")}\r\n`;
  // Servers that know no DELETE may answer anything, or nothing.
  await Promise.race([connection.request(request).catch(() => undefined), Bun.sleep(SESSION_END_MS)]);
}

export function callBody(tool: Tool, id: number, text = "hello"): string {
  if (tool === "list") return `{"jsonrpc":"2.0","id":${id},"method":"tools/list"}`;
  const meta = tool === "progress" ? `"_meta":{"progressToken":"p${id}"},` : "";
  const params = `{${meta}"name":"${tool}","arguments":{"text":"${text}"}}`;
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":${params}}`;
}

export function bodyText(answer: Answer): string {
  return Buffer.concat(answer.pieces).toString("utf8");
}

/**
 * Opens a session as a legacy client does.
 *
 * @returns its id, or "" for a destination without sessions.
 * @throws Error with the status and the beginning of the body when the server does not agree.
 */
export async function openSession(connection: HttpConnection, destination: Destination): Promise<string> {
  if (!destination.session) return "";
  const head = postHead(destination, "");
  const opened = await connection.request(`${head}${INITIALIZE.length}\r\n\r\n${INITIALIZE}`);
  const sessionId = /\r\nmcp-session-id: *([^\r\n]+)/i.exec(opened.head)?.[1];
  if (opened.status !== 200 || sessionId === undefined) {
    throw new Error(`initialize was answered ${opened.status}: ${bodyText(opened).slice(0, 300)}`);
  }
  const confirmed = await connection.request(
    `${postHead(destination, sessionId)}${INITIALIZED.length}\r\n\r\n${INITIALIZED}`,
  );
  if (confirmed.status !== 202) throw new Error(`notifications/initialized was answered ${confirmed.status}`);
  return sessionId;
}

/** What is wrong with the answer to a call, or undefined: a fast wrong answer must not count as fast. */
export function fault(answer: Answer, tool: Tool, id: number, least = 1_000_000): string | undefined {
  const first = answer.pieces[0];
  if (answer.status !== 200 || first === undefined) {
    return `status ${answer.status}: ${bodyText(answer).slice(0, 300)}`;
  }
  const idText = `"id":${id}`;
  if (tool === "big" || tool === "sized" || tool === "list") {
    // The id is looked for at both ends only: searching 1 MB would measure the search.
    const bytes = answer.pieces.reduce((sum, piece) => sum + piece.length, 0);
    const ends = first.toString("latin1", 0, 400) + (answer.pieces.at(-1)?.subarray(-400).toString("latin1") ?? "");
    return bytes > least && ends.includes(idText) ? undefined : `${bytes} bytes: ${ends}`;
  }
  const text = answer.pieces.length === 1 ? first.toString("latin1") : Buffer.concat(answer.pieces).toString("latin1");
  if (!text.includes(idText)) return `another id: ${text.slice(0, 300)}`;
  if (tool === "echo") return text.includes("hello") ? undefined : `another text: ${text.slice(0, 300)}`;
  if (tool === "touch") return undefined;
  const notes = text.split(`"progressToken":"p${id}"`).length - 1;
  return notes === 100 ? undefined : `${notes} of 100 progress notifications: ${text.slice(0, 300)}`;
}
