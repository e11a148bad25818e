import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient, hello } from "./raw-client.ts";

const HEADER_SECRET = "upstream-header-secret-0123456789";

describe("the life of an HTTP server", () => {
  const clean = new AsyncDisposableStack();
  const servers = { shared: new RelayServer(), own: new RelayServer(), leaving: new RelayServer() };
  let proxy: RunningProxy;
  let shared: RelayHttp;
  let own: RelayHttp;
  const leaving = new RelayHttp(servers.leaving);
  const url = (name: string): string => `${proxy.url}/${name}/mcp`;

  beforeAll(async () => {
    shared = clean.use(new RelayHttp(servers.shared));
    own = clean.use(new RelayHttp(servers.own));
    // A port where nobody listens: taken once and given back.
    const closed = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const nowhere = `http://127.0.0.1:${closed.port}/mcp`;
    await closed.stop(true);
    const refusing = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response("no entry", { status: 401 }),
    });
    const page = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response("<html>", { headers: { "content-type": "text/html" } }),
    });
    clean.defer(() => refusing.stop(true));
    clean.defer(() => page.stop(true));
    const headers = { Authorization: `Bearer ${HEADER_SECRET}` };
    const remote = (port: number | undefined): object => ({
      url: `http://127.0.0.1:${port}/mcp`,
      transportType: "streamable-http",
      headers,
    });
    proxy = clean.use(
      await startProxy({
        shared: { ...shared.entry, isolation: "shared" },
        own: own.entry,
        leaving: leaving.entry,
        nowhere: { url: nowhere, transportType: "streamable-http" },
        refusing: remote(refusing.port),
        page: remote(page.port),
      }),
    );
  });
  afterAll(() => clean.disposeAsync());

  for (const name of ["nowhere", "refusing", "page"]) {
    test(`${name}: 503 with a reason, while the others go on`, async () => {
      const inbox = hello(url(name));
      const { message, text } = await inbox.answer();
      expect(await inbox.status()).toBe(503);
      expect(message.error?.message).toStartWith(`${name}: `);
      expect(text).not.toContain(HEADER_SECRET);
      expect((await (await RawClient.open(url("shared"))).call("echo").answer()).message).toHaveProperty("result");
      expect(JSON.stringify(proxy.log)).not.toContain(HEADER_SECRET);
    });
  }

  test("a server that forgot the session is initialized once for all who wait, and every call succeeds", async () => {
    const server = servers.shared;
    const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.open(url("shared"))));
    for (const raw of clients) await raw.call("echo").answer();
    const before = server.count("initialize");
    shared.forget();
    const inboxes = clients.flatMap((raw) => [1, 2, 3].map((id) => raw.call("echo", "{}", String(id))));
    for (const inbox of inboxes) expect((await inbox.answer()).message.error).toBeUndefined();
    expect(server.count("initialize") - before).toBe(1);
    await Promise.all(clients.map((raw) => raw.end()));
  });

  test("a session of one client's own is made again as well, with that client's capabilities", async () => {
    const server = servers.own;
    const raw = await RawClient.open(url("own"), { capabilities: '{"elicitation":{"form":{}}}' });
    await raw.call("echo").answer();
    const before = server.count("initialize");
    own.forget();
    const inboxes = [1, 2, 3, 4].map((id) => raw.call("echo", "{}", String(id)));
    for (const inbox of inboxes) expect((await inbox.answer()).message.error).toBeUndefined();
    expect(server.count("initialize") - before).toBe(1);
    const last = server.heard.findLast(({ message }) => message.method === "initialize");
    expect(last?.message.params?.["capabilities"]).toEqual({ elicitation: { form: {} } });
    await raw.end();
  });

  test("subscriptions, the log level and list_changed follow a lost session", async () => {
    const server = servers.shared;
    const raw = await RawClient.open(url("shared"));
    const stream = await raw.listen();
    await raw.request("resources/subscribe", '{"uri":"a://kept"}').answer();
    await raw.request("logging/setLevel", '{"level":"error"}').answer();
    const old = server.peers.at(-1);
    shared.forget();
    await raw.call("echo").answer();
    await server.first(
      ({ peer, message }) =>
        peer !== old && message.method === "resources/subscribe" && message.params?.["uri"] === "a://kept",
    );
    await server.first(
      ({ peer, message }) =>
        peer !== old && message.method === "logging/setLevel" && message.params?.["level"] === "error",
    );
    await stream.method("notifications/tools/list_changed");
    await raw.end();
  });

  for (const name of ["shared", "own"] as const) {
    test(`a client that only listens hears again from a server that was started anew (${name})`, async () => {
      const [server, end] = name === "shared" ? [servers.shared, shared] : [servers.own, own];
      const raw = await RawClient.open(url(name));
      const stream = await raw.listen();
      await raw.request("resources/subscribe", '{"uri":"a://listened"}').answer();
      const before = server.count("initialize");
      const old = server.peers.length;
      end.restart();
      await stream.method("notifications/tools/list_changed");
      await server.first(
        ({ peer, message }) =>
          server.peers.indexOf(peer) >= old &&
          message.method === "resources/subscribe" &&
          message.params?.["uri"] === "a://listened",
      );
      server.peers
        .at(-1)
        ?.say('{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a://listened"}}');
      await stream.method("notifications/resources/updated");
      expect(server.count("initialize")).toBeGreaterThan(before);
      await raw.end();
    });
  }

  test("a call that was running when the session was lost is not repeated", async () => {
    const server = servers.shared;
    const raw = await RawClient.open(url("shared"));
    const inbox = raw.call("running");
    const call = await server.call("running");
    shared.forget();
    expect((await raw.call("echo", "{}", "2").answer()).message).toHaveProperty("result");
    call.result('{"from":"before"}');
    const { message } = await inbox.answer();
    // Its own stream may still bring the answer; else it has failed. Run twice it must not be.
    expect(message.result ?? message.error).toBeDefined();
    await raw.call("echo", "{}", "3").answer();
    expect(server.heard.filter((each) => each.message.params?.["name"] === "running")).toHaveLength(1);
    await raw.end();
  });

  test("a server that goes away in the middle of a call: an error within 3 s", async () => {
    const raw = await RawClient.open(url("leaving"));
    const inbox = raw.call("cut");
    const call = await servers.leaving.call("cut");
    call.say('{"jsonrpc":"2.0","method":"notifications/acme/begun"}');
    await inbox.method("notifications/acme/begun");
    const gone = performance.now();
    await leaving[Symbol.asyncDispose]();
    expect((await inbox.answer()).message.error?.message).toStartWith("leaving: ");
    expect(performance.now() - gone).toBeLessThan(3_000);
    expect((await raw.call("echo", "{}", "2").answer()).message.error?.message).toStartWith("leaving: ");
  });
});
