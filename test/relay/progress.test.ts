import { expect, test } from "bun:test";
import { overBoth } from "./relay-contract.ts";

const TOKENS = ["1", "0", "-3", '"t"', '""', '"\\u0031"', "9007199254740993", "1.0", '"1"'];

overBoth("progress", (subject) => {
  test("each client gets its own token back as it was written, all in flight at once", async () => {
    const { server, client } = subject();
    const raw = await client();
    const inboxes = TOKENS.map((token, n) =>
      raw.call("work", `{"n":${n}}`, String(n), `{"keep":1.0,"progressToken":${token}}`),
    );
    const calls = await Promise.all(TOKENS.map(() => server.call("work")));
    expect(new Set(calls.map((call) => call.token)).size).toBe(TOKENS.length);
    for (const call of calls) {
      expect(call.message.params?._meta).toHaveProperty("keep", 1);
      call.progress(`"progress":${String(call.args["n"])}.0,"total":100,"message":"\\ud800","own":[1e0]`);
    }
    for (const call of calls) call.result("{}");
    await Promise.all(inboxes.map((inbox) => inbox.answer()));
    // On the one stream of HTTP+SSE all of them hear everything.
    if (subject().front === "sse") return;
    inboxes.forEach((inbox, n) =>
      expect(inbox.texts).toEqual([
        `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${TOKENS[n]},"progress":${n}.0,"total":100,"message":"\\ud800","own":[1e0]}}`,
        `{"jsonrpc":"2.0","id":${n},"result":{}}`,
      ]),
    );
  });

  test("two clients with the same token each get their own progress", async () => {
    const { server, client } = subject();
    const clients = [await client(), await client()];
    const inboxes = clients.map((raw, n) => raw.call("mine", `{"who":${n}}`, "1", '{"progressToken":"same"}'));
    const calls = [await server.call("mine"), await server.call("mine")];
    for (const call of calls.toReversed()) {
      call.progress(`"progress":1,"message":"for ${String(call.args["who"])}"`);
      call.result("{}");
    }
    await Promise.all(inboxes.map((inbox) => inbox.answer()));
    inboxes.forEach((inbox, n) => {
      expect(inbox.said).toHaveLength(2);
      expect(inbox.said[0]?.message.params).toEqual({ progressToken: "same", progress: 1, message: `for ${n}` });
    });
  });

  test("the order of progress is kept, and the answer comes last", async () => {
    const { server, client } = subject();
    const inbox = (await client()).call("steps", "{}", "1", '{"progressToken":1}');
    const call = await server.call("steps");
    for (let n = 1; n <= 200; n++) call.progress(`"progress":${n}`);
    call.result("{}");
    await inbox.answer();
    expect(inbox.said.map(({ message }) => message.params?.["progress"])).toEqual([
      ...Array.from({ length: 200 }, (_, n) => n + 1),
      undefined,
    ]);
  });

  test("progress for tokens nobody gave, and for calls that are over or gave none, reaches nobody", async () => {
    const { server, client } = subject();
    const raw = await client();
    const stream = await raw.listen();
    const done = raw.call("over", "{}", "1", '{"progressToken":"x"}');
    const over = await server.call("over");
    over.result("{}");
    await done.answer();
    const inbox = raw.call("silent", "{}", "2");
    const call = await server.call("silent");
    // By its id: a call without a token must not get progress for want of a better address.
    for (const token of ['"made-up"', "424242", '"x"', over.token, over.id, call.id, `"${call.id}"`, "null"]) {
      call.progress('"progress":1', token);
      call.peer.say(
        `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1}}`,
      );
    }
    call.peer.say('{"jsonrpc":"2.0","method":"notifications/acme/end"}');
    await stream.method("notifications/acme/end");
    call.result("{}");
    await inbox.answer();
    expect(
      [...inbox.said, ...stream.said].filter(({ message }) => message.method === "notifications/progress"),
    ).toEqual([]);
  });

  test("a token may be a question's: the client's progress comes to the server with the token it gave", async () => {
    const { server, client } = subject();
    const raw = await client({ capabilities: '{"sampling":{}}' });
    const inbox = raw.call("asks-progress");
    const call = await server.call("asks-progress");
    for (const token of ['"tok\\u0065n"', "17", "9007199254740993"]) {
      const id = `"q-${token.length}"`;
      const answered = call.ask(
        "sampling/createMessage",
        `{"_meta":{"progressToken":${token},"k":1.0},"tag":${token.length}}`,
        id,
      );
      const question = await inbox.first((message) => message.params?.["tag"] === token.length);
      const given = JSON.stringify(question.message.params?._meta?.["progressToken"]);
      await raw.notify("notifications/progress", `{"progressToken":${given},"progress":0.50,"own":{}}`);
      const text = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":0.50,"own":{}}}`;
      await server.first((each) => each.text === text);
      await raw.answer(question, "{}");
      await answered;
      // The question is over: progress on it is for nobody now.
      const before = server.heard.length;
      await raw.notify("notifications/progress", `{"progressToken":${given},"progress":1}`);
      await raw.call("echo", "{}", '"sync"').answer();
      expect(server.heard.slice(before).filter(({ message }) => message.method === "notifications/progress")).toEqual(
        [],
      );
    }
    call.result("{}");
    await inbox.answer();
  });

  test("progress of one client never answers another client's question", async () => {
    const { server, client } = subject();
    const asked = await client({ capabilities: '{"sampling":{}}' });
    const other = await client({ capabilities: '{"sampling":{}}' });
    const inbox = asked.call("guarded");
    const call = await server.call("guarded");
    const answered = call.ask("sampling/createMessage", '{"_meta":{"progressToken":"p"}}', '"guarded"');
    const question = await inbox.method("sampling/createMessage");
    const given = JSON.stringify(question.message.params?._meta?.["progressToken"]);
    await other.notify("notifications/progress", `{"progressToken":${given},"progress":66}`);
    await asked.notify("notifications/progress", `{"progressToken":${given},"progress":77}`);
    await server.notification("notifications/progress", (message) => message.params?.["progress"] === 77);
    expect(server.heard.filter(({ text }) => text.includes('"progress":66'))).toEqual([]);
    await asked.answer(question, "{}");
    await answered;
    call.result("{}");
    await inbox.answer();
  });
});
