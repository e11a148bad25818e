import { expect, test } from "bun:test";
import { overBoth } from "./relay-contract.ts";

/** JSON that does not survive a parser and a printer. */
const FRAGILE = [
  "9007199254740993",
  "-123456789012345678901234567890",
  "1.0",
  "1e2",
  "1E+2",
  "-0",
  "1e400",
  "0.1000000000000000055511151231257827",
  '"\\ud800"',
  '"\\udc00 alone"',
  '"\\u0041\\u00e9\\/\\b\\f"',
  '"\\ud83d\\ude00 \u{1f600} \u2028\u2029 \u00e9e\u0301"',
  '"\\u0000"',
  '{"a":1,"a":2,"__proto__":{"x":1},"constructor":null,"":0}',
  '{"2":0,"1":0,"b":0,"a":0}',
  "[ 1 ,\t2 , { } , [ ] ]",
  '{"id":5,"method":"x","params":{"_meta":{"progressToken":1}},"result":{},"jsonrpc":"1.0"}',
  '"\\"id\\":7,\\\\\\"}{]["',
  '{"$ref":"#/$defs/a","$defs":{"a":{"definitions":{"const":1.0}}}}',
];

overBoth("text", (subject) => {
  test("arguments arrive byte for byte as they were sent", async () => {
    const { server, client } = subject();
    const raw = await client();
    for (const fragile of FRAGILE) {
      const inbox = raw.post(
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"keep","arguments":${fragile}}}`,
      );
      const call = await server.call("keep");
      expect(call.text).toBe(
        `{"jsonrpc":"2.0","id":${call.id},"method":"tools/call","params":{"name":"keep","arguments":${fragile}}}`,
      );
      call.result("{}");
      await inbox.answer();
    }
  });

  test("results arrive byte for byte as they were sent, plain and as an event", async () => {
    const { server, client } = subject();
    const raw = await client();
    for (const fragile of FRAGILE) {
      const inbox = raw.call("keep-result", "{}", "1", '{"progressToken":1}');
      const call = await server.call("keep-result");
      // Something before the answer makes it an event of a stream.
      if (fragile.startsWith('"')) call.progress(`"progress":1,"x":${fragile}`);
      call.result(`{"structuredContent":${fragile}}`);
      expect((await inbox.answer()).text).toBe(`{"jsonrpc":"2.0","id":1,"result":{"structuredContent":${fragile}}}`);
      if (fragile.startsWith('"')) expect(inbox.texts[0]).toEndWith(`"progress":1,"x":${fragile}}}`);
    }
  });

  test("questions of the server and their answers keep their text too", async () => {
    const { server, client } = subject();
    const raw = await client({ capabilities: '{"sampling":{}}' });
    for (const fragile of FRAGILE) {
      const inbox = raw.call("keep-question");
      const call = await server.call("keep-question");
      const answered = call.ask("sampling/createMessage", `{"x":${fragile}}`, '"keep"');
      const question = await inbox.method("sampling/createMessage");
      expect(question.text).toEndWith(`"method":"sampling/createMessage","params":{"x":${fragile}}}`);
      const before = server.heard.length;
      await raw.answer(question, `{"y":${fragile}}`);
      await answered;
      const text = `{"jsonrpc":"2.0","id":"keep","result":{"y":${fragile}}}`;
      await server.first((each) => server.heard.indexOf(each) >= before && each.text === text);
      call.result("{}");
      await inbox.answer();
    }
  });

  test("a body over several lines reaches the server as one message", async () => {
    const { server, client } = subject();
    const raw = await client();
    const pretty = JSON.stringify(
      { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "pretty", arguments: { text: "a\nb\r\nc" } } },
      null,
      2,
    );
    for (const body of [pretty, pretty.replaceAll("\n", "\r\n"), `\n\r\t ${pretty} \n\n`]) {
      const inbox = raw.post(body);
      const call = await server.call("pretty");
      expect(call.args).toEqual({ text: "a\nb\r\nc" });
      call.result("{}");
      expect((await inbox.answer()).message.id).toBe(1);
    }
  });

  test("a name of the envelope twice, or in another spelling, is refused and reaches no server", async () => {
    const { server, client } = subject();
    const raw = await client();
    const call = '"method":"tools/call","params":{"name":"smuggled"}';
    const bodies = [
      `{"jsonrpc":"2.0","id":1,"id":2,${call}}`,
      `{"jsonrpc":"2.0","id":1,"method":"ping",${call}}`,
      `{"jsonrpc":"2.0","id":1,${call},"params":{}}`,
      `{"jsonrpc":"2.0","id":1,${call},"\\u0070arams":{}}`,
      `{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,${call}}`,
      `{"jsonrpc":"2.0","id":1,${call},"Params":{}}`,
      `{"jsonrpc":"2.0","id":1,"METHOD":"ping",${call}}`,
      `{"jsonrpc":"2.0","ID":1,${call}}`,
      `{"jsonrpc":"2.0","id":1,${call},"result":{}}`,
    ];
    for (const body of bodies) {
      const inbox = raw.post(body);
      expect((await inbox.answer()).message.error?.code, body).toBe(-32600);
      expect(await inbox.status(), body).toBe(400);
    }
    await raw.call("echo").answer();
    expect(server.heard.filter(({ text }) => text.includes("smuggled"))).toEqual([]);
  });

  test("a tool's output schema, annotations and structured content stay as the server wrote them", async () => {
    const { server, client } = subject();
    const raw = await client();
    const list =
      '{"tools":[{"name":"t","inputSchema":{"type":"object","properties":{"n":{"maximum":1e400}}},"outputSchema":' +
      '{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"a":{}},"allOf":[{"$ref":"#/$defs/a"}]},' +
      '"annotations":{"readOnlyHint":true},"icons":[],"_meta":{"v":1.0},"x-own":0}],"_meta":{},"odd":1.50}';
    server.automatic.set("tools/list", list);
    expect((await raw.request("tools/list").answer()).text).toBe(`{"jsonrpc":"2.0","id":1,"result":${list}}`);
  });

  test("cursors go up and come down untouched, page after page", async () => {
    const { server, client } = subject();
    const raw = await client();
    server.automatic.delete("prompts/list");
    const inbox = raw.request("prompts/list", '{"cursor":"p\\u0031/=?\\ud800","extra":1.0}');
    const call = await server.request("prompts/list", ({ text }) => text.includes("cursor"));
    expect(call.text).toEndWith('"params":{"cursor":"p\\u0031/=?\\ud800","extra":1.0}}');
    call.result('{"prompts":[{"name":"x"}],"nextCursor":"\\u0032 ü"}');
    expect((await inbox.answer()).text).toEndWith('"result":{"prompts":[{"name":"x"}],"nextCursor":"\\u0032 ü"}}');
    server.automatic.set("prompts/list", '{"prompts":[]}');
  });

  test("completion, prompts, templates and binary resources pass through", async () => {
    const { server, client } = subject();
    const raw = await client();
    const blob = Buffer.from(Uint8Array.from({ length: 4096 }, (_, n) => (n * 7) % 256)).toString("base64");
    const cases = [
      [
        "completion/complete",
        '{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"b"},"context":{"arguments":{}}}',
        '{"completion":{"values":["b1"],"total":1.0,"hasMore":false}}',
      ],
      [
        "prompts/get",
        '{"name":"p","arguments":{"a":"\\u00e4"}}',
        '{"messages":[{"role":"user","content":{"type":"audio","data":"AAA=","mimeType":"audio/wav"}}]}',
      ],
      ["resources/templates/list", "{}", '{"resourceTemplates":[{"uriTemplate":"a://{+x}","name":"t"}]}'],
      [
        "resources/read",
        '{"uri":"bin://x"}',
        `{"contents":[{"uri":"bin://x","mimeType":"application/octet-stream","blob":"${blob}"}]}`,
      ],
    ] as const;
    for (const [method, params, result] of cases) {
      const inbox = raw.request(method, params);
      // The proxy lists templates too, for itself, and without parameters.
      const call = await server.request(method, ({ text }) => text.includes('"params"'));
      expect(call.text).toEndWith(`"params":${params}}`);
      call.result(result);
      expect((await inbox.answer()).text).toBe(`{"jsonrpc":"2.0","id":1,"result":${result}}`);
    }
  });
});
