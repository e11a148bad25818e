import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer, ended } from "../fixtures/relay-server.ts";
import type { Call } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient } from "./raw-client.ts";
import type { Inbox } from "./raw-client.ts";

const ASKABLE = { capabilities: '{"sampling":{},"elicitation":{}}' };
const KINDS = ["shared", "user", "session", "auto"] as const;

interface Open {
  readonly raw: RawClient;
  readonly inbox: Inbox;
  readonly call: Call;
}

describe("isolation", () => {
  const clean = new AsyncDisposableStack();
  const servers = new Map<string, RelayServer>();
  let proxy: RunningProxy;

  beforeAll(async () => {
    const entries: Record<string, unknown> = {};
    const add = (name: string, isolation: string, http: boolean): void => {
      const server = new RelayServer();
      servers.set(name, server);
      const end = clean.use(http ? new RelayHttp(server) : new RelayStdio(server));
      entries[name] = { ...end.entry, isolation };
    };
    for (const kind of KINDS) {
      add(`stdio-${kind}`, kind, false);
      add(`http-${kind}`, kind, true);
    }
    add("stdio-fresh", "auto", false);
    proxy = clean.use(await startProxy(entries));
  });
  afterAll(() => clean.disposeAsync());

  const serverOf = (name: string): RelayServer => servers.get(name) ?? new RelayServer();

  /** A client of its own with one call open at the server. */
  async function open(name: string, tool: string): Promise<Open> {
    const raw = await RawClient.open(`${proxy.url}/${name}/mcp`, ASKABLE);
    const inbox = raw.call(tool);
    return { raw, inbox, call: await serverOf(name).call(tool) };
  }

  async function close(opened: readonly Open[]): Promise<void> {
    for (const { call } of opened) call.result("{}");
    for (const { inbox, raw } of opened) {
      await inbox.answer();
      await raw.end();
    }
  }

  const shared: readonly [string, boolean][] = [
    ["stdio-shared", true],
    ["http-shared", true],
    ["stdio-user", true],
    ["http-user", true],
    ["stdio-session", false],
    ["http-session", false],
    ["http-auto", false],
    ["stdio-fresh", true],
  ];

  for (const [name, together] of shared) {
    test(`${name}: two anonymous clients ${together ? "share one link" : "have a link each"}`, async () => {
      const both = [await open(name, "where"), await open(name, "where")];
      expect(new Set(both.map(({ call }) => call.peer)).size).toBe(together ? 1 : 2);
      await close(both);
    });
  }

  for (const name of ["stdio-shared", "stdio-user", "stdio-fresh"]) {
    test(`${name}: with calls of two clients open a question is refused with the hint, and reaches neither`, async () => {
      const both = [await open(name, "two-open"), await open(name, "two-open")];
      const answer = await (both[0] as Open).call.ask("sampling/createMessage", "{}", `"${name}"`);
      expect(answer.message.error?.message).toContain("isolation");
      await close(both);
      for (const { inbox } of both) expect(inbox.said).toHaveLength(1);
    });
  }

  for (const name of ["stdio-session", "http-session", "http-auto", "http-shared", "http-user"]) {
    test(`${name}: with calls of two clients open each question reaches its own client`, async () => {
      const both = [await open(name, "own"), await open(name, "own")];
      const answers = both.map(({ call }, n) => call.ask("elicitation/create", `{"message":"for ${n}"}`, `"own-${n}"`));
      for (const [n, { raw, inbox }] of both.entries()) {
        const question = await inbox.method("elicitation/create");
        expect(question.message.params).toEqual({ message: `for ${n}` });
        await raw.answer(question, `{"action":"accept","content":{"n":${n}}}`);
      }
      for (const [n, answer] of (await Promise.all(answers)).entries()) {
        expect(answer.message.result).toEqual({ action: "accept", content: { n } });
      }
      await close(both);
    });
  }

  test("stdio-auto: after the first question new clients that can answer get a child each, others share", async () => {
    const server = serverOf("stdio-auto");
    const first = await open("stdio-auto", "learn");
    const asked = first.call.ask("sampling/createMessage", "{}", '"first"');
    await first.raw.answer(await first.inbox.method("sampling/createMessage"), '{"n":1}');
    expect((await asked).message.result).toEqual({ n: 1 });
    const both = [await open("stdio-auto", "learned"), await open("stdio-auto", "learned")];
    const mute = await RawClient.open(`${proxy.url}/stdio-auto/mcp`);
    const muteInbox = mute.call("learned");
    const muteCall = await server.call("learned");
    expect(new Set([first, ...both].map(({ call }) => call.peer)).size).toBe(3);
    expect(muteCall.peer).toBe(first.call.peer);
    // With two calls open on the whole server each question still finds its own client.
    for (const [n, { raw, inbox, call }] of both.entries()) {
      const answered = call.ask("sampling/createMessage", `{"n":${n}}`, `"again-${n}"`);
      await raw.answer(await inbox.method("sampling/createMessage"), `{"n":${n}}`);
      expect((await answered).message.result).toEqual({ n });
    }
    muteCall.result("{}");
    await muteInbox.answer();
    await close([first, ...both]);
  });

  test("a link of one client's own declares what that client can do, a shared one what any client may", async () => {
    const declared = (name: string): unknown =>
      serverOf(name).heard.findLast(({ message }) => message.method === "initialize")?.message.params?.["capabilities"];
    for (const name of ["stdio-session", "http-session", "http-auto"]) {
      const only = '{"elicitation":{"url":{}},"experimental":{"acme":{"x":1}}}';
      const raw = await RawClient.open(`${proxy.url}/${name}/mcp`, { capabilities: only });
      await raw.call("echo").answer();
      expect(declared(name), name).toEqual(JSON.parse(only));
      await raw.end();
    }
    const raw = await RawClient.open(`${proxy.url}/stdio-shared/mcp`, { capabilities: "{}" });
    await raw.call("echo").answer();
    expect(declared("stdio-shared")).toMatchObject({ sampling: { tools: {} }, elicitation: { form: {}, url: {} } });
    expect(declared("stdio-shared")).not.toHaveProperty("roots");
    await raw.end();
  });

  test("a link of a session's own ends with the session", async () => {
    for (const name of ["stdio-session", "http-session", "http-auto", "stdio-auto"]) {
      const opened = await open(name, "ends");
      await close([opened]);
      await ended(opened.call.peer);
    }
  });

  for (const name of ["http-auto", "http-session"]) {
    test(`${name}: what a server asks on its stream outside requests reaches the client whose session it is`, async () => {
      const both = [await open(name, "aside"), await open(name, "aside")];
      const streams = [await both[0]?.raw.listen(), await both[1]?.raw.listen()] as [Inbox, Inbox];
      const server = serverOf(name);
      const answers = both.map(({ call }, n) =>
        server.ask(call.peer, "sampling/createMessage", `{"n":${n}}`, `"aside-${n}"`),
      );
      for (const [n, { raw, inbox }] of both.entries()) {
        const question = await Promise.any(
          [inbox, streams[n] as Inbox].map((each) => each.method("sampling/createMessage")),
        );
        expect(question.message.params).toEqual({ n });
        await raw.answer(question, `{"n":${n}}`);
      }
      for (const [n, answer] of (await Promise.all(answers)).entries()) expect(answer.message.result).toEqual({ n });
      await close(both);
    });
  }

  for (const name of ["http-shared", "http-user"]) {
    test(`${name}: on the shared link such a question is refused while two calls are open`, async () => {
      const both = [await open(name, "aside"), await open(name, "aside")];
      const answer = await serverOf(name).ask((both[0] as Open).call.peer, "sampling/createMessage", "{}", '"aside"');
      expect(answer.message.error?.message).toContain("isolation");
      await close(both);
      for (const { inbox } of both) expect(inbox.said).toHaveLength(1);
    });
  }

  test("elicitation/complete on a shared child reaches the client that was asked and no other", async () => {
    const url = `${proxy.url}/stdio-shared/mcp`;
    const bystander = await RawClient.open(url, { capabilities: '{"elicitation":{"url":{}}}' });
    const other = await bystander.listen();
    const withUrl = await RawClient.open(url, { capabilities: '{"elicitation":{"url":{}}}' });
    const urlStream = await withUrl.listen();
    await bystander.call("echo").answer();
    const inbox = withUrl.call("by-url");
    const call = await serverOf("stdio-shared").call("by-url");
    const answered = call.ask(
      "elicitation/create",
      '{"mode":"url","url":"https://a.example/","elicitationId":"e-1"}',
      '"by-url"',
    );
    await withUrl.answer(await inbox.method("elicitation/create"), '{"action":"accept"}');
    await answered;
    call.peer.say('{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"e-1"}}');
    await Promise.any([inbox, urlStream].map((each) => each.method("notifications/elicitation/complete")));
    expect(other.said).toEqual([]);
    call.result("{}");
    await inbox.answer();
    await Promise.all([withUrl.end(), bystander.end()]);
  });
});
