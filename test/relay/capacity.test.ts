import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer, ended } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient, hello } from "./raw-client.ts";

const ASKABLE = { capabilities: '{"sampling":{}}' };
const TOKENS = ["capacity-token-1", "capacity-token-2", "capacity-token-3"];

describe("the cap on processes", () => {
  const clean = new AsyncDisposableStack();
  const servers = {
    session: new RelayServer(),
    user: new RelayServer(),
    auto: new RelayServer(),
    keyed: new RelayServer(),
    http: new RelayServer(),
  };
  let proxy: RunningProxy;
  const url = (name: string): string => `${proxy.url}/${name}/mcp`;

  beforeAll(async () => {
    const stdio = (server: RelayServer): object => clean.use(new RelayStdio(server)).entry;
    proxy = clean.use(
      await startProxy({
        session: { ...stdio(servers.session), isolation: "session", maxConnections: 1 },
        user: { ...stdio(servers.user), isolation: "user", maxConnections: 1, options: { authTokens: TOKENS } },
        auto: { ...stdio(servers.auto), maxConnections: 2 },
        keyed: { ...stdio(servers.keyed), headerToEnv: { "X-Key": "KEY" }, maxConnections: 3 },
        http: { ...clean.use(new RelayHttp(servers.http)).entry, isolation: "session", maxConnections: 1 },
      }),
    );
    // The shared child, which reads the catalogue, makes room where nobody is ever put on it.
    await Promise.all(Object.values(servers).map((server) => server.peer(1)));
  });
  afterAll(() => clean.disposeAsync());

  test("session: at the cap a new client is told so in words, and the others go on", async () => {
    const first = await RawClient.open(url("session"), ASKABLE);
    const refused = hello(url("session"), ASKABLE);
    const { message } = await refused.answer();
    expect(message.error?.message).toContain("maxConnections");
    expect(await refused.status()).toBe(503);
    expect((await first.call("echo").answer()).message).toHaveProperty("result");
    expect(servers.session.peers).toHaveLength(2);
    await first.end();
    await ended(await servers.session.peer(2));
  });

  test("session: a place that is free again can be taken", async () => {
    for (let n = 0; n < 4; n++) {
      const raw = await RawClient.open(url("session"), ASKABLE);
      expect((await raw.call("echo").answer()).message).toHaveProperty("result");
      await raw.end();
    }
  });

  test("user: at the cap another user is told so in words", async () => {
    const bearer = (token: string | undefined): { headers: Record<string, string> } => ({
      headers: { authorization: `Bearer ${token}` },
    });
    const first = await RawClient.open(url("user"), bearer(TOKENS[0]));
    expect((await first.call("echo").answer()).message).toHaveProperty("result");
    const refused = hello(url("user"), bearer(TOKENS[1]));
    expect((await refused.answer()).message.error?.message).toContain("maxConnections");
    expect(await refused.status()).toBe(503);
    const again = await RawClient.open(url("user"), bearer(TOKENS[0]));
    expect((await again.call("echo").answer()).message).toHaveProperty("result");
  });

  test("auto: at the cap a client falls back to the shared child, which answers it but cannot ask", async () => {
    const { auto } = servers;
    const first = await RawClient.open(url("auto"), ASKABLE);
    const learn = first.call("learn");
    const learnCall = await auto.call("learn");
    const asked = learnCall.ask("sampling/createMessage", "{}", '"learn"');
    await first.answer(await learn.method("sampling/createMessage"), "{}");
    await asked;
    const second = await RawClient.open(url("auto"), ASKABLE);
    const secondInbox = second.call("where");
    const secondCall = await auto.call("where");
    expect(secondCall.peer).not.toBe(learnCall.peer);
    const third = await RawClient.open(url("auto"), ASKABLE);
    const thirdInbox = third.call("where");
    const thirdCall = await auto.call("where");
    expect(thirdCall.peer).toBe(learnCall.peer);
    expect(auto.peers).toHaveLength(2);
    // Two open calls on the shared child.
    const answer = await thirdCall.ask("sampling/createMessage", "{}", '"third"');
    expect(answer.message.error?.message).toContain("isolation");
    for (const call of [learnCall, secondCall, thirdCall]) call.result("{}");
    await Promise.all([learn, secondInbox, thirdInbox].map((inbox) => inbox.answer()));
  });

  test("children made for header values that nobody uses any more make room for a new value", async () => {
    const withKey = (value: number): object => ({ headers: { "x-key": `value-${value}` } });
    for (let value = 0; value < 5; value++) {
      const raw = await RawClient.open(url("keyed"), withKey(value));
      const inbox = raw.call("which");
      const call = await servers.keyed.call("which");
      expect(call.peer.env["KEY"]).toBe(`value-${value}`);
      call.result("{}");
      await inbox.answer();
      await raw.end();
    }
  });

  test("children made for header values that are in use give no room: the next value is told so in words", async () => {
    const open = await Promise.all(
      [1, 2, 3].map((n) => RawClient.open(url("keyed"), { headers: { "x-key": `busy-${n}` } })),
    );
    const inboxes = open.map((raw) => raw.call("busy"));
    const calls = await Promise.all(open.map(() => servers.keyed.call("busy")));
    const refused = hello(url("keyed"), { headers: { "x-key": "busy-4" } });
    expect((await refused.answer()).message.error?.message).toContain("maxConnections");
    for (const call of calls) call.result("{}");
    for (const inbox of inboxes) expect((await inbox.answer()).message.error).toBeUndefined();
  });

  test("HTTP servers have no cap: a session costs no process", async () => {
    const clients = await Promise.all(Array.from({ length: 5 }, () => RawClient.open(url("http"), ASKABLE)));
    for (const raw of clients) expect((await raw.call("echo").answer()).message).toHaveProperty("result");
    expect(servers.http.peers.length).toBeGreaterThanOrEqual(5);
  });
});
