import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import type { StdioPeer } from "../fixtures/relay-stdio.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient, hello } from "./raw-client.ts";

const NAMES = ["hanging", "slow", "healthy", "refusing"] as const;

describe("the start of a child process", () => {
  const clean = new AsyncDisposableStack();
  const servers = new Map(NAMES.map((name) => [name, new RelayServer()]));
  const serverOf = (name: (typeof NAMES)[number]): RelayServer => servers.get(name) as RelayServer;
  let proxy: RunningProxy;
  const url = (name: string): string => `${proxy.url}/${name}/mcp`;

  beforeAll(async () => {
    serverOf("hanging").introduce = () => undefined;
    serverOf("slow").introduce = () => undefined;
    serverOf("refusing").introduce = ({ peer, message }) => {
      peer.say(`{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"error":{"code":-32603,"message":"not today"}}`);
      return undefined;
    };
    const more: Partial<Record<(typeof NAMES)[number], object>> = {
      hanging: { connectTimeout: "1s" },
      slow: { connectTimeout: "20s" },
    };
    const entries: Record<string, unknown> = {
      absent: { command: "no-such-command-7f3a" },
      "absent-path": { command: "/no/such/path/server" },
    };
    for (const name of NAMES) entries[name] = { ...clean.use(new RelayStdio(serverOf(name))).entry, ...more[name] };
    proxy = clean.use(await startProxy(entries));
  });
  afterAll(() => clean.disposeAsync());

  for (const [name, command] of [
    ["absent", "no-such-command-7f3a"],
    ["absent-path", "/no/such/path/server"],
  ] as const) {
    test(`a command that does not exist (${command}): 503 that names it, and the other servers go on`, async () => {
      const inbox = hello(url(name));
      expect((await inbox.answer()).message.error?.message).toContain(command);
      expect(await inbox.status()).toBe(503);
      const healthy = await RawClient.open(url("healthy"));
      expect((await healthy.call("echo").answer()).message).toHaveProperty("result");
    });
  }

  test("a server that refuses initialize: 503 with a reason", async () => {
    const inbox = hello(url("refusing"));
    // A caller on this machine may see what the server said.
    expect((await inbox.answer()).text).toContain("not today");
    expect(await inbox.status()).toBe(503);
  });

  test("a server that hangs in initialize: 503 after the connect timeout, and the child lives on", async () => {
    const server = serverOf("hanging");
    const peer = (await server.peer(1)) as StdioPeer;
    const inbox = hello(url("hanging"));
    expect((await inbox.answer()).message.error?.message).toMatch(/start/);
    expect(await inbox.status()).toBe(503);
    expect(() => process.kill(peer.pid, 0)).not.toThrow();
    expect(server.peers).toHaveLength(1);
    // It answers in the end, and what it had begun was not in vain.
    const { message } = await server.first((each) => each.message.method === "initialize");
    peer.say(
      `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"late","version":"1"}}}`,
    );
    await server.notification("notifications/initialized");
    const raw = await RawClient.open(url("hanging"));
    expect((await raw.call("echo").answer()).message).toHaveProperty("result");
    expect(server.peers).toHaveLength(1);
  });

  test("a client that comes while a server is starting waits for it", async () => {
    const server = serverOf("slow");
    const peer = await server.peer(1);
    const { message } = await server.first((each) => each.message.method === "initialize");
    const opened = RawClient.open(url("slow"));
    // Another endpoint answers meanwhile, so the waiting has begun.
    await (await RawClient.open(url("healthy"))).call("echo").answer();
    peer.say(
      `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{"name":"slow","version":"1"}}}`,
    );
    expect((await (await opened).call("echo").answer()).message).toHaveProperty("result");
  });
});
