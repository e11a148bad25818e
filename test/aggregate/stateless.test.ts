import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { ModernClient } from "../relay/modern-client.ts";
import type { Posted } from "../relay/modern-client.ts";
import { start } from "../support/bridge.ts";
import { startProxy } from "../support/proxy.ts";
import type { ProxyOptions, RunningProxy } from "../support/proxy.ts";
import { WireHttpServer } from "../fixtures/wire-http-server.ts";

/** Clients of the stateless era at URLs of several servers, of both eras. */

const K = "io.modelcontextprotocol/";
const TOKENS = ["joint-token-number-1", "joint-token-number-2"] as const;

function discovered(
  more: string,
  capabilities = '{"tools":{"listChanged":true},"resources":{"subscribe":true}}',
): string {
  return `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":${capabilities},"_meta":{"${K}serverInfo":{"name":"scripted","version":"8"}},${more}}`;
}

interface Acknowledged {
  readonly notifications: Record<string, unknown>;
}

describe("a stateless client at the URL of several servers", () => {
  let clean: AsyncDisposableStack;
  let old: RelayServer;
  let young: RelayServer;
  let proxy: RunningProxy;

  beforeEach(() => {
    clean = new AsyncDisposableStack();
    old = new RelayServer();
    young = new RelayServer();
    young.automatic.set("server/discover", discovered('"ttlMs":5000,"cacheScope":"public"'));
    for (const server of [old, young]) {
      const own = server === old ? "old" : "young";
      server.automatic.set("resources/list", `{"resources":[{"uri":"${own}://thing","name":"${own}"}]}`);
    }
  });
  afterEach(() => clean.disposeAsync());

  async function open(more: Record<string, object> = {}, options: ProxyOptions = {}): Promise<ModernClient> {
    const [first, second] = [clean.use(new RelayHttp(old)), clean.use(new RelayStdio(young))];
    proxy = clean.use(
      await startProxy(
        { old: { ...first.entry, ...more["each"] }, young: { ...second.entry, ...more["each"] } },
        { ...options, groups: { both: { servers: ["old", "young"] } } },
      ),
    );
    await proxy.logged(({ msg, server }) => msg === "upstream ready" && server === "old");
    await proxy.logged(({ msg, server }) => msg === "upstream ready" && server === "young");
    return new ModernClient(`${proxy.url}/mcp`);
  }

  const result = async (posted: Posted): Promise<Record<string, unknown>> =>
    (await posted.answer()).message.result as Record<string, unknown>;

  test("what it is told of them may be kept as shortly and by as few as the strictest of them says", async () => {
    const client = await open();
    expect(await result(client.request("server/discover"))).toMatchObject({
      resultType: "complete",
      supportedVersions: ["2026-07-28"],
      ttlMs: 0,
      cacheScope: "private",
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, prompts: {} },
      _meta: { [`${K}serverInfo`]: { name: "mcp-proxy" } },
    });
    await proxy[Symbol.asyncDispose]();
    old.automatic.set("server/discover", discovered('"ttlMs":1500,"cacheScope":"public"'));
    const both = [clean.use(new RelayStdio(old)), clean.use(new RelayStdio(young))].map(({ entry }) => entry);
    const open1 = clean.use(await startProxy({ old: both[0], young: both[1] }));
    for (const server of ["old", "young"])
      await open1.logged((line) => line["msg"] === "upstream ready" && line["server"] === server);
    const modern = new ModernClient(`${open1.url}/mcp`);
    expect(await result(modern.request("server/discover"))).toMatchObject({ ttlMs: 1500, cacheScope: "public" });
    expect(await result(modern.request("tools/list"))).toMatchObject({ resultType: "complete", cacheScope: "private" });
  });

  test("a call has the listed name in its header; the server gets its own", async () => {
    const client = await open();
    const called = client.call("young__slow");
    const call = await young.call("slow");
    call.result('{"resultType":"complete","content":[],"own":1.0}');
    expect((await called.answer()).text).toContain('"own":1.0');
    const bare = client.request("tools/call", '"name":"young__slow","arguments":{}', { "mcp-name": "slow" });
    expect([await bare.status(), (await bare.answer()).message.error?.code]).toEqual([400, -32020]);
    const none = client.call("young__nothing_of_that_name");
    (await young.call("nothing_of_that_name")).error('{"code":-32602,"message":"no such tool"}');
    expect([await none.status(), (await none.answer()).message.error?.code]).toEqual([200, -32602]);
    const nobody = client.call("nobodys");
    expect([await nobody.status(), (await nobody.answer()).message.error]).toEqual([
      200,
      { code: -32602, message: "Unknown tool: nobodys" },
    ]);
  });

  test("methods that are gone, and those of a server's own, are not known", async () => {
    const client = await open();
    for (const method of ["ping", "logging/setLevel", "resources/subscribe", "vendor/own", "initialize", "tasks/get"]) {
      const asked = client.request(method, '"taskId":"t","level":"info","uri":"x:y"', { "mcp-name": "t" });
      if (method === "tasks/get") (await young.request(method)).error('{"code":-32601,"message":"no"}');
      const { error } = (await asked.answer()).message;
      expect([method, await asked.status(), error?.code]).toEqual([method, 404, -32601]);
    }
  });

  test("a question of either server is the answer to its call, and its state is good there and nowhere else", async () => {
    const client = await open({}, { mcpProxy: { options: { authTokens: TOKENS } } });
    const as = (token: string, path = "mcp"): ModernClient =>
      new ModernClient(`${proxy.url}/${path}`, { headers: { authorization: `Bearer ${token}` } });
    expect(await client.call("young__asks").status()).toBe(401);
    const mine = as(TOKENS[0]);
    const [first, second] = [mine.call("old__asks"), mine.call("young__asks", "", "2")];
    const asked = await old.call("asks");
    const answered = asked.ask("elicitation/create", '{"message":"?","requestedSchema":{"type":"object"}}', '"q"');
    (await young.call("asks")).result(
      '{"resultType":"input_required","inputRequests":{"who":{"method":"roots/list","params":{}}},"requestState":"its own"}',
    );
    const [one, two] = await Promise.all([result(first), result(second)]);
    expect(one).toMatchObject({
      resultType: "input_required",
      inputRequests: { k1: { method: "elicitation/create" } },
    });
    expect(two).toMatchObject({ resultType: "input_required", inputRequests: { who: { method: "roots/list" } } });
    const back = (by: ModernClient, tool: string, state: unknown, key = "who", answer = '{"roots":[]}'): Posted =>
      by.call(tool, `,"inputResponses":{"${key}":${answer}},"requestState":${JSON.stringify(state)}`, "9");
    for (const wrong of [
      back(as(TOKENS[1]), "young__asks", two["requestState"]),
      back(mine, "old__asks", two["requestState"]),
      back(as(TOKENS[0], "both/mcp"), "young__asks", two["requestState"]),
      back(as(TOKENS[0], "young/mcp"), "asks", two["requestState"]),
      back(mine, "young__asks", "its own"),
      back(as(TOKENS[1]), "old__asks", one["requestState"], "k1", '{"action":"decline"}'),
      back(as(TOKENS[0], "both/mcp"), "old__asks", one["requestState"], "k1", '{"action":"decline"}'),
      back(as(TOKENS[0], "old/mcp"), "asks", one["requestState"], "k1", '{"action":"decline"}'),
    ])
      expect((await wrong.answer()).message.error?.code).toBe(-32602);
    const again = back(mine, "young__asks", two["requestState"]);
    const retried = await young.call("asks");
    expect(retried.message.params).toMatchObject({ requestState: "its own", inputResponses: { who: { roots: [] } } });
    retried.result('{"resultType":"complete","content":[]}');
    expect(await result(again)).toMatchObject({ resultType: "complete" });
    // The same tool under another of its spellings is the same call.
    const rest = back(mine, "old:asks", one["requestState"], "k1", '{"action":"decline"}');
    expect((await answered).message.result).toEqual({ action: "decline" });
    asked.result('{"content":[]}');
    expect(await result(rest)).toMatchObject({ resultType: "complete" });
  });

  test("listening: one acknowledgement, what each tells with its id, and what ends well is taken up again", async () => {
    old.capabilities = '{"tools":{"listChanged":true},"resources":{"subscribe":true}}';
    const client = await open();
    const filter =
      '"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["young://thing","old://thing","x://y"]}';
    const stream = client.request("subscriptions/listen", filter, {}, '"mine"');
    const asked = await young.request("subscriptions/listen", ({ text }) => text.includes("resourceSubscriptions"));
    expect(asked.message.params?.["notifications"]).toMatchObject({ resourceSubscriptions: ["young://thing"] });
    const agree = (call: typeof asked): void =>
      call.say(
        `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["young://thing"]},"_meta":{"${K}subscriptionId":${call.id}}}}`,
      );
    agree(asked);
    const acknowledged = await stream.method("notifications/subscriptions/acknowledged");
    expect((acknowledged.message.params as unknown as Acknowledged).notifications).toEqual({
      toolsListChanged: true,
      resourceSubscriptions: ["young://thing", "old://thing"],
    });
    const updated = (call: typeof asked): void =>
      call.say(
        `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"young://thing","_meta":{"${K}subscriptionId":${call.id}}}}`,
      );
    updated(asked);
    await stream.first((message) => message.params?.["uri"] === "young://thing");
    old.peers[0]?.say('{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"old://thing"}}');
    await stream.first((message) => message.params?.["uri"] === "old://thing");
    old.peers[0]?.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
    await stream.method("notifications/tools/list_changed");
    // A server that goes down for a while in good order.
    const soFar = stream.said.length;
    asked.result(`{"resultType":"complete","_meta":{"${K}subscriptionId":${asked.id}}}`);
    const again = await young.request("subscriptions/listen", ({ text }) => text.includes("resourceSubscriptions"));
    agree(again);
    await stream.first((message) => stream.said.findIndex((each) => each.message === message) >= soFar);
    updated(again);
    await stream.first(
      (message) =>
        message.params?.["uri"] === "young://thing" &&
        stream.said.findLastIndex((each) => each.message === message) > soFar,
    );
    for (const { message } of stream.said) expect(message.params?._meta?.[`${K}subscriptionId`]).toBe("mine");
    expect(stream.texts.filter((text) => text.includes("acknowledged"))).toHaveLength(1);
    proxy.process.kill("SIGTERM");
    expect((await stream.answer()).message).toMatchObject({
      id: "mine",
      result: { resultType: "complete", _meta: { [`${K}subscriptionId`]: "mine" } },
    });
  });

  test("a change that only the listening stream tells of is in the next list", async () => {
    const client = await open();
    const stream = client.request("subscriptions/listen", '"notifications":{"toolsListChanged":true}');
    const fits = ({ message }: { message: { params?: object } }): boolean =>
      JSON.stringify(message.params).includes('"raw"');
    const asked = await young.request("subscriptions/listen", fits);
    asked.say(
      `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true},"_meta":{"${K}subscriptionId":${asked.id}}}}`,
    );
    await stream.method("notifications/subscriptions/acknowledged");
    young.automatic.set(
      "tools/list",
      '{"resultType":"complete","tools":[{"name":"later","inputSchema":{"type":"object"}}]}',
    );
    asked.say(
      `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"${K}subscriptionId":${asked.id}}}}`,
    );
    await stream.method("notifications/tools/list_changed");
    const { tools } = await result(client.request("tools/list"));
    expect((tools as { name: string }[]).map(({ name }) => name)).toEqual(["old__echo", "young__later"]);
    expect(stream.said.filter(({ message }) => message.method?.endsWith("tools/list_changed"))).toHaveLength(1);
  });

  test("over stdio the first thing asked for may be anything that some server has", async () => {
    const first = clean.use(new RelayStdio(old));
    const second = clean.use(new RelayStdio(young));
    const made = await startProxy({ old: first.entry, young: second.entry });
    clean.use(made);
    await using run = start(["--config", `${made.directory}/config.json`, "--stdio"]);
    young.automatic.set("tools/list", '{"tools":[{"name":"only","inputSchema":{"type":"object"}}]}');
    young.automatic.set("resources/read", '{"resultType":"complete","contents":[]}');
    const meta = `"_meta":{"${K}protocolVersion":"2026-07-28","${K}clientCapabilities":{}}`;
    run.write(
      `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"young://thing",${meta}}}`,
      `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"only","arguments":{},${meta}}}`,
    );
    (await young.call("only")).result('{"resultType":"complete","content":[]}');
    for (const id of [1, 2]) expect((await run.message((message) => message.id === id)).error).toBeUndefined();
    expect(await run.finish()).toBe(0);
  });
});

test("arguments that headers repeat are checked, and repeated to the server, also behind the URL of several", async () => {
  await using clean = new AsyncDisposableStack();
  const seen: { method: string; headers: Headers; body: string }[] = [];
  const tool =
    '{"name":"go","inputSchema":{"type":"object","properties":{"where":{"type":"string","x-mcp-header":"Where"}}}}';
  const server = new WireHttpServer(({ method, headers, body }) => {
    if (method !== "POST") return new Response(null, { status: 405 });
    seen.push({ method, headers, body });
    const { id, method: asked } = JSON.parse(body) as { id?: unknown; method?: string };
    if (id === undefined) return new Response(null, { status: 202 });
    const answer = {
      "server/discover": discovered('"ttlMs":1,"cacheScope":"public"', '{"tools":{}}'),
      "tools/list": `{"resultType":"complete","ttlMs":1,"cacheScope":"public","tools":[${tool}]}`,
      "tools/call": '{"resultType":"complete","content":[]}',
    }[asked ?? ""];
    return answer === undefined
      ? Response.json({ jsonrpc: "2.0", id, error: { code: -32601, message: "no" } }, { status: 404 })
      : new Response(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${answer}}`, {
          headers: { "content-type": "application/json" },
        });
  });
  clean.defer(() => server.stop());
  const other = new RelayServer();
  const relay = clean.use(new RelayStdio(other));
  await using proxy = await startProxy({ far: { url: server.url }, other: relay.entry });
  const client = new ModernClient(`${proxy.url}/mcp`);
  const call = (headers: Record<string, string>): Posted =>
    client.request("tools/call", '"name":"far__go","arguments":{"where":"Zürich"}', {
      "mcp-name": "far__go",
      ...headers,
    });
  const wrong = call({ "mcp-param-where": "Bern" });
  expect([await wrong.status(), (await wrong.answer()).message.error?.code]).toEqual([400, -32020]);
  const missing = call({});
  expect([await missing.status(), (await missing.answer()).message.error?.code]).toEqual([400, -32020]);
  const right = call({ "mcp-param-where": "=?base64?WsO8cmljaA==?=" });
  expect([await right.status(), (await right.answer()).message.error]).toEqual([200, undefined]);
  const { headers } = seen.find(({ body }) => body.includes("tools/call")) ?? {};
  expect(headers?.get("mcp-name")).toBe("go");
  expect(headers?.get("mcp-param-where")).toBe("=?base64?WsO8cmljaA==?=");
});
