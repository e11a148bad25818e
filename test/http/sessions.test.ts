import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { EventReader, HttpClient, connect, readAnswer, tools } from "./client.ts";

const PING = { jsonrpc: "2.0", id: "p", method: "ping" };

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startProxy({ a: tools(), b: tools() }, { mcpProxy: { stateless: false } });
});
afterAll(() => proxy[Symbol.asyncDispose]());

function holding(session: string, server = "a"): HttpClient {
  const client = new HttpClient(`${proxy.url}/${server}/mcp`);
  client.session = session;
  return client;
}

describe("an id that is not a session", () => {
  const change = (id: string, at: number): string =>
    `${id.slice(0, at)}${id[at] === "A" ? "B" : "A"}${id.slice(at + 1)}`;
  const forgeries: Record<string, (id: string) => string> = {
    "made up": () => "550e8400-e29b-41d4-a716-446655440000",
    "of one character": () => "x",
    "changed at its first character": (id) => change(id, 0),
    "changed in its middle": (id) => change(id, Math.floor(id.length / 2)),
    "changed near its end": (id) => change(id, id.length - 3),
    "cut by one character": (id) => id.slice(0, -1),
    "cut to half": (id) => id.slice(0, id.length / 2),
    "with something added": (id) => `${id}A`,
    "with padding": (id) => `${id}=`,
    "in another case": (id) => id.toLowerCase(),
    twice: (id) => id + id,
    "twice with a comma": (id) => `${id}, ${id}`,
    "in quotes": (id) => `"${id}"`,
    "of ten thousand characters": () => "A".repeat(10_000),
    "of an object's own key": () => "__proto__",
  };
  for (const [what, forge] of Object.entries(forgeries)) {
    test(`${what} is 404 on POST, GET and DELETE`, async () => {
      const real = await connect(`${proxy.url}/a/mcp`);
      const forged = holding(forge(real.session ?? ""));
      const post = await forged.send(PING);
      expect([post.status, post.last.id, post.last.error !== undefined]).toEqual([404, "p", true]);
      for (const method of ["GET", "DELETE"]) expect((await readAnswer(await forged.fetch(method))).status).toBe(404);
      expect((await real.send(PING)).status).toBe(200);
    });
  }
  test("of another endpoint is 404 there", async () => {
    const real = await connect(`${proxy.url}/a/mcp`);
    const elsewhere = holding(real.session ?? "", "b");
    expect((await elsewhere.send(PING)).status).toBe(404);
    expect((await readAnswer(await elsewhere.fetch("DELETE"))).status).toBe(404);
    expect((await real.send(PING)).status).toBe(200);
  });
  test("is no obstacle to a new initialize", async () => {
    const client = holding("gone-for-good");
    const { status } = await client.initialize();
    expect(status).toBe(200);
    expect((await client.send(PING)).status).toBe(200);
  });
});

describe("a missing id", () => {
  test("is 400 on POST, GET and DELETE, for requests, notifications and responses", async () => {
    const none = new HttpClient(`${proxy.url}/a/mcp`);
    const answers = [
      await none.send(PING),
      await none.send({ jsonrpc: "2.0", method: "notifications/initialized" }),
      await none.send({ jsonrpc: "2.0", id: 1, result: {} }),
      await readAnswer(await none.fetch("GET")),
      await readAnswer(await none.fetch("DELETE")),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(400);
      expect(answer.last.error?.message).toContain("Mcp-Session-Id");
    }
  });
  test("with `stateless` is answered on the shared connection, but for GET", async () => {
    await using stateless = await startProxy({ a: tools() }, { mcpProxy: { stateless: true } });
    const none = new HttpClient(`${stateless.url}/a/mcp`);
    const list = await none.request("tools/list");
    expect(list.status).toBe(200);
    expect(list.last.result?.["nextCursor"]).toBe("second");
    expect(list.headers.has("mcp-session-id")).toBeFalse();
    expect(await none.call("echo", { text: "no session" })).toBe("no session");
    expect((await readAnswer(await none.fetch("GET"))).status).toBe(400);
    // That is all it changes.
    const client = await connect(none.url);
    expect(await client.call("echo", { text: "session" })).toBe("session");
    client.session = "forged";
    expect((await client.send(PING)).status).toBe(404);
  });
});

describe("DELETE", () => {
  test("is 2xx once, and the id is 404 from then on", async () => {
    const client = await connect(`${proxy.url}/a/mcp`);
    const events = new EventReader(await client.fetch("GET"));
    expect((await client.fetch("DELETE")).ok).toBeTrue();
    expect(await events.rest()).not.toContain("data: ");
    for (const method of ["GET", "DELETE"]) expect((await readAnswer(await client.fetch(method))).status).toBe(404);
    expect((await client.send(PING)).status).toBe(404);
  });
  test("needs no Accept header", async () => {
    const client = await connect(`${proxy.url}/a/mcp`);
    expect((await client.fetch("DELETE", undefined, { Accept: "" })).ok).toBeTrue();
  });
  test("ends only its own session", async () => {
    const [one, two] = [await connect(`${proxy.url}/a/mcp`), await connect(`${proxy.url}/a/mcp`)];
    expect(one.session).not.toBe(two.session);
    await one.fetch("DELETE");
    expect((await two.send(PING)).status).toBe(200);
  });
  test("with a call in flight ends the call and leaves the server usable", async () => {
    const [one, two] = [await connect(`${proxy.url}/a/mcp`), await connect(`${proxy.url}/a/mcp`)];
    const hanging = one.request("tools/call", { name: "hang" });
    // The call has reached the server when it is among what the server has seen.
    while (!(await two.call("seen")).includes('\\"hang\\"') && !(await two.call("seen")).includes('"hang"'))
      await Bun.sleep(10);
    expect((await one.fetch("DELETE")).ok).toBeTrue();
    const answer = await hanging;
    expect(answer.last.error !== undefined || answer.messages.length === 0).toBeTrue();
    expect(await two.call("seen")).toContain("notifications/cancelled");
  });
});

describe("the GET stream", () => {
  test("says something at once, and carries what belongs to no request", async () => {
    const client = await connect(`${proxy.url}/a/mcp`);
    const response = await client.fetch("GET");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toStartWith("text/event-stream");
    expect(response.headers.get("cache-control")).toContain("no-");
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    const events = new EventReader(response);
    await events.until("\n\n");
    await client.call("change");
    await events.until("notifications/tools/list_changed");
    await events.close();
  });
  test("may be opened a second time: what comes is told once", async () => {
    const client = await connect(`${proxy.url}/b/mcp`);
    const [first, second] = [new EventReader(await client.fetch("GET")), new EventReader(await client.fetch("GET"))];
    await Promise.all([first.until("\n\n"), second.until("\n\n")]);
    await client.call("change");
    await Promise.any([first.until("list_changed"), second.until("list_changed")]);
    await client.fetch("DELETE");
    const [one, two] = (await Promise.all([first.rest(), second.rest()].map((each) => each.catch(() => "")))) as [
      string,
      string,
    ];
    expect((one + two).split("tools/list_changed").length - 1).toBe(1);
  });
  test("gets what came while there was none", async () => {
    const client = await connect(`${proxy.url}/a/mcp`);
    await client.call("change");
    const events = new EventReader(await client.fetch("GET"));
    await events.until("notifications/tools/list_changed");
    await events.close();
    const again = new EventReader(await client.fetch("GET"));
    await again.until("\n\n");
    await again.close();
    expect(again.text).not.toContain("list_changed");
  });
});

describe("what a client says of itself", () => {
  test("may be very large and still makes an id that fits into headers, and a session that works", async () => {
    const client = new HttpClient(`${proxy.url}/a/mcp`);
    const big = "€".repeat(50_000);
    await client.initialize({
      clientInfo: { name: big, version: big, title: big, icons: [{ src: big }] },
      capabilities: { sampling: { [big]: {} }, elicitation: {}, experimental: { [big]: { deep: big } } },
    });
    expect(client.session?.length).toBeLessThan(6_000);
    expect(await client.call("echo", { text: "works" })).toBe("works");
  });
  test("is not readable in the id", async () => {
    const client = new HttpClient(`${proxy.url}/a/mcp`);
    await client.initialize({ clientInfo: { name: "recognisable-name", version: "1" } });
    const bytes = Buffer.from(client.session ?? "", "base64url").toString("latin1");
    expect(bytes).not.toContain("recognisable");
  });
  test("does not make two ids alike", async () => {
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => (await connect(`${proxy.url}/a/mcp`)).session),
    );
    expect(new Set(ids).size).toBe(20);
  });
});
