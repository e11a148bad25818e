import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { EventReader, HttpClient } from "../http/client.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";

const server = new RelayServer();
let end: RelayStdio;
let proxy: RunningProxy;
const clients: HttpClient[] = [];

beforeAll(async () => {
  end = new RelayStdio(server);
  const tokens = { options: { authTokens: ["token-of-one-0123456789", "token-of-two-0123456789"] } };
  proxy = await startProxy(
    { it: { ...end.entry, isolation: "shared" }, locked: { ...end.entry, ...tokens } },
    { mcpProxy: { replayEvents: 5, replayBytes: 2_000 } },
  );
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await end[Symbol.asyncDispose]();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.fetch("DELETE")));
});

async function connect(version = "2025-11-25", headers: Record<string, string> = {}, name = "it"): Promise<HttpClient> {
  const client = new HttpClient(`${proxy.url}/${name}/mcp`, headers);
  await client.initialize({ protocolVersion: version });
  clients.push(client);
  return client;
}

/** Begins a call that makes progress, and loses its stream after `n` events. */
async function lose(
  client: HttpClient,
  tool: string,
  n: number,
): Promise<{ ids: string[]; call: Awaited<ReturnType<RelayServer["call"]>> }> {
  const abort = new AbortController();
  const body = `{"jsonrpc":"2.0","id":"${tool}","method":"tools/call","params":{"name":"${tool}","_meta":{"progressToken":1}}}`;
  const response = fetch(client.url, {
    method: "POST",
    body,
    signal: abort.signal,
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-session-id": client.session ?? "",
      ...client.headers,
    },
  });
  const call = await server.call(tool);
  for (let i = 1; i <= n; i++) call.progress(`"progress":${i}`);
  const events = new EventReader(await response);
  await events.until(`"progress":${n}`);
  abort.abort();
  return { ids: idsOf(events.text), call };
}

const idsOf = (text: string): string[] => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? "");
const resume = (client: HttpClient, id: string): Promise<Response> =>
  client.fetch("GET", undefined, { "Last-Event-ID": id });

describe("a call whose stream is lost", () => {
  test("is taken up after the last event, to its answer, and ends with that", async () => {
    const client = await connect();
    const { ids, call } = await lose(client, "a", 2);
    call.progress('"progress":3');
    const again = new EventReader(await resume(client, ids.at(-1) ?? ""));
    await again.until('"progress":3');
    call.progress('"progress":4');
    call.result('{"done":1.0}');
    const rest = await again.rest();
    expect(rest).toContain('data: {"jsonrpc":"2.0","id":"a","result":{"done":1.0}}');
    expect([...rest.matchAll(/"progress":(\d)/g)].map(([, n]) => n)).toEqual(["3", "4"]);
  });

  test("is taken up also when the answer was there before the client came back, as often as it likes", async () => {
    const client = await connect();
    const { ids, call } = await lose(client, "b", 1);
    call.result('{"late":true}');
    for (let time = 0; time < 2; time++) {
      const rest = await new EventReader(await resume(client, ids.at(-1) ?? "")).rest();
      expect(rest).toContain('"id":"b","result":{"late":true}');
      expect(rest).not.toContain('"progress":1');
    }
  });

  test("is taken up from its first event on, which clients of 2025-11-25 get with nothing in it", async () => {
    const client = await connect();
    const { ids, call } = await lose(client, "c", 2);
    expect(ids).toHaveLength(3);
    call.result("{}");
    const rest = await new EventReader(await resume(client, ids[0] ?? "")).rest();
    expect([...rest.matchAll(/"progress":(\d)/g)].map(([, n]) => n)).toEqual(["1", "2"]);
  });

  test("of an older client begins with the first message: an event with nothing in it is no JSON to it", async () => {
    const client = await connect("2025-06-18");
    const { ids, call } = await lose(client, "d", 1);
    expect(ids).toHaveLength(1);
    call.result("{}");
    expect(await new EventReader(await resume(client, ids[0] ?? "")).rest()).toContain('"id":"d","result":{}');
  });

  test("has forgotten what the limits push out, and keeps the newest", async () => {
    const client = await connect();
    const { ids, call } = await lose(client, "e", 1);
    for (let i = 2; i <= 20; i++) call.progress(`"progress":${i}`);
    call.result("{}");
    // What the child says later is read later.
    await client.call("echo");
    const rest = await new EventReader(await resume(client, ids.at(-1) ?? "")).rest();
    expect([...rest.matchAll(/"progress":(\d+)/g)].map(([, n]) => n)).toEqual(["17", "18", "19", "20"]);
    expect(rest).toContain('"result":{}');
    const { ids: more, call: large } = await lose(client, "f", 1);
    large.progress(`"progress":2,"message":"${"x".repeat(3_000)}"`);
    large.result('{"small":1}');
    await client.call("echo");
    const kept = await new EventReader(await resume(client, more.at(-1) ?? "")).rest();
    expect(kept).not.toContain("xxx");
    expect(kept).toContain('{"small":1}');
  });
});

describe("the stream of a session", () => {
  test("is taken up with what was said meanwhile, once", async () => {
    const client = await connect();
    const abort = new AbortController();
    const headers = { accept: "text/event-stream", "mcp-session-id": client.session ?? "" };
    const first = new EventReader(await fetch(client.url, { headers, signal: abort.signal }));
    const peer = { say: (text: string) => server.peers.forEach((each) => each.say(text)) };
    peer.say('{"jsonrpc":"2.0","method":"notifications/acme/n","params":{"n":1}}');
    await first.until('"n":1');
    abort.abort();
    peer.say('{"jsonrpc":"2.0","method":"notifications/acme/n","params":{"n":2}}');
    const second = new EventReader(await resume(client, idsOf(first.text).at(-1) ?? ""));
    await second.until('"n":2');
    peer.say('{"jsonrpc":"2.0","method":"notifications/acme/n","params":{"n":3}}');
    await second.until('"n":3');
    expect([...second.text.matchAll(/"n":(\d)/g)].map(([, n]) => n)).toEqual(["2", "3"]);
    expect(new Set(idsOf(second.text)).size).toBe(idsOf(second.text).length);
  });
});

describe("an id that is", () => {
  /** Opens a stream with an id and shows that nothing comes but what is said from then on. */
  async function bringsNothing(client: HttpClient, id: string): Promise<void> {
    const response = await resume(client, id);
    expect([id, response.status]).toEqual([id, 200]);
    const events = new EventReader(response);
    for (const peer of server.peers) peer.say('{"jsonrpc":"2.0","method":"notifications/acme/mark"}');
    await events.until("acme/mark");
    expect(events.text).not.toContain("progress");
    expect(events.text).not.toContain("result");
  }

  test("forged or no id at all opens a stream like any other", async () => {
    const client = await connect();
    const { ids, call } = await lose(client, "g", 2);
    call.result("{}");
    const [life = ""] = (ids[0] ?? "").split("-");
    const forged = [
      "",
      "0",
      "x",
      "-",
      life,
      `${life}-1`,
      `${life}-99-0`,
      `${life}-1-1e3`,
      `${life}x-1-0`,
      "-1-0",
      `${life}-1-0-0`,
      `${life}--1-0`,
      "9".repeat(5_000),
      `${life}-${"9".repeat(15)}-0`,
      "*",
      "%00",
    ];
    for (const id of forged) await bringsNothing(client, id);
  });

  test("another session's brings nothing of that session", async () => {
    const [mine, other] = [await connect(), await connect()];
    const { ids, call } = await lose(other, "h", 2);
    call.result('{"secret":1}');
    await bringsNothing(mine, ids[0] ?? "");
    expect(await new EventReader(await resume(other, ids[0] ?? "")).rest()).toContain("secret");
  });

  test("another principal's finds no session", async () => {
    const one = await connect("2025-11-25", { Authorization: "Bearer token-of-one-0123456789" }, "locked");
    const { ids, call } = await lose(one, "i", 1);
    call.result('{"secret":1}');
    const two = new HttpClient(one.url, { Authorization: "Bearer token-of-two-0123456789" });
    two.session = one.session;
    expect((await resume(two, ids[0] ?? "")).status).toBe(404);
  });

  test("of an ended session is 404 with it", async () => {
    const client = await connect();
    const { ids, call } = await lose(client, "j", 1);
    await client.fetch("DELETE");
    expect((await resume(client, ids[0] ?? "")).status).toBe(404);
    call.result("{}");
  });
});
