import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import type { Socket } from "node:net";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { until } from "../upstream/processes.ts";
import { EventReader, HttpClient, connect, readAnswer, tools } from "../http/client.ts";
import { dial, post, request } from "../http/raw.ts";

const MB = 2 ** 20;

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startProxy({ a: tools() }, { mcpProxy: { stateless: true, drainSeconds: 1 } });
});
afterAll(() => proxy[Symbol.asyncDispose]());

const memory = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${proxy.process.pid}/status`, "utf8"))?.[1]) * 1_024;
const sockets = (): number => readdirSync(`/proc/${proxy.process.pid}/fd`).length;

const TALK = JSON.stringify({ jsonrpc: "2.0", id: "t", method: "tools/call", params: { name: "talk" } });

describe("an answer is", () => {
  test("plain JSON when it is the first thing to say", async () => {
    const client = await connect(`${proxy.url}/a/mcp`);
    const answer = await client.request("tools/call", { name: "echo", arguments: { text: "x" } });
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.messages).toHaveLength(1);
  });
  test("a stream when something comes before it, in order, which ends with it", async () => {
    const client = await connect(`${proxy.url}/a/mcp`);
    const answer = await client.send(TALK);
    expect(answer.headers.get("content-type")).toStartWith("text/event-stream");
    expect(answer.headers.get("cache-control")).toContain("no-");
    expect(answer.messages.map((message) => message.method ?? message.id)).toEqual(["notifications/message", "t"]);
  });
  test("plain JSON for who accepts no stream; what came before is on the GET stream", async () => {
    const client = await connect(`${proxy.url}/a/mcp`);
    const answer = await client.send(TALK, { Accept: "application/json" });
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.last.id).toBe("t");
    const events = new EventReader(await client.fetch("GET"));
    await events.until("before the answer");
    await events.close();
  });
  test("a stream for who accepts only that", async () => {
    const client = await connect(`${proxy.url}/a/mcp`);
    const answer = await client.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }), {
      Accept: "text/event-stream",
    });
    expect(answer.headers.get("content-type")).toStartWith("text/event-stream");
    expect(answer.messages).toEqual([{ jsonrpc: "2.0", id: 1, result: {} } as never]);
  });
  test("whole when it has 8 MB, as JSON and as an event", async () => {
    const client = await connect(`${proxy.url}/a/mcp`);
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "big", arguments: { characters: 8 * MB } },
    });
    for (const accept of ["application/json", "text/event-stream"]) {
      const answer = await client.send(body, { Accept: accept });
      const content = answer.last.result?.["content"] as { text: string }[] | undefined;
      expect(content?.[0]?.text.length).toBe(8 * MB);
    }
  });
  test("an error message in JSON when no session and no stream was opened", async () => {
    const answer = await readAnswer(await new HttpClient(`${proxy.url}/a/mcp`).fetch("POST", "{}"));
    expect(answer.headers.get("content-type")).toBe("application/json");
  });
});

/** A socket that has sent a request and reads nothing of the answer. */
async function deaf(text: string): Promise<Socket> {
  const socket = await dial(proxy.port);
  socket.pause();
  socket.on("error", () => undefined);
  socket.write(text);
  return socket;
}

describe("a client that never reads", () => {
  test("costs a bounded amount of memory, while others get everything", async () => {
    const [silent, reader, speaker] = (await Promise.all([1, 2, 3].map(() => connect(`${proxy.url}/a/mcp`)))) as [
      HttpClient,
      HttpClient,
      HttpClient,
    ];
    const socket = await deaf(
      request("GET /a/mcp", {
        Accept: "text/event-stream",
        Connection: "keep-alive",
        "Mcp-Session-Id": silent.session ?? "",
      }),
    );
    const events = new EventReader(await reader.fetch("GET"));
    await events.until("\n\n");
    const before = memory();
    for (let round = 0; round < 40; round++) {
      await speaker.call("shout", { characters: 8 * MB, times: 1 });
      await events.until('"}}\n\n');
      expect(events.text.length).toBeGreaterThan(8 * MB);
      events.text = "";
    }
    // 320 MB were said to the deaf one.
    await until("memory is back", () => memory() - before < 200 * MB, 20_000);
    socket.destroy();
    await events.close();
    expect((await silent.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }))).status).toBe(200);
  }, 60_000);
});

describe("clients that vanish", () => {
  test("500 of them, with streams and with calls, leave no socket behind", async () => {
    const client = await connect(`${proxy.url}/a/mcp`);
    const sessions: HttpClient[] = [];
    while (sessions.length < 25) sessions.push(await connect(client.url));
    const before = sockets();
    const open: Socket[] = [];
    for (const { session } of sessions) {
      const own = { "Mcp-Session-Id": session ?? "", Connection: "keep-alive" };
      const texts = [
        request("GET /a/mcp", { ...own, Accept: "text/event-stream" }),
        post("/a/mcp", { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "hang" } }, own),
        request("POST /a/mcp", { ...own, "Content-Type": "application/json", "Content-Length": "1000" }, "{"),
        "GET /a/mcp HT",
      ];
      open.push(...(await Promise.all(Array.from({ length: 20 }, (_, index) => deaf(texts[index % 4] ?? "")))));
    }
    expect(open).toHaveLength(500);
    await until("all have arrived", () => sockets() >= before + 500);
    for (const socket of open) socket.resetAndDestroy();
    await until("all are closed", () => sockets() < before + 20, 20_000);
    expect(await client.call("echo", { text: "still here" })).toBe("still here");
  }, 60_000);

  test("without a session: their call is cancelled at the server, for nothing could bring them the answer", async () => {
    const client = await connect(`${proxy.url}/a/mcp`);
    const gone = await deaf(
      post("/a/mcp", {
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "hang", arguments: { who: "no-session" } },
      }),
    );
    const called = async (): Promise<string | undefined> =>
      (JSON.parse(await client.call("seen")) as string[]).find((line) => line.includes('"who":"no-session"'));
    let line: string | undefined;
    while ((line = await called()) === undefined) await Bun.sleep(20);
    const { id } = JSON.parse(line) as { id: number };
    gone.resetAndDestroy();
    for (;;) {
      const lines = JSON.parse(await client.call("seen")) as string[];
      if (lines.some((text) => text.includes("notifications/cancelled") && text.includes(`"requestId":${id}`))) break;
      await Bun.sleep(20);
    }
  });
});
