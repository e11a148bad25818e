import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { Launched, Place, faulty } from "../daemon/launch.ts";
import { EventReader, HttpClient, connect } from "../http/client.ts";
import { dial, post, request } from "../http/raw.ts";
import { until } from "../upstream/processes.ts";
import { childrenOf, descriptorsOf, memoryOf } from "./footprint.ts";
import { Ledger } from "./ledger.ts";

const VANISHING = 1_000;
const FLOOD = 100_000;
const MEGABYTE = 1024 * 1024;
/** Ten seconds after the load all is as before. */
const SETTLED_MS = 10_000;
/** Where nothing happens any more, the runtime looks only every 30 s for memory that it can give back. */
const GIVEN_BACK_MS = 40_000;

describe("clients that misbehave leave nothing behind:", () => {
  const place = new Place();
  const ledger = new Ledger(place.file("ledger"));
  let proxy: Launched;
  let port: number;
  let client: HttpClient;
  let before: { children: number; descriptors: number; memory: number };

  beforeAll(async () => {
    place.write({ it: faulty({ FAULT_LEDGER: ledger.file }) }, { stateless: true });
    proxy = await Launched.up(place);
    port = Number(new URL(proxy.url).port);
    client = await connect(`${proxy.url}/it/mcp`);
    // Once through everything: what the runtime allocates once for all is not counted.
    await vanish(VANISHING);
    for (let n = 0; n < 2_000; n++) await client.call("nonce", { nonce: String(n) });
    await client.call("flood", { times: 20_000 });
    await Bun.sleep(2_000);
    const { pid } = proxy.process;
    before = { children: childrenOf(pid).length, descriptors: descriptorsOf(pid), memory: await lowestMemory(pid) };
  }, 90_000);
  afterAll(async () => {
    await proxy.stop();
    place[Symbol.dispose]();
  });
  /** Clients that leave in the middle: of a call, of a stream, of their own words. */
  async function vanish(count: number): Promise<void> {
    const call = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "hang", arguments: {} },
    });
    const session = String(client.session);
    const kinds = [
      post("/it/mcp", call),
      request("GET /it/mcp", { Accept: "text/event-stream", "Mcp-Session-Id": session }),
      post("/it/mcp", call).slice(0, -10),
      "POST /it/mcp HTTP/1.1\r\nHost: 127.",
    ];
    for (let sent = 0; sent < count; sent += 100) {
      const hung = ledger.count("hang");
      const sockets = await Promise.all(Array.from({ length: 100 }, () => dial(port)));
      await Promise.all(
        sockets.map(async (socket, n) => {
          socket.on("error", () => undefined);
          await new Promise<void>((resolve) => void socket.write(kinds[n % kinds.length] ?? "", () => resolve()));
        }),
      );
      // A reset takes back what the other side has not read yet.
      await until("their calls have reached the server", () => ledger.count("hang") >= hung + 25);
      for (const [n, socket] of sockets.entries()) {
        if (n % 2 === 0) socket.resetAndDestroy();
        else socket.destroy();
      }
    }
  }

  async function asBefore(): Promise<void> {
    const { pid } = proxy.process;
    expect(await client.call("nonce", { nonce: "well" })).toBe("well");
    await until("processes as before", () => childrenOf(pid).length === before.children, SETTLED_MS);
    await until("descriptors as before", () => descriptorsOf(pid) <= before.descriptors + 3, SETTLED_MS);
    const deadline = Date.now() + GIVEN_BACK_MS;
    for (;;) {
      const more = memoryOf(pid) - before.memory;
      if (more < 20 * MEGABYTE) return;
      if (Date.now() > deadline) throw new Error(`${Math.round(more / MEGABYTE)} MB more than before`);
      await Bun.sleep(200);
    }
  }

  test("a thousand that vanish in the middle of a call, a stream, a body, a header", async () => {
    await vanish(VANISHING);
    await asBefore();
    const { servers } = (await (await fetch(`${proxy.url}/status`)).json()) as { servers: Record<string, object> };
    expect(servers["it"]).toMatchObject({ state: "ready", restarts: 0 });
  }, 90_000);

  test("fifty that never read what they asked for", async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => dial(port)));
    for (const socket of sockets) {
      socket.on("error", () => undefined);
      socket.pause();
      socket.write(request("GET /it/mcp", { Accept: "text/event-stream", "Mcp-Session-Id": await sessionOf() }));
    }
    const reader = await connect(client.url);
    const events = new EventReader(await reader.fetch("GET"));
    await events.until("\n\n");
    for (let n = 0; n < 5; n++) {
      events.text = "";
      await client.call("flood", { times: 2_000, characters: 1_000, later: true });
      await events.until('"data":"1 fff');
    }
    await events.close();
    // What 50 clients did not read would be 500 MB.
    expect(memoryOf(proxy.process.pid) - before.memory).toBeLessThan(250 * MEGABYTE);
    for (const socket of sockets) socket.destroy();
    await asBefore();
  }, 90_000);

  test("two hundred that send headers or bodies byte by byte, and the others are served meanwhile", async () => {
    const slow = await Promise.all(Array.from({ length: 200 }, () => dial(port)));
    const text = post("/it/mcp", { jsonrpc: "2.0", id: 1, method: "ping" });
    const starts = [10, text.indexOf("\r\n\r\n") + 6];
    slow.forEach((socket, n) => {
      socket.on("error", () => undefined);
      socket.write(text.slice(0, starts[n % 2]));
    });
    for (let n = 0; n < 20; n++) {
      slow.forEach((socket, m) => void socket.write(text[(starts[m % 2] ?? 0) + n] ?? ""));
      const asked = performance.now();
      expect(await client.call("nonce", { nonce: `n${n}` })).toBe(`n${n}`);
      expect(performance.now() - asked).toBeLessThan(2_000);
    }
    for (const socket of slow) socket.destroy();
    await asBefore();
  }, 90_000);

  test("a flood of 100,000 notifications reaches who reads, harms nobody else, and is forgotten", async () => {
    // As part of a call: all of them, in order, before its answer.
    const { messages } = await client.request("tools/call", {
      name: "flood",
      arguments: { times: FLOOD, characters: 20 },
    });
    expect(messages).toHaveLength(FLOOD + 1);
    const counted = messages.slice(0, -1).map(({ params }) => Number.parseInt(String(params?.["data"]), 10));
    expect(counted.every((left, n) => left === FLOOD - n)).toBe(true);
    // Outside calls: to every session, of which ten do not read.
    const reader = await connect(client.url);
    const events = new EventReader(await reader.fetch("GET"));
    await events.until("\n\n");
    const lazy: Socket[] = await Promise.all(Array.from({ length: 10 }, () => dial(port)));
    for (const socket of lazy) {
      socket.on("error", () => undefined);
      socket.pause();
      socket.write(request("GET /it/mcp", { Accept: "text/event-stream", "Mcp-Session-Id": await sessionOf() }));
    }
    await client.call("flood", { times: FLOOD, characters: 20, later: true });
    await reader.call("nonce", { nonce: "between" });
    await events.until(`"data":"1 ${"f".repeat(20)}"`);
    await events.close();
    for (const socket of lazy) socket.destroy();
    await asBefore();
  }, 120_000);

  async function sessionOf(): Promise<string> {
    const made = new HttpClient(client.url);
    await made.initialize();
    return String(made.session);
  }
});

async function lowestMemory(pid: number): Promise<number> {
  let least = Infinity;
  for (let n = 0; n < 5; n++) {
    least = Math.min(least, memoryOf(pid));
    await Bun.sleep(100);
  }
  return least;
}
