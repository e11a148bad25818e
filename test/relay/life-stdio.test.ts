import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import type { StdioPeer } from "../fixtures/relay-stdio.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient, hello } from "./raw-client.ts";

const SECRET = "configured-secret-0123456789";
const NAMES = ["dying", "noisy", "silent", "briefly"] as const;

describe("the life of a child process", () => {
  const clean = new AsyncDisposableStack();
  const servers = new Map(NAMES.map((name) => [name, new RelayServer()]));
  const serverOf = (name: (typeof NAMES)[number]): RelayServer => servers.get(name) as RelayServer;
  let proxy: RunningProxy;
  const url = (name: string): string => `${proxy.url}/${name}/mcp`;

  beforeAll(async () => {
    const more: Partial<Record<(typeof NAMES)[number], object>> = {
      silent: { timeout: "2s" },
      dying: { env: { API_KEY: SECRET } },
      noisy: { env: { API_KEY: SECRET } },
    };
    const entries: Record<string, unknown> = {};
    for (const name of NAMES) entries[name] = { ...clean.use(new RelayStdio(serverOf(name))).entry, ...more[name] };
    proxy = clean.use(await startProxy(entries));
  });
  afterAll(() => clean.disposeAsync());

  test("a child that exits in the middle of calls: each gets an error with the exit code, and the session works again", async () => {
    const server = serverOf("dying");
    const raw = await RawClient.open(url("dying"));
    const stream = await raw.listen();
    const inboxes = [raw.call("last", "{}", "1"), raw.call("last", "{}", "2")];
    const calls = [await server.call("last"), await server.call("last")];
    const peer = calls[0]?.peer as StdioPeer;
    peer.stderr(`cannot go on with key ${SECRET}`);
    peer.exit(37);
    const died = performance.now();
    for (const inbox of inboxes) {
      const { message, text } = await inbox.answer();
      expect(message.error?.message).toContain("37");
      expect(text).toContain("cannot go on");
      expect(text).not.toContain(SECRET);
      expect(await inbox.status()).toBe(200);
    }
    expect(performance.now() - died).toBeLessThan(3_000);
    expect((await raw.call("echo", "{}", "3").answer()).message).toHaveProperty("result");
    expect(performance.now() - died).toBeLessThan(8_000);
    await stream.method("notifications/tools/list_changed");
    // What may have run is never repeated of itself.
    expect(server.heard.filter(({ message }) => message.params?.["name"] === "last")).toHaveLength(2);
  });

  test("after a restart subscriptions and the log level are renewed", async () => {
    const server = serverOf("dying");
    const raw = await RawClient.open(url("dying"));
    await raw.listen();
    await raw.request("resources/subscribe", '{"uri":"a://kept"}').answer();
    await raw.request("logging/setLevel", '{"level":"warning"}').answer();
    const links = server.peers.length;
    (server.peers.at(-1) as StdioPeer).exit(0);
    const next = await server.peer(links + 1);
    await server.first(
      ({ peer, message }) =>
        peer === next && message.method === "resources/subscribe" && message.params?.["uri"] === "a://kept",
    );
    await server.first(
      ({ peer, message }) =>
        peer === next && message.method === "logging/setLevel" && message.params?.["level"] === "warning",
    );
  });

  test("a question that was open when the child died is forgotten, and the client's answer reaches no other child", async () => {
    const server = serverOf("dying");
    const raw = await RawClient.open(url("dying"), { capabilities: '{"sampling":{}}' });
    const inbox = raw.call("asks-and-dies");
    const call = await server.call("asks-and-dies");
    call.say('{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}');
    const question = await inbox.method("sampling/createMessage");
    (call.peer as StdioPeer).exit(1);
    expect((await inbox.answer()).message.error?.message).toContain("exit code 1");
    await raw.call("echo", "{}", "2").answer();
    const before = server.heard.length;
    await raw.answer(question, '{"stale":true}');
    await raw.call("echo", "{}", "3").answer();
    expect(server.heard.slice(before).filter(({ text }) => text.includes("stale"))).toEqual([]);
  });

  test("garbage on stdout is logged and skipped, whatever it looks like", async () => {
    const server = serverOf("noisy");
    const raw = await RawClient.open(url("noisy"));
    const inbox = raw.call("chatter");
    const call = await server.call("chatter");
    const peer = call.peer as StdioPeer;
    const garbage = [
      "Server started!",
      "",
      "{",
      "{}",
      "[]",
      "null",
      "5",
      '"text"',
      "[info] ready",
      '{"jsonrpc":"1.0","id":1,"result":{}}',
      '{"id":2,"result":{}}',
      `{"jsonrpc":"2.0","id":${call.id}}`,
      "\u001b[31mred\u0007",
      '{"jsonrpc":"2.0","id":424242,"result":{}}',
      '{"jsonrpc":"2.0","id":{},"result":{}}',
    ];
    for (const line of garbage) peer.stdout(line);
    call.result('{"fine":true}');
    expect((await inbox.answer()).message.result).toEqual({ fine: true });
    expect(inbox.said).toHaveLength(1);
    await proxy.logged((line) => String(line["msg"]).includes("Server started!"));
    expect(JSON.stringify(proxy.log)).not.toContain("\\u001b");
  });

  test("stderr goes to the log with the server's name and without configured secrets", async () => {
    const raw = await RawClient.open(url("noisy"));
    const inbox = raw.call("speaks");
    const call = await serverOf("noisy").call("speaks");
    (call.peer as StdioPeer).stderr(`warming up with ${SECRET}, ${SECRET}`);
    const line = await proxy.logged((each) => String(each["msg"]).includes("warming up"));
    expect(line["server"]).toBe("noisy");
    call.result("{}");
    await inbox.answer();
    expect(JSON.stringify(proxy.log)).not.toContain(SECRET);
  });

  test("a server that never answers: an error after the timeout, the server is told, and a late answer goes nowhere", async () => {
    const raw = await RawClient.open(url("silent"));
    const inbox = raw.call("nothing");
    const call = await serverOf("silent").call("nothing");
    expect((await inbox.answer()).message.error?.message).toContain("2 s");
    await call.cancelled();
    call.result('{"late":1}');
    expect((await raw.call("echo", "{}", "2").answer()).message.id).toBe(2);
    expect(inbox.said).toHaveLength(1);
  });

  test("progress and open questions hold the timeout off", async () => {
    const raw = await RawClient.open(url("silent"), { capabilities: '{"elicitation":{}}' });
    const asking = raw.call("asking");
    const asks = await serverOf("silent").call("asking");
    const answered = asks.ask("elicitation/create", '{"message":"take your time"}', '"slow-person"');
    const question = await asking.method("elicitation/create");
    const busy = raw.call("busy", "{}", "2", '{"progressToken":"p"}');
    const call = await serverOf("silent").call("busy");
    // Longer than the timeout of 2 s and the second it may take to notice, in steps that are much shorter.
    for (let n = 1; n <= 18; n++) {
      call.progress(`"progress":${n}`);
      await Bun.sleep(200);
    }
    call.result('{"done":1}');
    expect((await busy.answer()).message.result).toEqual({ done: 1 });
    await raw.answer(question, '{"action":"accept"}');
    await answered;
    asks.result('{"done":2}');
    expect((await asking.answer()).message.result).toEqual({ done: 2 });
  });

  test("a stranger from another machine learns the exit code and nothing of what the child said", async () => {
    const raw = await RawClient.open(url("briefly"), { headers: { "x-forwarded-for": "192.0.2.1" } });
    const inbox = raw.call("ends");
    const call = await serverOf("briefly").call("ends");
    (call.peer as StdioPeer).stderr("internal affairs");
    await proxy.logged((line) => String(line["msg"]).includes("internal affairs"));
    (call.peer as StdioPeer).exit(9);
    const { text } = await inbox.answer();
    expect(text).toContain("exit code 9");
    expect(text).not.toContain("internal affairs");
  });

  test("a child that ends again and again is not started in a frenzy", async () => {
    const server = serverOf("briefly");
    const raw = await RawClient.open(url("briefly"));
    await raw.call("echo").answer();
    const links = server.peers.length;
    server.introduce = ({ peer }) => ((peer as StdioPeer).exit(3), undefined);
    const started = performance.now();
    (server.peers.at(-1) as StdioPeer).exit(3);
    await server.peer(links + 2);
    const inbox = hello(url("briefly"));
    expect((await inbox.answer()).message.error?.message).toContain("3");
    expect(await inbox.status()).toBe(503);
    expect(server.peers.length - links).toBeLessThanOrEqual(2 + (performance.now() - started) / 500);
  });
});
