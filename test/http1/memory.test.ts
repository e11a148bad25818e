import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { Wire, ask, eventually } from "./wire.ts";

/** Each is a descriptor here and one there. */
const MANY = 400;

let child: Bun.Subprocess<"ignore", "pipe">;
let port = 0;
beforeAll(async () => {
  child = Bun.spawn([process.execPath, join(import.meta.dir, "../fixtures/http1-memory.ts")], {
    stdin: "ignore",
    stdout: "pipe",
  });
  const first = await child.stdout.getReader().read();
  port = Number(new TextDecoder().decode(first.value).trim());
});
afterAll(() => child.kill());

interface Kept {
  readonly bytes: number;
  readonly counts: Record<string, number | undefined>;
}

async function kept(): Promise<Kept> {
  const get = (path: string): Promise<string> =>
    ask(port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  // What was garbage a moment ago may still be on the stack.
  for (let times = 0; times < 3; times++) await get("/count");
  const text = await get("/count");
  return JSON.parse(text.slice(text.indexOf("\r\n\r\n"))) as Kept;
}

/** What each of many connections keeps of what came over it. */
async function each(
  request: string,
  expected: string,
  passes: boolean,
): Promise<{ bytes: number; count: (type: string) => number }> {
  const before = await kept();
  const wires: Wire[] = [];
  for (let at = 0; at < MANY; at++) {
    const wire = await Wire.to(port);
    wires.push(wire);
    wire.send(request);
    await wire.until(expected);
  }
  if (passes) await ask(port, "GET /pass HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const after = await kept();
  for (const wire of wires) wire.socket.destroy();
  const count = (type: string): number => ((after.counts[type] ?? 0) - (before.counts[type] ?? 0)) / MANY;
  return { bytes: (after.bytes - before.bytes) / MANY, count };
}

const BODY = "a".repeat(100_000);
const POST = (path: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const CHUNKS = `${"5\r\nhello\r\n".repeat(4_000)}0\r\n\r\n`;

test("an open event stream keeps nothing of the bytes that came", async () => {
  for (const request of [
    "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n",
    POST("/stream"),
    `POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`,
  ]) {
    const { bytes, count } = await each(request, "begin", false);
    expect(bytes).toBeLessThan(8_000);
    expect(count("ArrayBuffer") + count("Uint8Array")).toBeLessThan(0.5);
  }
});

test("an idle connection keeps neither bytes nor requests", async () => {
  const head = `GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(12_000)}\r\n\r\n`;
  for (const request of [head, POST("/"), head + POST("/").replace("POST", "PUT")]) {
    const { bytes, count } = await each(request, "\r\n\r\n", true);
    expect(bytes).toBeLessThan(6_000);
    expect(count("ArrayBuffer") + count("Uint8Array")).toBeLessThan(0.5);
  }
});

test("connections that are gone leave nothing behind", async () => {
  const before = await kept();
  const wires = await Promise.all(Array.from({ length: MANY }, () => Wire.to(port)));
  for (const wire of wires) wire.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  await Promise.all(wires.map((wire) => wire.until("begin")));
  for (const wire of wires) wire.socket.destroy();
  await eventually(() => wires.every(({ over }) => over));
  const count = async (): Promise<number> =>
    ((await kept()).counts["TCPSocket"] ?? 0) - (before.counts["TCPSocket"] ?? 0);
  for (let tries = 0; (await count()) > MANY / 10; tries++) expect(tries).toBeLessThan(50);
});
