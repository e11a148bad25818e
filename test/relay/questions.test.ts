import { expect, test } from "bun:test";
import type { Call } from "../fixtures/relay-server.ts";
import type { Inbox, RawClient } from "./raw-client.ts";
import { overBoth } from "./relay-contract.ts";
import type { Subject } from "./relay-contract.ts";

/** Method, params and the capability a client needs for it. */
const QUESTIONS = [
  [
    "sampling/createMessage",
    '{"messages":[],"maxTokens":1.0}',
    '{"sampling":{}}',
    '{"role":"assistant","content":[],"model":"m"}',
  ],
  [
    "sampling/createMessage",
    '{"messages":[],"tools":[{"name":"t"}],"toolChoice":{}}',
    '{"sampling":{"tools":{}}}',
    '{"stopReason":"toolUse"}',
  ],
  [
    "elicitation/create",
    '{"message":"m","requestedSchema":{"type":"object"}}',
    '{"elicitation":{}}',
    '{"action":"accept","content":{"n":1e0}}',
  ],
  ["elicitation/create", '{"mode":"form","message":"m"}', '{"elicitation":{"form":{}}}', '{"action":"decline"}'],
  [
    "elicitation/create",
    '{"mode":"url","message":"m","url":"https://a.example/","elicitationId":"e1"}',
    '{"elicitation":{"url":{}}}',
    '{"action":"cancel"}',
  ],
  ["ping", "{}", "{}", "{}"],
  ["acme/unheard.of", '{"x":"\\ud800"}', "{}", '{"y":12345678901234567890}'],
] as const;

async function open(
  subject: Subject,
  tool: string,
  capabilities: string,
): Promise<{ raw: RawClient; inbox: Inbox; call: Call }> {
  const raw = await subject.client({ capabilities });
  const inbox = raw.call(tool);
  return { raw, inbox, call: await subject.server.call(tool) };
}

overBoth("questions of a server", (subject) => {
  QUESTIONS.forEach(([method, params, capabilities, result], n) => {
    test(`${method} reaches the client whose call caused it, and its answer the server (${capabilities}, ${n})`, async () => {
      const { raw, inbox, call } = await open(subject(), `ask-${n}`, capabilities);
      const bystander = await subject().client({ capabilities });
      const stream = await bystander.listen();
      const answered = call.ask(method, params, `"ask-${n}"`);
      if (method !== "ping") {
        const question = await inbox.method(method);
        expect(question.text).toEndWith(`"method":"${method}","params":${params}}`);
        await raw.answer(question, result);
      }
      // A ping may be answered by the proxy itself: it asks after the link, not after the person.
      else
        void inbox
          .method("ping")
          .then((question) => raw.answer(question, result))
          .catch(() => undefined);
      expect((await answered).text).toBe(`{"jsonrpc":"2.0","id":"ask-${n}","result":${result}}`);
      call.result('{"ok":true}');
      expect((await inbox.answer()).message.result).toEqual({ ok: true });
      expect(stream.said).toEqual([]);
    });
  });

  test("a client's error answers the question with its code and data", async () => {
    const { raw, inbox, call } = await open(subject(), "refused", '{"sampling":{}}');
    const answered = call.ask("sampling/createMessage", "{}", '"refused"');
    const question = await inbox.method("sampling/createMessage");
    const error = '{"code":-1,"message":"User rejected","data":{"n":1.0}}';
    await raw.post(`{"jsonrpc":"2.0","id":${JSON.stringify(question.message.id)},"error":${error}}`).ended();
    expect((await answered).text).toBe(`{"jsonrpc":"2.0","id":"refused","error":${error}}`);
    call.result("{}");
    await inbox.answer();
  });

  const lacking = [
    ["sampling/createMessage", '{"messages":[],"tools":[{"name":"t"}]}', '{"sampling":{}}'],
    ["sampling/createMessage", "{}", '{"elicitation":{}}'],
    ["elicitation/create", '{"message":"m"}', '{"sampling":{}}'],
    ["elicitation/create", '{"message":"m"}', '{"elicitation":{"url":{}}}'],
    ["elicitation/create", '{"mode":"url","url":"https://a.example/"}', '{"elicitation":{}}'],
    ["elicitation/create", '{"mode":"url","url":"https://a.example/"}', '{"elicitation":{"form":{}}}'],
    ["roots/list", "{}", '{"sampling":{},"elicitation":{}}'],
  ] as const;
  lacking.forEach(([method, params, capabilities], n) => {
    test(`${method} ${params} to a client with ${capabilities} alone: the server gets an error at once`, async () => {
      const { inbox, call } = await open(subject(), `lacking-${n}`, capabilities);
      const started = performance.now();
      const answer = await call.ask(method, params, `"lacking-${n}"`);
      expect(performance.now() - started).toBeLessThan(3_000);
      expect(answer.message.error?.code).toBeNumber();
      expect(answer.message.error?.message).toContain(method);
      call.result("{}");
      await inbox.answer();
      expect(inbox.said).toHaveLength(1);
    });
  });

  test("a session that ends while the server waits: the server gets an error at once", async () => {
    const { raw, inbox, call } = await open(subject(), "leaving", '{"sampling":{}}');
    const answered = call.ask("sampling/createMessage", "{}", '"leaving"');
    await inbox.method("sampling/createMessage");
    await raw.end();
    const started = performance.now();
    expect((await answered).message.error?.message).toContain("session");
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  test("a client may call the server while it is being asked, and answer afterwards", async () => {
    const { raw, inbox, call } = await open(subject(), "meanwhile", '{"elicitation":{}}');
    const answered = call.ask("elicitation/create", '{"message":"m"}', '"meanwhile"');
    const question = await inbox.method("elicitation/create");
    expect((await raw.call("echo", "{}", '"in between"').answer()).message.id).toBe("in between");
    await raw.answer(question, '{"action":"accept"}');
    expect((await answered).message.result).toEqual({ action: "accept" });
    call.result("{}");
    await inbox.answer();
  });

  test("a question is answered once: a second answer reaches nobody", async () => {
    const { raw, inbox, call } = await open(subject(), "once", '{"sampling":{}}');
    const answered = call.ask("sampling/createMessage", "{}", '"once"');
    const question = await inbox.method("sampling/createMessage");
    await raw.answer(question, '{"n":1}');
    await raw.answer(question, '{"n":2}');
    await answered;
    await raw.call("echo", "{}", '"sync"').answer();
    const { server } = subject();
    expect(server.heard.filter(({ message }) => message.id === "once").map(({ message }) => message.result)).toEqual([
      { n: 1 },
    ]);
    call.result("{}");
    await inbox.answer();
  });

  test("elicitation/complete reaches the client that was asked", async () => {
    const { raw, inbox, call } = await open(subject(), "completes", '{"elicitation":{"url":{}}}');
    const stream = await raw.listen();
    const answered = call.ask(
      "elicitation/create",
      '{"mode":"url","url":"https://a.example/","elicitationId":"e9"}',
      '"completes"',
    );
    await raw.answer(await inbox.method("elicitation/create"), '{"action":"accept"}');
    await answered;
    call.say('{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"e9"}}');
    // Over stdio it names no call, so it may come on either stream.
    const complete = await Promise.any(
      [inbox, stream].map((each) => each.method("notifications/elicitation/complete")),
    );
    expect(complete.message.params).toEqual({ elicitationId: "e9" });
    call.result("{}");
    await inbox.answer();
  });

  test("a question while no call is open is refused on a shared link, and the server is told why", async () => {
    const { server, client, transport } = subject();
    const raw = await client();
    await raw.call("echo").answer();
    if (transport !== "stdio") return;
    // A session without capabilities stays on the shared child.
    const peer = await server.peer(1);
    const answer = await server.ask(peer, "sampling/createMessage", "{}", '"nobody"');
    expect(answer.message.error?.message).toContain("isolation");
    expect((await server.ask(peer, "ping", "{}", '"idle ping"')).message.result).toEqual({});
  });
});
