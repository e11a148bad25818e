import { expect, test } from "bun:test";
import { overBoth } from "./relay-contract.ts";

const CALLS = 200;
const RESULT_BYTES = 8 * 1024 * 1024;
const ARGUMENT_BYTES = 2 * 1024 * 1024;

overBoth("load", (subject) => {
  test("200 calls of ten sessions at once, answered in another order: each gets its own nonce", async () => {
    const { server, client, front } = subject();
    const clients = await Promise.all(Array.from({ length: 10 }, () => client()));
    const sent = Array.from({ length: CALLS }, (_, n) => {
      const nonce = crypto.randomUUID();
      // Ids repeat between the sessions, and strings stand beside numbers; also within one where each answer is told apart.
      const number = front === "http" ? n % 20 : Math.floor(n / 10);
      const id = n % 3 === 0 ? `"${number}"` : String(number);
      return { nonce, id, inbox: clients[n % 10]?.call("nonce", `{"nonce":"${nonce}"}`, id, '{"progressToken":"t"}') };
    });
    const calls = await Promise.all(sent.map(() => server.call("nonce")));
    const nonceOf = (call: (typeof calls)[number]): string => String(call.args["nonce"]);
    const shuffled = calls.toSorted((a, b) => (nonceOf(a) < nonceOf(b) ? -1 : 1));
    for (const call of shuffled)
      if (Number(call.id) % 2 === 0) call.progress(`"progress":1,"message":"${nonceOf(call)}"`);
    for (const call of shuffled) call.result(`{"nonce":"${nonceOf(call)}"}`);
    for (const { nonce, id, inbox } of sent) {
      const answer = await inbox?.answer();
      expect(answer?.text).toBe(`{"jsonrpc":"2.0","id":${id},"result":{"nonce":"${nonce}"}}`);
      // What comes on the one stream of HTTP+SSE is seen by all who wait there.
      if (front === "http")
        for (const { message } of inbox?.said.slice(0, -1) ?? []) expect(message.params?.["message"]).toBe(nonce);
    }
  });

  test("a result of 8 MB arrives whole, plain and behind progress", async () => {
    const { server, client } = subject();
    const raw = await client();
    // Not one letter over and over: pieces in another order would show. Two and four byte characters get cut.
    const unit = `0123456789 ü\u{1f600} `;
    const text = Array.from({ length: Math.ceil(RESULT_BYTES / 20) }, (_, n) => `${n}${unit}`)
      .join("")
      .slice(0, RESULT_BYTES - 1);
    for (const meta of ["{}", '{"progressToken":1}']) {
      const inbox = raw.call("huge", "{}", '"huge"', meta);
      const call = await server.call("huge");
      if (meta !== "{}") call.progress('"progress":1');
      call.result(`{"content":[{"type":"text","text":"${text}"}]}`);
      const answer = await inbox.answer();
      expect(Bun.hash(answer.text)).toBe(
        Bun.hash(`{"jsonrpc":"2.0","id":"huge","result":{"content":[{"type":"text","text":"${text}"}]}}`),
      );
    }
  });

  test("small answers overtake a large one only whole: messages never mix", async () => {
    const { server, client } = subject();
    const clients = [await client(), await client()];
    const large = clients[0]?.call("large", "{}", "1");
    const call = await server.call("large");
    const small = Array.from({ length: 20 }, (_, n) => clients[1]?.call("small", `{"n":${n}}`, String(n)));
    const calls = await Promise.all(small.map(() => server.call("small")));
    call.result(`{"x":"${"y".repeat(1024 * 1024)}"}`);
    for (const each of calls) each.result(JSON.stringify(each.args));
    expect((await large?.answer())?.text).toHaveLength(
      1024 * 1024 + '{"jsonrpc":"2.0","id":1,"result":{"x":""}}'.length,
    );
    for (const [n, inbox] of small.entries()) expect((await inbox?.answer())?.message.result).toEqual({ n });
  });

  test("an argument of 2 MB arrives whole", async () => {
    const { server, client } = subject();
    const raw = await client();
    const text = Array.from({ length: Math.ceil(ARGUMENT_BYTES / 8) }, (_, n) => `${n} é\\n`)
      .join("")
      .slice(0, ARGUMENT_BYTES);
    const args = `{"text":"${text.replace(/\\$/, "")}"}`;
    const inbox = raw.call("long", args);
    const call = await server.call("long");
    expect(Bun.hash(call.text)).toBe(
      Bun.hash(
        `{"jsonrpc":"2.0","id":${call.id},"method":"tools/call","params":{"name":"long","arguments":${args},"_meta":{}}}`,
      ),
    );
    call.result("{}");
    await inbox.answer();
  });

  test("a question of 1 MB and its answer of 1 MB pass", async () => {
    const { server, client } = subject();
    const raw = await client({ capabilities: '{"sampling":{}}' });
    const inbox = raw.call("asks-long");
    const call = await server.call("asks-long");
    const text = "z".repeat(1024 * 1024);
    const answered = call.ask("sampling/createMessage", `{"text":"${text}"}`, '"long"');
    const question = await inbox.method("sampling/createMessage");
    expect(question.message.params?.["text"]).toBe(text);
    await raw.answer(question, `{"text":"${text}"}`);
    expect((await answered).message.result).toEqual({ text });
    call.result("{}");
    await inbox.answer();
    expect(server.heard.at(-1)?.peer).toBe(call.peer);
  });
});
