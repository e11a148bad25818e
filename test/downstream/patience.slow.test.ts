/**
 * What takes its time by definition: keep-alive and deadlines of half requests. All at once, so that the file takes as
 * long as its slowest test.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { EventReader, HttpClient, INITIALIZE, connect, readAnswer, tools } from "../http/client.ts";
import { dial, post, request } from "../http/raw.ts";
import { until } from "../upstream/processes.ts";

/** Longer than the proxy's own limit for silent connections. */
const SILENCE_MS = 44_000;
const TEST_MS = 90_000;

let proxy: RunningProxy;
let slow: RunningProxy;
let forgetful: RunningProxy;
let unread: RunningProxy;
beforeAll(async () => {
  [proxy, slow, forgetful, unread] = await Promise.all([
    startProxy({ a: tools() }, { mcpProxy: { stateless: true } }),
    startProxy({ slow: tools({ env: { HTTP_TOOLS_DELAY: String(SILENCE_MS) } }) }),
    startProxy({ a: tools() }, { mcpProxy: { sessionIdleMinutes: 0.01, sessionMaxDays: 0.0004 } }),
    startProxy({ a: tools() }, { mcpProxy: { stateless: true } }),
  ]);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await slow[Symbol.asyncDispose]();
  await forgetful[Symbol.asyncDispose]();
  await unread[Symbol.asyncDispose]();
});

const silence = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: { name: "silence", arguments: { ms: SILENCE_MS } },
});

/** Times in milliseconds at which pieces of a body came, and the whole. */
async function timed(response: Response): Promise<{ gaps: number[]; text: string }> {
  const decoder = new TextDecoder();
  let last = performance.now();
  const gaps: number[] = [];
  let text = "";
  for await (const chunk of response.body as ReadableStream<Uint8Array>) {
    gaps.push(performance.now() - last);
    last = performance.now();
    text += decoder.decode(chunk, { stream: true });
  }
  return { gaps, text };
}

/** Sends one character after the other until the other side closes. @returns what it said, and after how long */
async function drip(head: string, tail: string): Promise<{ text: string; seconds: number }> {
  const socket = await dial(proxy.port);
  const before = performance.now();
  let text = "";
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  socket.write(head);
  let sent = 0;
  const timer = setInterval(() => {
    if (!socket.destroyed && sent < tail.length) socket.write(tail[sent++] ?? "");
  }, 1_000);
  await closed;
  clearInterval(timer);
  return { text, seconds: (performance.now() - before) / 1_000 };
}

describe("silence", () => {
  test.concurrent(
    "of a GET stream is filled with comments at most 25 s apart",
    async () => {
      const client = await connect(`${proxy.url}/a/mcp`);
      const response = await client.fetch("GET");
      const events = new EventReader(response);
      await events.until("\n\n");
      for (let round = 0; round < 2; round++) {
        events.text = "";
        const before = performance.now();
        await events.until("\n\n");
        // A margin for a busy machine.
        expect(performance.now() - before).toBeLessThan(27_000);
        expect(events.text).toStartWith(":");
      }
      await events.close();
    },
    TEST_MS,
  );

  for (const what of ["with", "without"]) {
    test.concurrent(
      `of a call ${what} a session opens a stream, keeps it alive and still brings the answer`,
      async () => {
        const client = new HttpClient(`${proxy.url}/a/mcp`);
        if (what === "with") await client.initialize();
        const before = performance.now();
        const response = await client.fetch("POST", silence);
        expect(performance.now() - before).toBeWithin(14_000, 25_000);
        expect(response.headers.get("content-type")).toStartWith("text/event-stream");
        const { gaps, text } = await timed(response);
        for (const gap of gaps) expect(gap).toBeLessThan(27_000);
        expect(text).toContain("after the silence");
        expect(text.match(/^data: /gm)).toHaveLength(1);
      },
      TEST_MS,
    );
  }

  test.concurrent(
    "of a call from who accepts only JSON is waited out",
    async () => {
      const client = await connect(`${proxy.url}/a/mcp`);
      const answer = await readAnswer(await client.fetch("POST", silence, { Accept: "application/json" }));
      expect(answer.headers.get("content-type")).toBe("application/json");
      expect(answer.text).toContain("after the silence");
    },
    TEST_MS,
  );

  test.concurrent(
    "of a server that starts slowly is waited out by initialize, without a stream",
    async () => {
      const answer = await new HttpClient(`${slow.url}/slow/mcp`).send(INITIALIZE);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-type")).toBe("application/json");
      expect(answer.headers.has("mcp-session-id")).toBeTrue();
    },
    TEST_MS,
  );
});

describe("within 60 s is closed", () => {
  const head = {
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    Connection: "keep-alive",
  };
  test.concurrent(
    "a body of which half is sent",
    async () => {
      const { seconds } = await drip(request("POST /a/mcp", { ...head, "Content-Length": "100" }, '{"jsonrpc"'), "");
      expect(seconds).toBeLessThan(60);
    },
    TEST_MS,
  );
  test.concurrent(
    "a body in chunks that never end",
    async () => {
      const { seconds } = await drip(
        request("POST /a/mcp", { ...head, "Transfer-Encoding": "chunked" }, '5\r\n{"jso\r\n'),
        "",
      );
      expect(seconds).toBeLessThan(60);
    },
    TEST_MS,
  );
  test.concurrent(
    "a body that drips",
    async () => {
      const { seconds, text } = await drip(
        request("POST /a/mcp", { ...head, "Content-Length": "100000" }, "{"),
        " ".repeat(1_000),
      );
      expect(seconds).toBeLessThan(60);
      if (text !== "") expect(text).toStartWith("HTTP/1.1 408");
    },
    TEST_MS,
  );
  test.concurrent(
    "a head of which half is sent",
    async () => {
      const { seconds } = await drip("POST /a/mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ", "");
      expect(seconds).toBeLessThan(60);
    },
    TEST_MS,
  );
  test.concurrent(
    "a head that drips",
    async () => {
      const { seconds } = await drip("POST /a/mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Drip: ", "y".repeat(1_000));
      expect(seconds).toBeLessThan(60);
    },
    TEST_MS,
  );
  test.concurrent(
    "a connection that says nothing",
    async () => {
      const { seconds } = await drip("", "");
      expect(seconds).toBeLessThan(60);
    },
    TEST_MS,
  );
});

test.concurrent(
  "an idle session leaves the memory and comes back; one with a stream stays; a very old one is 404",
  async () => {
    const inMemory = async (): Promise<number> =>
      ((await (await fetch(`${forgetful.url}/status`)).json()) as { sessions: number }).sessions;
    const [idle, streaming] = [await connect(`${forgetful.url}/a/mcp`), await connect(`${forgetful.url}/a/mcp`)];
    const events = new EventReader(await streaming.fetch("GET"));
    await events.until("\n\n");
    expect(await inMemory()).toBe(2);
    while ((await inMemory()) !== 1) await Bun.sleep(250);
    expect(await idle.call("echo", { text: "back" })).toBe("back");
    expect(await inMemory()).toBe(2);
    // 0.0004 days are 35 s.
    const status = async (): Promise<number> => (await idle.send({ jsonrpc: "2.0", id: 1, method: "ping" })).status;
    while ((await status()) === 200) await Bun.sleep(1_000);
    expect(await status()).toBe(404);
    expect((await idle.fetch("DELETE")).status).toBe(404);
    await events.close();
  },
  TEST_MS,
);

/**
 * Whether the proxy still holds its end of a connection. The socket here cannot tell while nobody reads: the end of the
 * stream stands behind what is unread.
 */
function held(serverPort: number, clientPort: number | undefined): boolean {
  const address = (port = 0): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  // Columns of /proc/net/tcp: number, local and remote address, state, of which 01 is "established".
  const wanted = ` ${address(serverPort)} ${address(clientPort)} 01 `;
  return readFileSync("/proc/net/tcp", "utf8").includes(wanted);
}

for (const Accept of ["application/json", "text/event-stream", "application/json, text/event-stream"]) {
  test.concurrent(
    `an answer that nobody reads does not hold its connection for ever (${Accept})`,
    async () => {
      const big = {
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "big", arguments: { characters: 2 ** 23 } },
      };
      const socket = await dial(unread.port);
      socket.pause();
      socket.on("error", () => undefined);
      socket.write(post("/a/mcp", big, { Accept, Connection: "keep-alive" }));
      expect(held(unread.port, socket.localPort)).toBeTrue();
      await until("it is closed", () => !held(unread.port, socket.localPort), 75_000);
      socket.destroy();
    },
    TEST_MS,
  );
}
