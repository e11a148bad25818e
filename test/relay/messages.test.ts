import { expect, test } from "bun:test";
import { overBoth } from "./relay-contract.ts";

const parse = (text: string): { id?: unknown; method?: string; params?: unknown; result?: unknown; error?: unknown } =>
  JSON.parse(text) as never;

overBoth(
  "messages of clients",
  (subject) => {
    test("initialize answers with the server's own introduction and the client's version", async () => {
      const { client } = subject();
      const { introduction } = await client({ version: "2025-03-26" });
      expect(introduction.message.result).toEqual({
        protocolVersion: "2025-03-26",
        capabilities: { tools: {}, prompts: {}, resources: { subscribe: true }, logging: {}, completions: {} },
        serverInfo: { name: "scripted", version: "7" },
        instructions: "Ask me \ud83e\udd14",
        unheardOf: [1],
      });
    });

    test("a method nobody has specified reaches the server, and its answer the client", async () => {
      const { server, client } = subject();
      const inbox = (await client()).request("acme/never.heard.of", '{"deep":[{"x":null}]}', '"q"');
      const call = await server.request("acme/never.heard.of");
      expect(call.message.params).toEqual({ deep: [{ x: null }] });
      call.result('{"odd":[true],"_meta":{"a/b":1}}');
      expect((await inbox.answer()).text).toBe('{"jsonrpc":"2.0","id":"q","result":{"odd":[true],"_meta":{"a/b":1}}}');
    });

    test("fields nobody has specified stay in a message, outside params as well", async () => {
      const { server, client } = subject();
      const raw = await client();
      const inbox = raw.post(
        '{"x-before":{"id":9},"jsonrpc":"2.0","id":1,"method":"odd/fields","params":{"p":1},"x-after":[2]}',
      );
      const call = await server.request("odd/fields");
      expect(call.text).toBe(
        `{"x-before":{"id":9},"jsonrpc":"2.0","id":${call.id},"method":"odd/fields","params":{"p":1},"x-after":[2]}`,
      );
      call.say(`{"trace":"t","jsonrpc":"2.0","id":${call.id},"result":{},"more":{"id":3}}`);
      expect((await inbox.answer()).text).toBe('{"trace":"t","jsonrpc":"2.0","id":1,"result":{},"more":{"id":3}}');
    });

    test("a request without params stays without", async () => {
      const { server, client } = subject();
      const raw = await client();
      const inbox = raw.post('{"jsonrpc":"2.0","id":1,"method":"bare/request"}');
      const call = await server.request("bare/request");
      expect(parse(call.text)).not.toHaveProperty("params");
      call.result("{}");
      expect((await inbox.answer()).text).toBe('{"jsonrpc":"2.0","id":1,"result":{}}');
    });

    test("notifications of a client go up as they are, unknown ones too", async () => {
      const { server, client } = subject();
      await (await client()).notify("notifications/acme/ünknown", '{"n":1.10,"s":"\\u0041"}');
      const heard = await server.notification("notifications/acme/ünknown");
      expect(heard.text).toBe(
        '{"jsonrpc":"2.0","method":"notifications/acme/ünknown","params":{"n":1.10,"s":"\\u0041"}}',
      );
    });

    test("notifications of the server within a call come before its answer and in order, unknown ones too", async () => {
      const { server, client } = subject();
      const inbox = (await client()).call("talk");
      const call = await server.call("talk");
      for (const n of [1, 2, 3]) call.say(`{"jsonrpc":"2.0","method":"notifications/acme/step","params":{"n":${n}.0}}`);
      call.result("{}");
      await inbox.answer();
      const texts = inbox.texts;
      // Over stdio such a notification names no call, so it goes to the sessions; see the next test.
      if (subject().transport === "http") {
        expect(texts).toEqual([
          ...[1, 2, 3].map((n) => `{"jsonrpc":"2.0","method":"notifications/acme/step","params":{"n":${n}.0}}`),
          '{"jsonrpc":"2.0","id":1,"result":{}}',
        ]);
      }
    });

    test("what a server says outside any call reaches the stream of the session", async () => {
      const { server, client } = subject();
      const raw = await client();
      const stream = await raw.listen();
      // Over HTTP this makes the session's own link to the server.
      const echo = raw.call("outside");
      const call = await server.call("outside");
      call.result("{}");
      await echo.answer();
      call.peer.say('{"jsonrpc":"2.0","method":"notifications/acme/outside","params":{"big":12345678901234567890}}');
      const said = await stream.method("notifications/acme/outside");
      expect(said.text).toBe(
        '{"jsonrpc":"2.0","method":"notifications/acme/outside","params":{"big":12345678901234567890}}',
      );
    });

    for (const kind of ["tools", "prompts", "resources"]) {
      test(`${kind}/list_changed reaches every session, also from within somebody's call`, async () => {
        const { server, client, transport } = subject();
        const [first, second] = [await client(), await client()];
        const streams = [await first.listen(), await second.listen()];
        const method = `notifications/${kind}/list_changed`;
        const inboxes = [first.call(`change-${kind}`, '{"n":1}'), second.call(`change-${kind}`, '{"n":2}')];
        const calls = [await server.call(`change-${kind}`), await server.call(`change-${kind}`)];
        calls[0]?.say(`{"jsonrpc":"2.0","method":"${method}"}`);
        // Over HTTP in `auto` each session has a server session of its own, which speaks for itself.
        if (transport !== "stdio") calls[1]?.say(`{"jsonrpc":"2.0","method":"${method}"}`);
        for (const call of calls) call.result("{}");
        await Promise.all(inboxes.map((inbox) => inbox.answer()));
        await Promise.all(streams.map((stream) => stream.method(method)));
      });
    }

    test("an error of the server passes as it is, with its code, message and data", async () => {
      const { server, client } = subject();
      const raw = await client();
      const errors = [
        '{"code":-32602,"message":"no such thing","data":{"why":[1e400,"\\ud800"],"n":9007199254740993}}',
        '{"code":-32042,"message":"","data":null}',
        '{"code":7,"message":"own code","extra":true}',
        '{"code":-32603,"message":"line\\nbreak","data":"text"}',
      ];
      for (const error of errors) {
        const inbox = raw.call("fail", "{}", "77");
        (await server.call("fail")).error(error);
        expect((await inbox.answer()).text).toBe(`{"jsonrpc":"2.0","id":77,"error":${error}}`);
        expect(await inbox.status()).toBe(200);
      }
    });

    test("a tool's own failure (isError) is a result like any other", async () => {
      const { server, client } = subject();
      const inbox = (await client()).call("unhappy");
      (await server.call("unhappy")).result('{"content":[{"type":"text","text":"no"}],"isError":true}');
      expect((await inbox.answer()).text).toBe(
        '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"no"}],"isError":true}}',
      );
    });

    test("ping of a client is answered with an empty result", async () => {
      const inbox = (await subject().client()).request("ping", "{}", '"p"');
      expect((await inbox.answer()).text).toBe('{"jsonrpc":"2.0","id":"p","result":{}}');
    });
  },
  {
    prepare: (server) => {
      server.introduce = ({ message }) => {
        const version = JSON.stringify(message.params?.["protocolVersion"]);
        return (
          `{"unheardOf":[1],"protocolVersion":${version},"capabilities":${server.capabilities},` +
          '"serverInfo":{"name":"scripted","version":"7"},"instructions":"Ask me \\ud83e\\udd14"}'
        );
      };
    },
  },
);
