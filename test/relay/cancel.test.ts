import { expect, test } from "bun:test";
import { ended } from "../fixtures/relay-server.ts";
import type { Call } from "../fixtures/relay-server.ts";
import { overBoth } from "./relay-contract.ts";

overBoth("cancellation", (subject) => {
  for (const id of ["5", '"5"', '"a\\u0062"', "-1"]) {
    test(`a client takes its request ${id} back: the server hears it with its own id, and no answer comes`, async () => {
      const { server, client, front } = subject();
      const raw = await client();
      const inbox = raw.call("slow", "{}", id);
      const call = await server.call("slow");
      await raw.notify("notifications/cancelled", `{"requestId":${id},"reason":"changed my mind"}`);
      expect((await call.cancelled()).message.params?.["reason"]).toBe("changed my mind");
      call.result('{"late":true}');
      // The stream of HTTP+SSE goes on; what comes behind it shows that nothing came.
      if (front === "http") await inbox.ended();
      else await raw.call("echo", "{}", '"sync"').answer();
      expect(inbox.texts.join()).not.toContain("late");
    });
  }

  test("a number does not cancel the string of the same digits", async () => {
    const { server, client } = subject();
    const raw = await client();
    const inboxes = [raw.call("typed", '{"t":"n"}', "5"), raw.call("typed", '{"t":"s"}', '"5"')];
    const calls = [await server.call("typed"), await server.call("typed")];
    const of = (type: string): Call => calls.find((call) => call.args["t"] === type) as Call;
    await raw.notify("notifications/cancelled", '{"requestId":"5"}');
    await of("s").cancelled();
    of("n").result('{"ok":1}');
    expect((await inboxes[0]?.answer())?.text).toBe('{"jsonrpc":"2.0","id":5,"result":{"ok":1}}');
  });

  test("nobody cancels another session's request, nor one that is over or never was", async () => {
    const { server, client } = subject();
    const [mine, other] = [await client(), await client()];
    const inbox = mine.call("safe", "{}", "31");
    const call = await server.call("safe");
    const before = server.count("notifications/cancelled");
    for (const id of ["31", call.id, '"31"', "999"])
      await other.notify("notifications/cancelled", `{"requestId":${id}}`);
    for (const id of ["999", '"31"']) await mine.notify("notifications/cancelled", `{"requestId":${id}}`);
    call.result('{"ok":1}');
    expect((await inbox.answer()).text).toBe('{"jsonrpc":"2.0","id":31,"result":{"ok":1}}');
    await mine.notify("notifications/cancelled", '{"requestId":31}');
    await mine.call("echo").answer();
    expect(server.count("notifications/cancelled")).toBe(before);
  });

  test("a client that loses its connection has not cancelled, unless the connection was its session", async () => {
    const { server, client, front, transport } = subject();
    const raw = await client();
    const other = await client();
    raw.call("left", "{}", "1");
    const call = await server.call("left");
    raw.vanish();
    if (front === "sse") {
      await (transport !== "stdio" ? Promise.race([call.cancelled(), ended(call.peer)]) : call.cancelled());
      return;
    }
    await other.call("echo").answer();
    call.result("{}");
    await other.call("echo").answer();
    expect(call.wasCancelled).toBe(false);
  });

  test("the end of a session cancels what it left open", async () => {
    const { server, client, transport } = subject();
    const raw = await client();
    const inbox = raw.call("abandoned");
    const call = await server.call("abandoned");
    expect(await raw.end()).toBeLessThan(300);
    // Over HTTP the end of the server's session may say it, too.
    await (transport !== "stdio" ? Promise.race([call.cancelled(), ended(call.peer)]) : call.cancelled());
    await inbox.ended();
  });

  test("the server takes a question back: the client hears it with the id it knows", async () => {
    const { server, client } = subject();
    const raw = await client({ capabilities: '{"sampling":{}}' });
    const inbox = raw.call("regret");
    const call = await server.call("regret");
    for (const id of ['"q"', "3"]) {
      call.say(`{"jsonrpc":"2.0","id":${id},"method":"sampling/createMessage","params":{"tag":${id}}}`);
      const question = await inbox.first((message) => message.params?.["tag"] === JSON.parse(id));
      call.say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id},"reason":"r\\u00fc"}}`);
      const notice = await inbox.first(
        (message) =>
          message.method === "notifications/cancelled" && message.params?.["requestId"] === question.message.id,
      );
      expect(notice.text).toContain('"reason":"r\\u00fc"');
      // An answer that crossed it is for nobody.
      const before = server.heard.length;
      await raw.answer(question, '{"late":true}');
      await raw.call("echo", "{}", '"sync"').answer();
      expect(server.heard.slice(before).filter(({ message }) => message.method === undefined)).toEqual([]);
    }
    call.result("{}");
    await inbox.answer();
  });

  test("of two requests with one id the cancellation takes one, and the other still gets its answer", async () => {
    const { server, client } = subject();
    const raw = await client();
    const inboxes = [raw.call("twin", '{"n":1}', "8")];
    const calls = [await server.call("twin")];
    inboxes.push(raw.call("twin", '{"n":2}', "8"));
    calls.push(await server.call("twin"));
    await raw.notify("notifications/cancelled", '{"requestId":8}');
    const left = await Promise.race(calls.map((call, n) => call.cancelled().then(() => 1 - n)));
    calls[left]?.result(`{"n":${left + 1}}`);
    // On the one stream of HTTP+SSE nothing tells whose of the two it is.
    const answered =
      subject().front === "sse" ? Promise.any(inboxes.map((each) => each.answer())) : inboxes[left]?.answer();
    expect((await answered)?.text).toBe(`{"jsonrpc":"2.0","id":8,"result":{"n":${left + 1}}}`);
  });
});
