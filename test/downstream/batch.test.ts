import { afterAll, beforeAll, expect, test } from "bun:test";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { HttpClient } from "../http/client.ts";
import type { RpcMessage } from "../http/client.ts";
import { RawClient } from "../relay/raw-client.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";

const server = new RelayServer();
let end: RelayStdio;
let proxy: RunningProxy;

beforeAll(async () => {
  end = new RelayStdio(server);
  proxy = await startProxy({ it: { ...end.entry, isolation: "shared" } }, { mcpProxy: { stateless: true } });
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await end[Symbol.asyncDispose]();
});

async function connect(version = "2025-03-26", capabilities = {}): Promise<HttpClient> {
  const client = new HttpClient(`${proxy.url}/it/mcp`);
  await client.initialize({ protocolVersion: version, capabilities });
  return client;
}

const call = (id: unknown, tool: string, meta = {}): object => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name: tool, arguments: {}, _meta: meta },
});

test("a batch is answered with one: each request its answer, notifications none", async () => {
  const client = await connect();
  const answer = client.send([
    call(1, "slow"),
    { jsonrpc: "2.0", method: "notifications/acme/in-batch" },
    { jsonrpc: "2.0", id: "1", method: "ping" },
  ]);
  await server.notification("notifications/acme/in-batch");
  (await server.call("slow")).result('{"n":1.0}');
  const { status, headers, text } = await answer;
  expect([status, headers.get("content-type")]).toEqual([200, "application/json"]);
  const answers = JSON.parse(text) as RpcMessage[];
  expect(answers).toHaveLength(2);
  expect(answers).toContainEqual({ jsonrpc: "2.0", id: "1", result: {} } as RpcMessage);
  expect(text).toContain('{"jsonrpc":"2.0","id":1,"result":{"n":1.0}}');
});

test("once something comes before an answer, it is a stream with a message in each event", async () => {
  const client = await connect();
  const answer = client.send([call(1, "talks", { progressToken: "t" }), call(2, "silent")]);
  (await server.call("silent")).result('{"first":1}');
  const talks = await server.call("talks");
  talks.progress('"progress":1');
  talks.result('{"second":2}');
  const { headers, messages } = await answer;
  expect(headers.get("content-type")).toStartWith("text/event-stream");
  expect(messages.map((message) => String(message.method ?? message.id)).sort()).toEqual([
    "1",
    "2",
    "notifications/progress",
  ]);
});

test("answers to questions may come as a batch, which is 202", async () => {
  const raw = await RawClient.open(`${proxy.url}/it/mcp`, { version: "2025-03-26", capabilities: '{"sampling":{}}' });
  const inbox = raw.call("asks");
  const asks = await server.call("asks");
  const replies = ["q1", "q2"].map((id) => asks.ask("sampling/createMessage", `{"of":"${id}"}`, `"${id}"`));
  const questions = await Promise.all(
    ["q1", "q2"].map((id) => inbox.first((_, text) => text.includes(`"of":"${id}"`))),
  );
  const batch = raw.post(
    JSON.stringify(questions.map(({ message }) => ({ jsonrpc: "2.0", id: message.id, result: {} }))),
  );
  await batch.ended();
  expect([await batch.status(), batch.said]).toEqual([202, []]);
  await Promise.all(replies);
  asks.result("{}");
  await inbox.answer();
  await raw.end();
});

test("what is no message in a batch is answered for itself", async () => {
  const client = await connect();
  const { status, text } = await client.send([{ jsonrpc: "2.0", id: 1, method: "ping" }, 1, { jsonrpc: "1.0" }]);
  expect(status).toBe(200);
  const answers = JSON.parse(text) as RpcMessage[];
  expect(answers.filter(({ id }) => id === null)).toHaveLength(2);
  expect(answers.filter(({ error }) => error?.code === -32600)).toHaveLength(2);
});

test("without a session it is answered where requests without one are", async () => {
  const client = new HttpClient(`${proxy.url}/it/mcp`);
  const { text } = await client.send([{ jsonrpc: "2.0", id: 1, method: "ping" }]);
  expect(JSON.parse(text)).toEqual([{ jsonrpc: "2.0", id: 1, result: {} }]);
  expect(
    (await client.send([{ jsonrpc: "2.0", id: 1, method: "ping" }], { "MCP-Protocol-Version": "2025-06-18" })).status,
  ).toBe(400);
});

test("is 400 in every other version, empty, too large, or with an initialize in it", async () => {
  const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
  for (const version of ["2024-11-05", "2025-06-18", "2025-11-25"]) {
    const { status, last } = await (await connect(version)).send([ping]);
    expect([version, status, last.error?.code]).toEqual([version, 400, -32600]);
  }
  const client = await connect();
  const bad = [[], Array.from({ length: 257 }, () => ping), [{ ...ping, method: "initialize", params: {} }]];
  for (const batch of bad) expect((await client.send(batch)).status).toBe(400);
  const half = await client.send('[{"jsonrpc":"2.0","id":1,"method":"ping"},');
  expect([half.status, half.last.error?.code]).toEqual([400, -32700]);
});

test("over HTTP+SSE its answers come one by one on the stream", async () => {
  const raw = await RawClient.open(`${proxy.url}/it/sse`, { version: "2025-03-26" });
  const outside = await raw.listen();
  const response = await fetch(raw.session, {
    method: "POST",
    body: JSON.stringify([{ jsonrpc: "2.0", method: "notifications/acme/sse-batch" }, call("b1", "in-sse-batch")]),
    headers: { "content-type": "application/json" },
  });
  expect(response.status).toBe(202);
  await server.notification("notifications/acme/sse-batch");
  const asked = await server.call("in-sse-batch");
  asked.say('{"jsonrpc":"2.0","method":"notifications/acme/said"}');
  await outside.method("notifications/acme/said");
  asked.result("{}");
  await raw.end();
});
