import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Call, RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import type { StdioPeer } from "../fixtures/relay-stdio.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { ModernClient } from "./modern-client.ts";
import type { Posted } from "./modern-client.ts";
import { RawClient } from "./raw-client.ts";

const K = "io.modelcontextprotocol/";
const TOKENS = ["modern-server-token-1", "modern-server-token-2"] as const;
const as = (token: string): { headers: Record<string, string> } => ({ headers: { authorization: `Bearer ${token}` } });
const FILTER = '"notifications":{"toolsListChanged":true}';

/** What a stateless server says of itself. */
const DISCOVERED = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{}},"_meta":{"${K}serverInfo":{"name":"scripted","version":"8"}},"ttlMs":5,"cacheScope":"public"}`;

describe("a child of the stateless era", () => {
  let clean: AsyncDisposableStack;
  let server: RelayServer;
  let proxy: RunningProxy;

  beforeEach(() => {
    clean = new AsyncDisposableStack();
    server = new RelayServer();
    server.automatic.set("server/discover", DISCOVERED);
  });
  afterEach(() => clean.disposeAsync());

  async function open(entry: object = {}): Promise<string> {
    const end = clean.use(new RelayStdio(server));
    proxy = clean.use(await startProxy({ it: { ...end.entry, ...entry } }));
    return `${proxy.url}/it/mcp`;
  }

  const acknowledge = (asked: { id: string; say(text: string): void }, agreed = '{"toolsListChanged":true}'): void =>
    asked.say(
      `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":${agreed},"_meta":{"${K}subscriptionId":${asked.id}}}}`,
    );

  test("a stateless client's request comes as it was, but for id and token; closing the stream is a cancellation", async () => {
    const url = await open();
    const meta = `"progressToken":"mine","vendor/own":1.0,"${K}logLevel":"debug"`;
    const called = new ModernClient(url, { meta }).call("slow", ',"own":1.0');
    const call = await server.call("slow");
    expect(call.text).toContain('"vendor/own":1.0');
    expect(call.text).toContain(`"${K}logLevel":"debug"`);
    expect(call.text).toContain('"own":1.0');
    call.progress('"progress":1');
    expect((await called.method("notifications/progress")).message.params?.["progressToken"]).toBe("mine");
    called.abort.abort();
    await call.cancelled();
  });

  test("an unknown kind of result, and a method of an extension, pass", async () => {
    const url = await open();
    const called = new ModernClient(url).request("vendor/own", '"a":1.0');
    const asked = await server.request("vendor/own");
    expect(asked.text).toContain('"a":1.0');
    asked.result('{"resultType":"vendor/later","b":1.0}');
    expect((await called.answer()).text).toContain('{"resultType":"vendor/later","b":1.0}');
  });

  test("its state is sealed for the caller where callers are known, and comes back to it as it was", async () => {
    const url = await open({ options: { authTokens: TOKENS } });
    const [mine, other] = TOKENS.map((token) => new ModernClient(url, as(token))) as [ModernClient, ModernClient];
    const first = mine.call("asks");
    const question = '"inputRequests":{"who":{"method":"elicitation/create","params":{"message":"?"}}}';
    (await server.call("asks")).result(`{"resultType":"input_required",${question},"requestState":"the server's"}`);
    const { result } = (await first.answer()).message as { result: Record<string, unknown> };
    expect(result).toMatchObject({ resultType: "input_required", inputRequests: { who: {} } });
    const sealed = String(result["requestState"]);
    expect(sealed).not.toContain("server");

    const retry = (client: ModernClient, state: string, tool = "asks"): Posted =>
      client.call(tool, `,"inputResponses":{"who":{"action":"decline"}},"requestState":${JSON.stringify(state)}`);
    const wrong = [retry(other, sealed), retry(mine, sealed, "other"), retry(mine, "the server's"), retry(mine, "")];
    for (const inbox of wrong)
      expect((await inbox.answer()).message.error).toEqual({
        code: -32602,
        message: "requestState is not valid for this call",
      });
    const last = retry(mine, sealed);
    const again = await server.call("asks");
    expect(again.message.params).toMatchObject({
      requestState: "the server's",
      inputResponses: { who: { action: "decline" } },
    });
    again.result('{"resultType":"complete","content":[]}');
    expect((await last.answer()).message.result).toMatchObject({ resultType: "complete" });
    expect(server.heard.filter(({ message }) => message.method === "tools/call")).toHaveLength(2);
  });

  test("where everybody may call, its state is its own business", async () => {
    const url = await open();
    const first = new ModernClient(url).call("asks");
    (await server.call("asks")).result('{"resultType":"input_required","requestState":"plain"}');
    expect((await first.answer()).message.result).toMatchObject({ requestState: "plain" });
    const second = new ModernClient(url).call("asks", ',"requestState":"anything"');
    const again = await server.call("asks");
    expect(again.message.params?.["requestState"]).toBe("anything");
    again.result('{"resultType":"complete","content":[]}');
    await second.answer();
  });

  test("who listens is told once of each change, also where sessions want to hear of it", async () => {
    const url = await open();
    const raw = await RawClient.open(url);
    const stream = await raw.listen();
    const feed = await server.request("subscriptions/listen");
    acknowledge(feed);
    const inbox = new ModernClient(url).request("subscriptions/listen", FILTER, {}, '"L"');
    const own = await server.request("subscriptions/listen");
    acknowledge(own);
    await inbox.method("notifications/subscriptions/acknowledged");
    for (const { id } of [feed, own])
      own.say(
        `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"${K}subscriptionId":${id}}}}`,
      );
    const last = new ModernClient(url).call("last");
    (await server.call("last")).result('{"resultType":"complete","content":[]}');
    await last.answer();
    await stream.method("notifications/tools/list_changed");
    await inbox.method("notifications/tools/list_changed");
    for (const each of [stream, inbox])
      expect(each.said.filter(({ message }) => message.method === "notifications/tools/list_changed")).toHaveLength(1);
  });

  test("a list that changes is read again", async () => {
    await open();
    acknowledge(await server.request("subscriptions/listen"));
    server.automatic.set(
      "tools/list",
      '{"resultType":"complete","tools":[{"name":"later","inputSchema":{"type":"object"}}]}',
    );
    const [feed] = server.heard.filter(({ message }) => message.method === "subscriptions/listen");
    server.peers[0]?.say(
      `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"${K}subscriptionId":${String(feed?.message.id)}}}}`,
    );
    await proxy.logged((line) => line["msg"] === "<it> Adding tool later");
  });

  test("who listens goes on listening when the child is lost: no second acknowledgement, one round of changes", async () => {
    const url = await open();
    const inbox = new ModernClient(url).request("subscriptions/listen", FILTER, {}, '"L"');
    const mine = (): Promise<Call> =>
      // The proxy itself listens too, and says nothing of a client.
      server.request("subscriptions/listen", ({ message }) => `${K}clientInfo` in (message.params?._meta ?? {}));
    acknowledge(await mine());
    await inbox.method("notifications/subscriptions/acknowledged");
    (server.peers[0] as StdioPeer).exit(1);
    const again = await mine();
    expect(again.peer).not.toBe(server.peers[0]);
    acknowledge(again);
    const changed = await inbox.method("notifications/tools/list_changed");
    expect(changed.message.params).toEqual({ _meta: { [`${K}subscriptionId`]: "L" } });
    again.say(
      `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"n":2,"_meta":{"${K}subscriptionId":${again.id}}}}`,
    );
    await inbox.first((message) => message.params?.["n"] === 2);
    expect(inbox.said.map(({ message }) => message.method)).toEqual([
      "notifications/subscriptions/acknowledged",
      "notifications/tools/list_changed",
      "notifications/tools/list_changed",
    ]);
    inbox.abort.abort();
    await again.cancelled();
  });

  test("sessions on one connection hear of what they have subscribed to, and of nothing else", async () => {
    const url = await open();
    const raw = [await RawClient.open(url), await RawClient.open(url)] as const;
    const streams = await Promise.all(raw.map((each) => each.listen()));
    acknowledge(await server.request("subscriptions/listen"));
    let asked;
    for (const [n, each] of raw.entries()) {
      const subscribed = each.request("resources/subscribe", `{"uri":"a://${n}"}`);
      asked = await server.request("subscriptions/listen");
      const { notifications } = asked.message.params as { notifications: object };
      acknowledge(asked, JSON.stringify(notifications));
      expect((await subscribed.answer()).message.result).toEqual({});
    }
    const { id } = asked ?? { id: "" };
    for (const uri of ["a://1", "a://0", "a://end"]) {
      const method = uri === "a://end" ? "notifications/tools/list_changed" : "notifications/resources/updated";
      server.peers[0]?.say(
        `{"jsonrpc":"2.0","method":"${method}","params":{"uri":"${uri}","_meta":{"${K}subscriptionId":${id}}}}`,
      );
    }
    for (const [n, stream] of streams.entries()) {
      await stream.method("notifications/tools/list_changed");
      const uris = stream.said.filter(({ message }) => message.method === "notifications/resources/updated");
      expect(uris.map(({ message }) => message.params?.["uri"])).toEqual([`a://${n}`]);
      expect(stream.texts.join("")).not.toContain("subscriptionId");
    }
  });

  test("a subscription that it ends is renewed, with one round of changes once it is agreed to again", async () => {
    const url = await open();
    const raw = await RawClient.open(url);
    const stream = await raw.listen();
    const first = await server.request("subscriptions/listen");
    acknowledge(first);
    first.result(`{"resultType":"complete","_meta":{"${K}subscriptionId":${first.id}}}`);
    // Ended before anything was agreed to: nobody knows more than before.
    (await server.request("subscriptions/listen")).result("{}");
    const third = await server.request("subscriptions/listen");
    const before = stream.said.length;
    acknowledge(third);
    await stream.method("notifications/tools/list_changed");
    expect(before).toBe(0);
    expect(stream.said.map(({ message }) => message.method)).toContain("notifications/tools/list_changed");
  });

  test("what it does not agree to tell of is refused", async () => {
    const url = await open();
    const raw = await RawClient.open(url);
    await raw.listen();
    acknowledge(await server.request("subscriptions/listen"));
    const subscribed = raw.request("resources/subscribe", '{"uri":"a://no"}');
    acknowledge(await server.request("subscriptions/listen"));
    expect((await subscribed.answer()).message.error?.code).toBe(-32602);
  });

  for (const before of ["modern", "legacy"] as const) {
    test(`it is ${before} and comes back as the other: clients of both eras go on`, async () => {
      const become = (era: "modern" | "legacy"): void => {
        if (era === "modern") {
          server.automatic.set("server/discover", DISCOVERED);
          server.introduce = (incoming) => {
            new Call(incoming, server).error('{"code":-32022,"message":"no","data":{"supported":["2026-07-28"]}}');
            return undefined;
          };
        } else {
          server.automatic.delete("server/discover");
          server.introduce = undefined;
        }
      };
      become(before);
      const url = await open();
      const raw = await RawClient.open(url);
      const modern = new ModernClient(url);
      const both = async (round: string): Promise<void> => {
        expect((await raw.call("echo", `{"r":"${round}"}`).answer()).message).toHaveProperty("result.content");
        expect((await modern.call("echo").answer()).message).toHaveProperty("result.content");
      };
      server.automatic.set(
        "tools/list",
        '{"resultType":"complete","tools":[{"name":"echo","inputSchema":{"type":"object"}}]}',
      );
      await both("before");
      become(before === "modern" ? "legacy" : "modern");
      (server.peers[0] as StdioPeer).exit(1);
      await server.peer(2);
      await both("after");
      const last = server.heard.filter(({ peer }) => peer === server.peers[1]);
      const greeted = last.some(({ message }) => message.method === "initialize");
      expect(greeted).toBe(true);
      const envelopes = last.filter(({ text }) => text.includes(`${K}protocolVersion`) && text.includes("tools/call"));
      expect(envelopes.length).toBe(before === "modern" ? 0 : 2);
    });
  }
});

for (const era of ["legacy", "modern"] as const) {
  test(`a notification of a server's own reaches a ${era} server from who may use all of it, and from nobody else`, async () => {
    const server = new RelayServer();
    if (era === "modern") server.automatic.set("server/discover", DISCOVERED);
    await using end = new RelayStdio(server);
    const apiKeys = {
      "key-for-one-tool-only": { client_id: "narrow", scopes: ["it:echo"] },
      "key-for-the-whole-server": { client_id: "whole", scopes: ["it:*"] },
    };
    await using proxy = await startProxy({ it: end.entry }, { mcpProxy: { apiKeys } });
    for (const [key, name] of [
      ["key-for-one-tool-only", "narrow"],
      ["key-for-the-whole-server", "whole"],
    ] as const) {
      const posted = new ModernClient(`${proxy.url}/it/mcp`, as(key)).post(
        `{"jsonrpc":"2.0","method":"notifications/vendor/${name}"}`,
        { "mcp-protocol-version": "2026-07-28" },
      );
      expect(await posted.status()).toBe(202);
    }
    await server.notification("notifications/vendor/whole");
    expect(server.count("notifications/vendor/narrow")).toBe(0);
  });
}

test("at the cap of processes a call beside a waiting one runs, and cannot be asked", async () => {
  const server = new RelayServer();
  await using end = new RelayStdio(server);
  await using proxy = await startProxy({
    it: { ...end.entry, maxConnections: 1, options: { authTokens: TOKENS } },
  });
  const url = `${proxy.url}/it/mcp`;
  const waiting = new ModernClient(url, as(TOKENS[0])).call("waits");
  const first = await server.call("waits");
  const answered = first.ask("elicitation/create", '{"message":"?","requestedSchema":{}}', '"q1"');
  const { result } = (await waiting.answer()).message as { result: { requestState: string } };
  const other = new ModernClient(url, as(TOKENS[1])).call("runs");
  const second = await server.call("runs");
  expect(second.peer).toBe(first.peer);
  const refused = await second.ask("elicitation/create", '{"message":"?","requestedSchema":{}}', '"q2"');
  expect(refused.message.error?.code).toBe(-32601);
  expect(refused.message.error?.message).toContain("isolation");
  second.result('{"content":[],"n":2}');
  expect((await other.answer()).message.result).toMatchObject({ n: 2 });
  const retry = new ModernClient(url, as(TOKENS[0])).call(
    "waits",
    `,"inputResponses":{"k1":{"action":"decline"}},"requestState":${JSON.stringify(result.requestState)}`,
  );
  expect((await answered).message.result).toEqual({ action: "decline" });
  first.result('{"content":[],"n":1}');
  expect((await retry.answer()).message.result).toMatchObject({ n: 1 });
});
