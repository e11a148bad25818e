import { expect, test } from "bun:test";
import { overBoth } from "./relay-contract.ts";

/** A token the proxy has given to nobody, or to somebody else. */
const FOREIGN = 424242;

overBoth("one message read in two ways", (subject) => {
  // Many servers match names without regard to case, or take the first of two: what the proxy did not translate could
  // name another client's call there.
  const metas = [
    `"_meta":{"progressToken":${FOREIGN},"progressToken":"mine"}`,
    `"_meta":{"progressToken":"mine","progressToken":${FOREIGN}}`,
    `"_meta":{"progressToken":"mine","ProgressToken":${FOREIGN}}`,
    `"_meta":{"PROGRESSTOKEN":${FOREIGN}}`,
    `"_meta":{"progressToken":${FOREIGN}},"_meta":{"progressToken":"mine"}`,
    `"_meta":{"progressToken":"mine"},"_Meta":{"progressToken":${FOREIGN}}`,
    `"_META":{"progressToken":${FOREIGN}}`,
    `"_meta":{"progressToken":"mine","\\u0070rogressToken":${FOREIGN}}`,
  ];
  for (const meta of metas) {
    test(`a progress token the proxy has not given reaches no server: {${meta}}`, async () => {
      const { server, client } = subject();
      const raw = await client();
      const before = server.heard.length;
      const inbox = raw.request("tools/call", `{"name":"echo","arguments":{},${meta}}`);
      await inbox.answer();
      expect(server.heard.slice(before).filter(({ text }) => text.includes(String(FOREIGN)))).toEqual([]);
    });
  }

  test("progress on a question under two names reaches no server", async () => {
    const { server, client } = subject();
    const raw = await client({ capabilities: '{"sampling":{}}' });
    const inbox = raw.call("asks");
    const call = await server.call("asks");
    const answered = call.ask("sampling/createMessage", '{"_meta":{"progressToken":"q"}}', '"asks"');
    const question = await inbox.method("sampling/createMessage");
    const given = JSON.stringify(question.message.params?._meta?.["progressToken"]);
    const before = server.heard.length;
    for (const params of [
      `{"progressToken":${given},"ProgressToken":${FOREIGN},"progress":1}`,
      `{"progressToken":${FOREIGN},"progressToken":${given},"progress":1}`,
    ]) {
      await raw.notify("notifications/progress", params);
    }
    await raw.answer(question, "{}");
    await answered;
    expect(server.heard.slice(before).filter(({ text }) => text.includes(String(FOREIGN)))).toEqual([]);
    call.result("{}");
    await inbox.answer();
  });

  test("a cancellation under two names takes back the client's own request and nothing else", async () => {
    const { server, client } = subject();
    const [mine, other] = [await client(), await client()];
    const otherInbox = other.call("theirs");
    const theirs = await server.call("theirs");
    const inbox = mine.call("own", "{}", "5");
    const own = await server.call("own");
    await mine.notify("notifications/cancelled", `{"requestId":5,"RequestId":${theirs.id}}`);
    await mine.notify("notifications/cancelled", `{"requestId":${theirs.id},"requestId":5}`);
    await mine.notify("notifications/Cancelled", `{"requestId":${theirs.id}}`);
    await mine.notify("notifications/acme/sync");
    await server.notification("notifications/acme/sync", () => true);
    expect(theirs.wasCancelled).toBe(false);
    expect(server.heard.filter(({ text }) => text.includes("RequestId"))).toEqual([]);
    own.result("{}");
    theirs.result('{"fine":1}');
    expect((await otherInbox.answer()).message.result).toEqual({ fine: 1 });
    await inbox.ended();
  });
});
