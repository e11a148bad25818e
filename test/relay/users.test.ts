import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import type { Call } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient, hello } from "./raw-client.ts";
import type { Inbox } from "./raw-client.ts";

const ALICE = "token-of-alice-0123456789";
const BOB = "token-of-bob-0123456789";
const KINDS = ["shared", "user", "session", "auto"] as const;

interface Open {
  readonly raw: RawClient;
  readonly stream: Inbox;
  readonly inbox: Inbox;
  readonly call: Call;
}

describe("two users", () => {
  const clean = new AsyncDisposableStack();
  const servers = new Map<string, RelayServer>();
  const names = KINDS.flatMap((kind) => [`stdio-${kind}`, `http-${kind}`]);
  let proxy: RunningProxy;

  beforeAll(async () => {
    const entries: Record<string, unknown> = {};
    for (const name of names) {
      const [transport, isolation] = name.split("-");
      const server = new RelayServer();
      servers.set(name, server);
      const end = clean.use(transport === "http" ? new RelayHttp(server) : new RelayStdio(server));
      entries[name] = { ...end.entry, isolation, options: { authTokens: [ALICE, BOB] } };
    }
    proxy = clean.use(await startProxy(entries));
  });
  afterAll(() => clean.disposeAsync());

  async function open(name: string, token: string, tool: string): Promise<Open> {
    const headers = { authorization: `Bearer ${token}` };
    const raw = await RawClient.open(`${proxy.url}/${name}/mcp`, {
      headers,
      capabilities: '{"sampling":{},"elicitation":{}}',
    });
    const stream = await raw.listen();
    const inbox = raw.call(tool, `{"who":"${token}"}`, "1", '{"progressToken":"same"}');
    return { raw, stream, inbox, call: (await servers.get(name)?.call(tool)) as Call };
  }

  for (const name of names) {
    test(`${name}: nobody sees the other's questions, answers, progress or logs of a call`, async () => {
      const [alice, bob] = [await open(name, ALICE, "secret"), await open(name, BOB, "secret")];
      const server = servers.get(name) as RelayServer;
      for (const [who, { call }] of [
        ["alice", alice],
        ["bob", bob],
      ] as const) {
        call.progress(`"progress":1,"message":"${who}'s"`);
        call.say(`{"jsonrpc":"2.0","id":"q-${who}","method":"sampling/createMessage","params":{"for":"${who}'s"}}`);
      }
      const refusedOrAsked = async (who: string, { raw, inbox }: Open): Promise<void> => {
        const asked = inbox
          .method("sampling/createMessage")
          .then((question) => raw.answer(question, `{"by":"${who}'s"}`));
        asked.catch(() => undefined);
        const answer = server.first(({ message }) => message.id === `q-${who}` && message.method === undefined);
        const { message } = await answer;
        if (message.error === undefined) expect(message.result).toEqual({ by: `${who}'s` });
        else expect(message.error.message).toContain("isolation");
      };
      await Promise.all([refusedOrAsked("alice", alice), refusedOrAsked("bob", bob)]);
      bob.call.result('{"content":"bob\'s"}');
      alice.call.result('{"content":"alice\'s"}');
      expect((await alice.inbox.answer()).message.result).toEqual({ content: "alice's" });
      expect((await bob.inbox.answer()).message.result).toEqual({ content: "bob's" });
      expect([...alice.inbox.texts, ...alice.stream.texts].join("\n")).not.toContain("bob's");
      expect([...bob.inbox.texts, ...bob.stream.texts].join("\n")).not.toContain("alice's");
      await Promise.all([alice.raw.end(), bob.raw.end()]);
    });

    test(`${name}: a user's session id is worth nothing with the other's token`, async () => {
      const { raw, call, inbox } = await open(name, ALICE, "mine");
      raw.headers = { authorization: `Bearer ${BOB}` };
      for (const attempt of [
        raw.call("stolen"),
        raw.post('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'),
      ]) {
        expect(await attempt.status()).toBe(404);
      }
      expect(await raw.end()).toBe(404);
      call.result('{"still":"there"}');
      expect((await inbox.answer()).message.result).toEqual({ still: "there" });
      raw.headers = { authorization: `Bearer ${ALICE}` };
      await raw.end();
    });
  }

  for (const name of ["stdio-user", "http-user"]) {
    test(`${name}: two sessions of one user share a link, two users do not`, async () => {
      const three = [
        await open(name, ALICE, "whose"),
        await open(name, ALICE, "whose"),
        await open(name, BOB, "whose"),
      ];
      const peers = three.map(({ call }) => call.peer);
      expect(peers[0]).toBe(peers[1] as never);
      expect(peers[2]).not.toBe(peers[0] as never);
      for (const { call, inbox, raw } of three) {
        call.result("{}");
        await inbox.answer();
        await raw.end();
      }
    });
  }

  test("on a shared child a late question after one user's call does not go to the next user's", async () => {
    const server = servers.get("stdio-shared") as RelayServer;
    const alice = await open("stdio-shared", ALICE, "leaves-a-question");
    alice.call.result("{}");
    await alice.inbox.answer();
    const bob = await open("stdio-shared", BOB, "innocent");
    const answer = await server.ask(
      bob.call.peer,
      "elicitation/create",
      '{"message":"alice, your password?"}',
      '"late"',
    );
    expect(answer.message.error?.message).toContain("isolation");
    bob.call.result("{}");
    await bob.inbox.answer();
    expect([...bob.inbox.texts, ...bob.stream.texts].join("\n")).not.toContain("password");
    await Promise.all([alice.raw.end(), bob.raw.end()]);
  });

  test("on a shared link nobody hears of resources that only another user subscribed to", async () => {
    const alice = await open("stdio-shared", ALICE, "subscribes");
    const bob = await open("stdio-shared", BOB, "subscribes");
    await alice.raw.request("resources/subscribe", '{"uri":"secret://alice"}', "2").answer();
    const { peer } = alice.call;
    peer.say('{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"secret://alice"}}');
    peer.say('{"jsonrpc":"2.0","method":"notifications/acme/end"}');
    await Promise.all([alice, bob].map(({ stream }) => stream.method("notifications/acme/end")));
    expect(alice.stream.texts.join("\n")).toContain("secret://alice");
    expect(bob.stream.texts.join("\n")).not.toContain("secret://alice");
    for (const { call, inbox, raw } of [alice, bob]) {
      call.result("{}");
      await inbox.answer();
      await raw.end();
    }
  });

  test("no token appears in the log or at a server", async () => {
    expect(
      await hello(`${proxy.url}/http-auto/mcp`, { headers: { authorization: "Bearer wrong-0123456789" } }).status(),
    ).toBe(401);
    const heard = [...servers.values()].flatMap((server) => server.heard);
    // The calls of this file carry them as arguments; headers and all else must not.
    const told = heard.map(
      ({ text, headers, message }) =>
        (message.method === "tools/call" ? "" : text) + JSON.stringify([...(headers ?? [])]),
    );
    for (const token of [ALICE, BOB, "wrong-0123456789"]) {
      expect(JSON.stringify(proxy.log)).not.toContain(token);
      expect(told.join("\n")).not.toContain(token);
    }
  });
});
