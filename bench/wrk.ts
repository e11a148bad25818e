import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { callBody, openSession, PROTOCOL_VERSION, TOKEN } from "./client.ts";
import { HttpConnection } from "./http-connection.ts";
import { CONNECTIONS, WRK_THREADS } from "./plan.ts";
import type { Processes } from "./processes.ts";
import type { Target } from "./targets.ts";

/** Where wrk is, or null. It costs less CPU than a load in TypeScript, so it shows a server that is faster than that. */
export function findWrk(): string | null {
  return Bun.which("wrk");
}

/** Requests per second of small calls. @throws Error when an answer was not 200, or wrk says nothing. */
export async function runWrk(processes: Processes, wrk: string, target: Target, seconds: number): Promise<number> {
  const { destination } = target;
  const connection = await HttpConnection.open(destination.port);
  const sessionId = await openSession(connection, destination);
  connection.close();
  const folder = processes.folder();
  try {
    const script = join(folder, "call.lua");
    writeFileSync(script, luaScript(sessionId));
    const url = `http://127.0.0.1:${destination.port}${destination.path}`;
    const child = processes.start([
      wrk,
      `-t${WRK_THREADS}`,
      `-c${CONNECTIONS}`,
      `-d${Math.max(1, Math.round(seconds))}s`,
      ...["-s", script, url],
    ]);
    const report = await new Response(child.stdout).text();
    const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(report)?.[1]);
    if (!(perSecond > 0) || /Non-2xx|Socket errors/.test(report)) throw new Error(`wrk says: ${report.slice(-300)}`);
    return perSecond;
  } finally {
    processes.remove(folder);
  }
}

function luaScript(sessionId: string): string {
  const lines = [
    `wrk.method = "POST"`,
    `wrk.body = [[${callBody("echo", 1_000_000)}]]`,
    `wrk.headers["Content-Type"] = "application/json"`,
    `wrk.headers["Accept"] = "application/json, text/event-stream"`,
    `wrk.headers["Authorization"] = "Bearer ${TOKEN}"`,
  ];
  if (sessionId !== "") {
    lines.push(`wrk.headers["Mcp-Session-Id"] = [[${sessionId}]]`);
    lines.push(`wrk.headers["MCP-Protocol-Version"] = "${PROTOCOL_VERSION}"`);
  }
  return `${lines.join("\n")}\n`;
}
