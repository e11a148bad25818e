import { expect, test } from "bun:test";
import { ModernClient, VERSION } from "../relay/modern-client.ts";
import { overBoth } from "../relay/relay-contract.ts";

const K = "io.modelcontextprotocol/";
const GOOD = { "mcp-protocol-version": VERSION, "mcp-method": "tools/list" };
const ENVELOPE = `"${K}protocolVersion":"${VERSION}","${K}clientCapabilities":{}`;

function list(meta: string, id = '"own id"'): string {
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/list","params":{"cursor":"refused","_meta":{${meta}}}}`;
}

/** What is sent, and what has to come: HTTP status and code. */
const WRONG: readonly (readonly [string, string, Record<string, string>, number, number])[] = [
  ["no version header", list(ENVELOPE), { "mcp-method": "tools/list" }, 400, -32020],
  ["another version in the header", list(ENVELOPE), { ...GOOD, "mcp-protocol-version": "2025-11-25" }, 400, -32020],
  [
    "an unknown version, and another one in the header",
    list(ENVELOPE.replace(VERSION, "2030-01-01")),
    GOOD,
    400,
    -32020,
  ],
  [
    "an unknown version",
    list(ENVELOPE.replace(VERSION, "2030-01-01")),
    { ...GOOD, "mcp-protocol-version": "2030-01-01" },
    400,
    -32022,
  ],
  [
    "an envelope that names a legacy version",
    list(ENVELOPE.replace(VERSION, "2025-11-25")),
    { ...GOOD, "mcp-protocol-version": "2025-11-25" },
    400,
    -32022,
  ],
  ["no method header", list(ENVELOPE), { "mcp-protocol-version": VERSION }, 400, -32020],
  ["another method in the header", list(ENVELOPE), { ...GOOD, "mcp-method": "Tools/list" }, 400, -32020],
  ["the header alone", '{"jsonrpc":"2.0","id":"own id","method":"tools/list"}', GOOD, 400, -32602],
  ["no capabilities", list(`"${K}protocolVersion":"${VERSION}"`), GOOD, 400, -32602],
  [
    "capabilities that are a list",
    list(`"${K}protocolVersion":"${VERSION}","${K}clientCapabilities":[]`),
    GOOD,
    400,
    -32602,
  ],
  ["a version that is a number", list(`"${K}protocolVersion":5,"${K}clientCapabilities":{}`), GOOD, 400, -32602],
  ["an unknown log level", list(`${ENVELOPE},"${K}logLevel":"loud"`), GOOD, 400, -32602],
];

overBoth(
  "stateless requests",
  (subject) => {
    const client = (): ModernClient => new ModernClient(subject().url);

    for (const [what, body, headers, status, code] of WRONG) {
      test(`${what}: ${status}, ${code}, with the id, and nothing reaches the server`, async () => {
        const inbox = client().post(body, headers);
        const { message } = await inbox.answer();
        expect(await inbox.status()).toBe(status);
        expect(message).toMatchObject({ id: "own id", error: { code } });
        if (code === -32022)
          expect(message.error?.data).toEqual({ supported: [VERSION], requested: expect.any(String) });
        expect(subject().server.heard.some(({ text }) => text.includes("refused"))).toBeFalse();
      });
    }

    for (const method of ["ping", "initialize", "logging/setLevel", "resources/subscribe", "tasks/list"]) {
      test(`${method} does not exist: 404, -32601`, async () => {
        const inbox = client().request(method);
        expect((await inbox.answer()).message.error?.code).toBe(-32601);
        expect(await inbox.status()).toBe(404);
      });
    }

    test("the name in the header is compared after decoding, and is needed", async () => {
      const asked = (name: string): ReturnType<ModernClient["request"]> =>
        client().request("tools/call", '"name":"echo","arguments":{}', name === "" ? {} : { "mcp-name": name });
      for (const name of ["", "other", "Echo", "=?base64?b3RoZXI=?=", "=?base64?!?="]) {
        const inbox = asked(name);
        expect((await inbox.answer()).message.error?.code).toBe(-32020);
        expect(await inbox.status()).toBe(400);
      }
      for (const name of ["echo", "=?base64?ZWNobw==?="]) {
        expect((await asked(name).answer()).message).toHaveProperty("result.resultType", "complete");
      }
    });

    test("a notification: 202 and nothing; a cancellation by it concerns nobody", async () => {
      const called = client().call("waits");
      const call = await subject().server.call("waits");
      for (const method of ["notifications/cancelled", "notifications/vendor/own"]) {
        const inbox = client().post(`{"jsonrpc":"2.0","method":"${method}","params":{"requestId":1}}`, {
          ...GOOD,
          "mcp-method": method,
        });
        expect(await inbox.status()).toBe(202);
        await inbox.ended();
        expect(inbox.texts).toEqual([]);
      }
      expect(call.wasCancelled).toBeFalse();
      call.result('{"content":[]}');
      expect((await called.answer()).message).toHaveProperty("result");
    });

    test("a response, and a batch: 400", async () => {
      for (const body of ['{"jsonrpc":"2.0","id":1,"result":{}}', `[${list(ENVELOPE)}]`]) {
        const inbox = client().post(body, GOOD);
        expect((await inbox.answer()).message.error?.code).toBe(-32600);
        expect(await inbox.status()).toBe(400);
      }
    });

    test("an error keeps its code in-band, resources that do not exist have the new one", async () => {
      const inbox = client().request("resources/read", '"uri":"a://no"', { "mcp-name": "a://no" });
      const call = await subject().server.request("resources/read");
      expect(call.text).not.toContain(K);
      call.error('{"code":-32002,"message":"Resource not found","data":{"uri":"a://no"}}');
      expect((await inbox.answer()).message.error).toEqual({
        code: -32602,
        message: "Resource not found",
        data: { uri: "a://no" },
      });
      expect(await inbox.status()).toBe(200);
    });

    test("a method that the server offers is there, whatever it answers; one that it does not know is not: 404", async () => {
      for (const [method, name, status] of [
        ["tools/call", "missing", 200],
        ["vendor/own", undefined, 404],
      ] as const) {
        const inbox = client().request(
          method,
          name === undefined ? "" : `"name":"${name}"`,
          name === undefined ? {} : { "mcp-name": name },
        );
        const { server } = subject();
        const asked = await (name === undefined ? server.request(method) : server.call(name));
        asked.error('{"code":-32601,"message":"Method not found"}');
        expect((await inbox.answer()).message.error?.code).toBe(-32601);
        expect(await inbox.status()).toBe(status);
      }
    });

    test("closing the stream cancels; nothing is said of it", async () => {
      const called = client().call("slow");
      const call = await subject().server.call("slow");
      called.abort.abort();
      await call.cancelled();
    });

    test("the same id may be in flight twice", async () => {
      const [one, two] = [client().call("first"), client().call("second")];
      (await subject().server.call("second")).result('{"content":[],"n":2}');
      (await subject().server.call("first")).result('{"content":[],"n":1}');
      expect((await one.answer()).message).toMatchObject({ id: 1, result: { n: 1 } });
      expect((await two.answer()).message).toMatchObject({ id: 1, result: { n: 2 } });
    });

    test("discover says what the server said to initialize", async () => {
      const { message } = await client().request("server/discover").answer();
      expect(message.result).toMatchObject({
        resultType: "complete",
        supportedVersions: [VERSION],
        ttlMs: 0,
        cacheScope: "private",
        capabilities: { tools: {}, logging: {} },
        _meta: { [`${K}serverInfo`]: { name: "scripted", version: "7" } },
      });
      expect(message.result).not.toHaveProperty("serverInfo");
    });

    test("initialize for this version gets the newest one with sessions, and both live at one URL", async () => {
      const legacy = await subject().client({ version: VERSION });
      expect(legacy.introduction.message.result).toMatchObject({ protocolVersion: "2025-11-25" });
      expect((await client().call("echo").answer()).message).toHaveProperty("result");
    });

    test("a log level is asked of the server, and lines below it do not come", async () => {
      const asking = new ModernClient(subject().url, { meta: `"${K}logLevel":"warning","progressToken":"p"` });
      const called = asking.call("talks");
      const call = await subject().server.call("talks");
      expect(subject().server.count("logging/setLevel")).toBe(1);
      for (const level of ["info", "warning", "error"]) {
        call.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"${level}","data":1}}`);
      }
      call.progress('"progress":1');
      call.result('{"content":[]}');
      await called.answer();
      const heard = called.said.map(({ message }) => message.params?.["level"] ?? message.params?.["progressToken"]);
      expect(heard).toEqual(["warning", "error", "p", undefined]);
    });

    test("who asks for no log lines gets none", async () => {
      const called = client().call("talks-too");
      const call = await subject().server.call("talks-too");
      call.say('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"emergency","data":1}}');
      call.result('{"content":[]}');
      await called.answer();
      expect(called.said).toHaveLength(1);
    });

    test("listening: an acknowledgement, then what was agreed to, marked with the id; the proxy's end is an answer", async () => {
      const filter =
        '"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a://1"]}';
      const inbox = client().request("subscriptions/listen", filter, {}, '"L"');
      const acknowledged = await inbox.method("notifications/subscriptions/acknowledged");
      expect(acknowledged.message.params).toEqual({
        notifications: { toolsListChanged: true, resourceSubscriptions: ["a://1"] },
        _meta: { [`${K}subscriptionId`]: "L" },
      });
      const [peer] = subject().server.peers;
      for (const uri of ["a://other", "a://1"]) {
        peer?.say(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"${uri}","big":1.0}}`);
      }
      peer?.say('{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}');
      peer?.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
      const changed = await inbox.method("notifications/tools/list_changed");
      expect(changed.message.params).toEqual({ _meta: { [`${K}subscriptionId`]: "L" } });
      expect(inbox.texts.map((text) => (JSON.parse(text) as { method: string }).method)).toEqual([
        "notifications/subscriptions/acknowledged",
        "notifications/resources/updated",
        "notifications/tools/list_changed",
      ]);
      expect(inbox.texts[1]).toContain('"big":1.0');
      inbox.abort.abort();
      await subject().server.request("resources/unsubscribe", ({ message }) => message.params?.["uri"] === "a://1");
    });

    test("a filter that is none is refused", async () => {
      for (const filter of [
        "",
        '"notifications":5',
        '"notifications":{"toolsListChanged":1}',
        '"notifications":{"resourceSubscriptions":"a"}',
      ]) {
        expect((await client().request("subscriptions/listen", filter).answer()).message.error?.code).toBe(-32602);
      }
    });
  },
  {
    fronts: ["http"],
    prepare: (server) => {
      server.capabilities = server.capabilities.replace('"tools":{}', '"tools":{"listChanged":true}');
    },
  },
);
