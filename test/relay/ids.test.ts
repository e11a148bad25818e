import { expect, test } from "bun:test";
import { overBoth } from "./relay-contract.ts";

const RAW_IDS = [
  "5",
  '"5"',
  "0",
  "-1",
  "1e0",
  "1.0",
  "1.5",
  "9007199254740993",
  "123456789012345678901234567890",
  '""',
  '"\\u0041"',
  '"a\\"b"',
  '"\\ud800"',
  '"null"',
];

overBoth("ids", (subject) => {
  test("each id comes back as it was written, all in flight at once", async () => {
    const { server, client } = subject();
    const raw = await client();
    const inboxes = RAW_IDS.map((id, n) => raw.call("by-id", `{"n":${n}}`, id));
    const calls = await Promise.all(RAW_IDS.map(() => server.call("by-id")));
    expect(new Set(calls.map((call) => call.id)).size).toBe(RAW_IDS.length);
    for (const call of calls.toReversed()) call.result(JSON.stringify(call.args));
    const answers = await Promise.all(inboxes.map((inbox) => inbox.answer()));
    expect(answers.map(({ text }) => text)).toEqual(
      RAW_IDS.map((id, n) => `{"jsonrpc":"2.0","id":${id},"result":{"n":${n}}}`),
    );
  });

  test("the same id in flight from two sessions stays with each", async () => {
    const { server, client } = subject();
    const clients = [await client(), await client()];
    const inboxes = clients.map((raw, n) => raw.call("same", `{"who":${n}}`, "1"));
    const calls = [await server.call("same"), await server.call("same")];
    for (const call of calls.toReversed()) call.result(JSON.stringify(call.args));
    const answers = await Promise.all(inboxes.map((inbox) => inbox.answer()));
    expect(answers.map(({ text }) => text)).toEqual([
      '{"jsonrpc":"2.0","id":1,"result":{"who":0}}',
      '{"jsonrpc":"2.0","id":1,"result":{"who":1}}',
    ]);
  });

  test("the same id twice in one session: each request gets the answer to its own question", async () => {
    const { server, client } = subject();
    const raw = await client();
    const first = raw.call("twice", '{"n":1}', "8");
    const one = await server.call("twice");
    const second = raw.call("twice", '{"n":2}', "8");
    const two = await server.call("twice");
    two.result('{"n":2}');
    one.result('{"n":1}');
    const answers = [(await first.answer()).text, (await second.answer()).text];
    // On the one stream of HTTP+SSE nothing tells whose of the two is whose.
    expect(subject().front === "sse" ? answers.toSorted() : answers).toEqual([
      '{"jsonrpc":"2.0","id":8,"result":{"n":1}}',
      '{"jsonrpc":"2.0","id":8,"result":{"n":2}}',
    ]);
  });

  test("an id may be used again after its answer", async () => {
    const raw = await subject().client();
    for (let n = 0; n < 3; n++) expect((await raw.call("echo", "{}", "1").answer()).message.id).toBe(1);
  });

  test("ids of a server's questions come back to it as it wrote them, two servers' tongues at once", async () => {
    const { server, client } = subject();
    const raw = await client({ capabilities: '{"sampling":{}}' });
    const inbox = raw.call("asks-ids");
    const call = await server.call("asks-ids");
    const ids = ["1", '"1"', "-7", "2e0", "9007199254740993", '"q-\\u00e9"'];
    const asked = ids.map(
      (id) => `{"jsonrpc":"2.0","id":${id},"method":"sampling/createMessage","params":{"tag":${id}}}`,
    );
    for (const text of asked) call.say(text);
    for (const id of ids) {
      const tag: unknown = JSON.parse(id);
      await raw.answer(await inbox.first((message) => message.params?.["tag"] === tag), `{"tag":${id}}`);
    }
    for (const id of ids) {
      const text = `{"jsonrpc":"2.0","id":${id},"result":{"tag":${id}}}`;
      expect((await server.first((each) => each.text === text)).peer).toBe(call.peer);
    }
    call.result("{}");
    await inbox.answer();
  });

  test("a server's question may carry the same id as the client's open request", async () => {
    const { server, client } = subject();
    const raw = await client({ capabilities: '{"sampling":{}}' });
    const inbox = raw.call("mirror", "{}", "1");
    const call = await server.call("mirror");
    const answered = call.ask("sampling/createMessage", "{}", call.id);
    const question = await inbox.method("sampling/createMessage");
    await raw.answer(question, '{"role":"assistant"}');
    expect((await answered).message.result).toEqual({ role: "assistant" });
    call.result('{"done":1}');
    expect((await inbox.answer()).text).toBe('{"jsonrpc":"2.0","id":1,"result":{"done":1}}');
  });

  test("answers to questions nobody asked reach no server", async () => {
    const { server, client } = subject();
    const raw = await client();
    const before = server.heard.length;
    for (const id of ["1", '"1"', "99999999", "null"])
      await raw.post(`{"jsonrpc":"2.0","id":${id},"result":{"forged":true}}`).ended();
    await raw.call("echo").answer();
    expect(server.heard.slice(before).filter(({ text }) => text.includes("forged"))).toEqual([]);
  });

  test("another session cannot answer a question", async () => {
    const { server, client } = subject();
    const asked = await client({ capabilities: '{"sampling":{}}' });
    const other = await client({ capabilities: '{"sampling":{}}' });
    const inbox = asked.call("private");
    const call = await server.call("private");
    const answered = call.ask("sampling/createMessage", "{}", '"secret"');
    const question = await inbox.method("sampling/createMessage");
    await other.answer(question, '{"from":"thief"}');
    await asked.answer(question, '{"from":"owner"}');
    expect((await answered).message.result).toEqual({ from: "owner" });
    call.result("{}");
    await inbox.answer();
  });
});
