import { expect, test } from "bun:test";
import { overBoth, overHttpClients } from "./relay-contract.ts";

const JSON_ONLY = { accept: "application/json" };
const EVENTS_ONLY = { accept: "text/event-stream" };
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"talks","_meta":{"progressToken":"t"}}}';

overHttpClients("streams", (subject) => {
  test("a plain answer when the answer is the first thing to say, an event stream when it is not", async () => {
    const { server, client } = subject();
    const raw = await client();
    const plain = raw.call("echo");
    expect(await plain.header("content-type")).toBe("application/json");
    const streamed = raw.post(CALL);
    const call = await server.call("talks");
    call.progress('"progress":1');
    expect(await streamed.header("content-type")).toBe("text/event-stream");
    call.result("{}");
    expect((await streamed.answer()).message.id).toBe(1);
    // The stream of a call ends with its answer.
    await streamed.ended();
  });

  test("a client that accepts no stream gets its answer as JSON, and what came before on its other stream", async () => {
    const { server, client } = subject();
    const raw = await client();
    const stream = await raw.listen();
    const inbox = raw.post(CALL, JSON_ONLY);
    const call = await server.call("talks");
    call.progress('"progress":1');
    expect((await stream.method("notifications/progress")).message.params).toEqual({ progressToken: "t", progress: 1 });
    call.result("{}");
    expect(await inbox.header("content-type")).toBe("application/json");
    expect((await inbox.answer()).message.id).toBe(1);
  });

  test("a client that accepts only a stream gets its answer there", async () => {
    const inbox = (await subject().client()).post(CALL.replace("talks", "echo"), EVENTS_ONLY);
    expect(await inbox.header("content-type")).toBe("text/event-stream");
    expect((await inbox.answer()).message.id).toBe(1);
    await inbox.ended();
  });

  test("notifications and answers of a client get 202 and no body", async () => {
    const raw = await subject().client();
    for (const text of ['{"jsonrpc":"2.0","method":"notifications/acme/x"}', '{"jsonrpc":"2.0","id":5,"result":{}}']) {
      const inbox = raw.post(text);
      expect(await inbox.status()).toBe(202);
      await inbox.ended();
      expect(inbox.said).toEqual([]);
    }
  });

  test("what is said while a client has no stream open waits for it, in order", async () => {
    const { server, client, transport } = subject();
    const raw = await client();
    const first = await raw.listen();
    const inbox = raw.call("find-peer");
    const call = await server.call("find-peer");
    call.result("{}");
    await inbox.answer();
    const say = (n: number): void =>
      call.peer.say(`{"jsonrpc":"2.0","method":"notifications/acme/n","params":{"n":${n}}}`);
    if (transport !== "stdio") {
      // There the server keeps for a session of its own what it says while that has no stream open.
      say(0);
      await first.method("notifications/acme/n");
      return;
    }
    const other = await client();
    // This one has been on the shared child and has no stream yet.
    await other.call("echo").answer();
    for (const n of [1, 2, 3]) say(n);
    await first.first(({ params }) => params?.["n"] === 3);
    const late = await other.listen();
    await late.first(({ params }) => params?.["n"] === 3);
    expect(late.said.map(({ message }) => message.params?.["n"])).toEqual([1, 2, 3]);
  });

  test("one message is sent on one stream only, also when a session has two", async () => {
    const { server, client } = subject();
    const raw = await client();
    const streams = [await raw.listen(), await raw.listen()];
    const inbox = raw.call("find-peer");
    const call = await server.call("find-peer");
    call.result("{}");
    await inbox.answer();
    for (const n of [1, 2]) call.peer.say(`{"jsonrpc":"2.0","method":"notifications/acme/n","params":{"n":${n}}}`);
    await Promise.any(streams.map((stream) => stream.first(({ params }) => params?.["n"] === 2)));
    const said = streams.flatMap((stream) => stream.said.map(({ message }) => message.params?.["n"]));
    expect(said).toEqual([1, 2]);
  });
});

overBoth("line breaks", (subject) => {
  test("a message with raw line breaks from the server stays one event", async () => {
    const { server, client, transport } = subject();
    // A line ends a message on stdio, so only HTTP can do this.
    if (transport === "stdio") return;
    const inbox = (await client()).call("pretty", "{}", "1", '{"progressToken":1}');
    const call = await server.call("pretty");
    call.result('{\n  "pretty": [\r\n 1 ]\n}');
    const { text } = await inbox.answer();
    expect(text).not.toMatch(/[\r\n]/);
    expect(JSON.parse(text)).toEqual({ jsonrpc: "2.0", id: 1, result: { pretty: [1] } });
  });
});

overBoth(
  "messages beyond the limit",
  (subject) => {
    test("an answer that is too long fails its own call in words, and the others go on", async () => {
      const { server, client } = subject();
      const raw = await client();
      const [long, other] = [raw.call("long", "{}", "1"), raw.call("other", "{}", "2")];
      const [longCall, otherCall] = [await server.call("long"), await server.call("other")];
      longCall.result(`{"x":"${"y".repeat(200_000)}"}`);
      expect((await long.answer()).message.error?.message).toContain("100000 bytes");
      otherCall.result(`{"x":"${"y".repeat(50_000)}"}`);
      expect((await other.answer()).message).toHaveProperty("result");
    });
  },
  { mcpProxy: { maxMessageBytes: 100_000 } },
);
