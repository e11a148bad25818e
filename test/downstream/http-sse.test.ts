import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { EventReader, INITIALIZE, connect } from "../http/client.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient } from "../relay/raw-client.ts";

const ONE = "token-of-one-0123456789";
const TWO = "token-of-two-0123456789";
const server = new RelayServer();
let end: RelayStdio;
let proxy: RunningProxy;

beforeAll(async () => {
  end = new RelayStdio(server);
  proxy = await startProxy(
    {
      it: end.entry,
      other: end.entry,
      locked: { ...end.entry, options: { authTokens: [ONE, TWO] } },
      "fetch/secret key": end.entry,
      block: { ...end.entry, options: { toolFilter: { mode: "block", list: ["echo"] } } },
    },
    { mcpProxy: { stateless: false } },
  );
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await end[Symbol.asyncDispose]();
});

interface Open {
  readonly events: EventReader;
  readonly endpoint: string;
  readonly close: () => void;
}

async function open(path: string, token?: string, from = proxy): Promise<Open> {
  const abort = new AbortController();
  const headers = { accept: "text/event-stream", ...authorization(token) };
  const response = await fetch(from.url + path, { headers, signal: abort.signal });
  if (response.status !== 200) throw new Error(`HTTP ${response.status}`);
  const events = new EventReader(response);
  await events.until("\n\n");
  return {
    events,
    endpoint: /^event: endpoint\ndata: (.*)\n\n/.exec(events.text)?.[1] ?? "",
    close: () => abort.abort(),
  };
}

function authorization(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

function post(endpoint: string, body: unknown, token?: string, type = "application/json"): Promise<Response> {
  return fetch(new URL(endpoint, proxy.url), {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": type, ...authorization(token) },
  });
}

test("a client that asks which era is spoken learns that it is the older one, and goes on", async () => {
  const { events, endpoint, close } = await open("/it/sse");
  const discover = { jsonrpc: "2.0", id: "era", method: "server/discover", params: { _meta: {} } };
  expect((await post(endpoint, discover)).status).toBe(202);
  await events.until('"id":"era","error":{"code":-32601');
  await post(endpoint, INITIALIZE);
  await events.until('"protocolVersion":');
  close();
});

describe("the stream names where to post", () => {
  const layouts = [
    ["/it/sse", /^\/it\/message\?sessionId=[\w-]{32,}$/],
    ["/it/sse/", /^\/it\/message\?sessionId=[\w-]{32,}$/],
    ["/servers/it/sse", /^\/servers\/it\/messages\/\?session_id=[\w-]{32,}$/],
    ["/fetch/secret%20key/sse", /^\/fetch\/secret%20key\/message\?sessionId=[\w-]{32,}$/],
  ] as const;
  for (const [path, expected] of layouts) {
    test(`in the layout of ${path}, and every layout is accepted`, async () => {
      const { events, endpoint, close } = await open(path);
      expect(endpoint).toMatch(expected);
      const id = endpoint.slice(endpoint.indexOf("=") + 1);
      const name = path.includes("fetch") ? "fetch/secret%20key" : "it";
      const places = [
        `/${name}/message?sessionId=`,
        `/${name}/messages/?session_id=`,
        `/servers/${name}/messages/?session_id=`,
        `/servers/${name}/message?session_id=`,
        endpoint.slice(0, -id.length),
      ];
      const first = await post(endpoint, INITIALIZE);
      expect([first.status, await first.text()]).toEqual([202, "Accepted"]);
      await events.until('"protocolVersion"');
      for (const [n, place] of places.entries()) {
        const response = await post(place + id, { jsonrpc: "2.0", id: `p${n}`, method: "ping" });
        expect([place, response.status]).toEqual([place, 202]);
        await events.until(`"id":"p${n}","result":{}`);
      }
      close();
    });
  }

  test("below the path of baseURL and of pathPrefix", async () => {
    await using below = await startProxy(
      { it: end.entry },
      { mcpProxy: { baseURL: "https://mcp.example.com/x/", pathPrefix: "/p" } },
    );
    for (const path of ["/x/p/it/sse", "/p/it/sse"]) {
      const { endpoint, close } = await open(path, undefined, below);
      expect(endpoint).toStartWith("/x/p/it/message?sessionId=");
      const response = await fetch(new URL(endpoint, below.url), {
        method: "POST",
        body: JSON.stringify(INITIALIZE),
        headers: { "content-type": "application/json" },
      });
      expect(response.status).toBe(202);
      close();
    }
    expect((await fetch(`${below.url}/it/sse`)).status).toBe(404);
  });
});

describe("a session", () => {
  test("serves only who opened its stream, on its own endpoint", async () => {
    const { events, endpoint, close } = await open("/locked/sse", ONE);
    const id = endpoint.slice(endpoint.indexOf("=") + 1);
    expect((await post(endpoint, INITIALIZE, TWO)).status).toBe(404);
    expect((await post(endpoint, INITIALIZE)).status).toBe(401);
    expect((await post(`/it/message?sessionId=${id}`, INITIALIZE)).status).toBe(404);
    expect((await post(endpoint, INITIALIZE, ONE)).status).toBe(202);
    await events.until('"protocolVersion"');
    close();
    expect((await fetch(`${proxy.url}/locked/sse`)).status).toBe(401);
  });

  test("is no session of Streamable HTTP, nor one of those one of these", async () => {
    const { events, endpoint, close } = await open("/it/sse");
    const id = endpoint.slice(endpoint.indexOf("=") + 1);
    await post(endpoint, INITIALIZE);
    await events.until('"protocolVersion"');
    const streamable = await connect(`${proxy.url}/it/mcp`);
    expect(
      (await post(`/it/message?sessionId=${encodeURIComponent(streamable.session ?? "")}`, INITIALIZE)).status,
    ).toBe(404);
    streamable.session = id;
    expect((await streamable.request("ping")).status).toBe(404);
    close();
  });

  test("ends with its stream: what was in flight is cancelled, and its place to post is gone", async () => {
    const raw = await RawClient.open(`${proxy.url}/it/sse`);
    raw.call("left-behind");
    const call = await server.call("left-behind");
    raw.vanish();
    await server.notification(
      "notifications/cancelled",
      ({ params }) => JSON.stringify(params?.["requestId"]) === call.id,
    );
    const response = await fetch(raw.session, {
      method: "POST",
      body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      headers: { "content-type": "application/json" },
    });
    expect(response.status).toBe(404);
  });

  test("survives a second one of the same client, and each gets its own answers", async () => {
    const [first, second] = await Promise.all([
      RawClient.open(`${proxy.url}/it/sse`),
      RawClient.open(`${proxy.url}/it/sse`),
    ]);
    const inboxes = [first.call("which", '{"n":1}', "1"), second.call("which", '{"n":2}', "1")];
    for (let i = 0; i < 2; i++) {
      const call = await server.call("which");
      call.result(JSON.stringify(call.message.params?.["arguments"]));
    }
    const answers = await Promise.all(inboxes.map((inbox) => inbox.answer()));
    expect(answers.map(({ message }) => message.result)).toEqual([{ n: 1 }, { n: 2 }]);
    first.vanish();
    expect((await second.request("ping").answer()).message.result).toEqual({});
    await second.end();
  });

  test("a client takes its request back, and no answer comes", async () => {
    const raw = await RawClient.open(`${proxy.url}/it/sse`);
    const inbox = raw.call("taken-back", "{}", '"x"');
    const call = await server.call("taken-back");
    await raw.notify("notifications/cancelled", '{"requestId":"x"}');
    await server.notification(
      "notifications/cancelled",
      ({ params }) => JSON.stringify(params?.["requestId"]) === call.id,
    );
    call.result("{}");
    await raw.request("ping", "{}", "2").answer();
    expect(inbox.said).toEqual([]);
    await raw.end();
  });

  test("has the tool filter of its server", async () => {
    const raw = await RawClient.open(`${proxy.url}/block/sse`);
    expect((await raw.request("tools/list").answer()).message.result).toEqual({ tools: [] });
    expect((await raw.call("echo").answer()).message.error).toEqual({ code: -32602, message: "Unknown tool: echo" });
    await raw.end();
  });
});

describe("a post is refused", () => {
  test("where something about it is wrong, in words and with the status that says it", async () => {
    const { events, endpoint, close } = await open("/it/sse");
    const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
    const rows: [Promise<Response>, number, number][] = [
      [post("/it/message", ping), 400, -32000],
      [post("/it/message?sessionId=", ping), 404, -32001],
      [post("/it/message?sessionId=00000000-0000-0000-0000-000000000000", ping), 404, -32001],
      [post("/it/message?sessionId=__proto__", ping), 404, -32001],
      [post(endpoint, ping, undefined, "text/plain"), 415, -32000],
      [post(endpoint, "{"), 400, -32700],
      [post(endpoint, '{"jsonrpc":"2.0"}'), 400, -32600],
      [post(endpoint, "[]"), 400, -32600],
      [post(endpoint, [ping]), 400, -32600],
      [post(endpoint, "x".repeat(5 * 1024 * 1024)), 413, -32000],
      [fetch(`${proxy.url}/it/sse`, { method: "POST", body: "{}" }), 405, -32000],
      [fetch(proxy.url + endpoint), 405, -32000],
      [fetch(`${proxy.url}/it/sse`, { headers: { accept: "application/json" } }), 406, -32000],
    ];
    for (const [index, [response, status, code]] of rows.entries()) {
      const answer = await response;
      expect([index, answer.status]).toEqual([index, status]);
      expect(((await answer.json()) as { error: { code: number } }).error.code).toBe(code);
    }
    // And what comes before `initialize` is answered with an error, on the stream.
    expect((await post(endpoint, ping)).status).toBe(202);
    await events.until('"id":1,"error":{"code":-32000');
    await post(endpoint, INITIALIZE);
    await events.until('"protocolVersion"');
    await post(endpoint, { ...INITIALIZE, id: 9 });
    await events.until('"id":9,"error"');
    close();
  });
});

describe("type", () => {
  const kinds = [
    ["sse", 200, 404],
    ["streamable-http", 404, 200],
    [undefined, 200, 200],
  ] as const;
  for (const [type, sse, mcp] of kinds) {
    test(`${type ?? "absent"} serves that kind of endpoint${type === undefined ? "s, both" : " only"}`, async () => {
      await using only = await startProxy({ it: end.entry }, { mcpProxy: type === undefined ? {} : { type } });
      const abort = new AbortController();
      const stream = await fetch(`${only.url}/it/sse`, {
        headers: { accept: "text/event-stream" },
        signal: abort.signal,
      });
      expect(stream.status).toBe(sse);
      abort.abort();
      for (const path of ["/it/mcp", "/it", "/servers/it/mcp"]) {
        const response = await fetch(only.url + path, {
          method: "POST",
          body: JSON.stringify(INITIALIZE),
          headers: { "content-type": "application/json" },
        });
        expect([path, response.status]).toEqual([path, mcp]);
      }
    });
  }
});
