import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { start } from "../support/bridge.ts";
import type { Run, Spoken } from "../support/bridge.ts";

const K = "io.modelcontextprotocol/";
const VERSION = "2026-07-28";
const CAPABILITIES = '{"elicitation":{"form":{}},"vendor/own":{"big":1}}';
const ELICIT = '{"message":"who?","requestedSchema":{"type":"object","properties":{}}}';
const LEGACY =
  '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"old","version":"1"}}}';

function envelope(more = "", capabilities = CAPABILITIES): string {
  return `"_meta":{"${K}protocolVersion":"${VERSION}","${K}clientCapabilities":${capabilities},"${K}clientInfo":{"name":"raw","version":"0"}${more}}`;
}

/** @param params raw members beside the envelope */
function request(id: string, method: string, params = "", meta = envelope()): string {
  return `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{${params === "" ? "" : `${params},`}${meta}}}`;
}

function call(id: string, tool: string, more = ""): string {
  return request(id, "tools/call", `"name":"${tool}","arguments":{}${more}`);
}

for (const transport of ["child", "remote"] as const) {
  describe(`a stateless client over stdio in front of a ${transport} with sessions`, () => {
    const clean = new AsyncDisposableStack();
    let server: RelayServer;
    let run: Run;

    beforeEach(() => {
      server = new RelayServer();
      server.capabilities = server.capabilities.replace('"tools":{}', '"tools":{"listChanged":true}');
      const end = clean.use(transport === "child" ? new RelayStdio(server) : new RelayHttp(server));
      const { entry } = end;
      run = start("command" in entry ? ["--stdio", "--", entry.command, ...entry.args] : [entry.url]);
    });
    afterEach(() => run[Symbol.asyncDispose]());
    afterAll(() => clean.disposeAsync());

    const answer = (id: unknown): Promise<Spoken> =>
      run.message((message) => message.id === id && message.method === undefined);
    const acknowledged = (): Promise<Spoken> =>
      run.message(({ method }) => method === "notifications/subscriptions/acknowledged");

    test("all requests share one connection, which knows exactly what the client can do", async () => {
      run.write(request('"d"', "server/discover"), request("1", "tools/list"), call("2", "echo"));
      expect((await answer("d")).result).toMatchObject({
        resultType: "complete",
        supportedVersions: [VERSION],
        _meta: { [`${K}serverInfo`]: { name: "scripted", version: "7" } },
      });
      expect((await answer(1)).result).toMatchObject({ resultType: "complete", tools: [{ name: "echo" }] });
      expect(JSON.stringify((await answer(2)).result)).not.toContain(K.concat("protocolVersion"));
      expect(server.peers).toHaveLength(1);
      const hello = await server.first(({ message }) => message.method === "initialize");
      expect(hello.message.params).toMatchObject({
        capabilities: JSON.parse(CAPABILITIES) as object,
        clientInfo: { name: "raw" },
      });
      expect(await run.finish()).toBe(0);
    });

    test("a question is the answer to the call, and the retry carries the rest", async () => {
      run.write(call('"one"', "asks"));
      const asked = await server.call("asks");
      const answered = asked.ask("elicitation/create", ELICIT, '"q"');
      const { result } = await answer("one");
      expect(result).toMatchObject({
        resultType: "input_required",
        inputRequests: { k1: { method: "elicitation/create", params: JSON.parse(ELICIT) as object } },
      });
      const state = `"requestState":${JSON.stringify(result?.["requestState"])}`;
      run.write(call("2", "asks", `,"inputResponses":{"k1":{"action":"decline"}},${state}`));
      expect((await answered).message.result).toEqual({ action: "decline" });
      asked.result('{"content":[],"big":1.0}');
      expect((await answer(2)).result).toMatchObject({ resultType: "complete", big: 1 });
      run.write(call("3", "asks", `,"inputResponses":{"k1":{"action":"decline"}},${state}`));
      expect((await answer(3)).error?.code).toBe(-32602);
      expect(server.heard.filter(({ message }) => message.params?.["name"] === "asks")).toHaveLength(1);
    });

    test("two calls at once can both be asked, and the end of one is not the end of the other's question", async () => {
      run.write(call("1", "one"), call("2", "two"));
      const [one, two] = await Promise.all([server.call("one"), server.call("two")]);
      const ask = (text: string, of: typeof one): Promise<unknown> =>
        of.ask("elicitation/create", ELICIT.replace("who?", text), JSON.stringify(text));
      const questions = new Map([
        ["first", ask("first", one)],
        ["second", ask("second", two)],
      ]);
      for (const [id, tool] of [
        [1, "one"],
        [2, "two"],
      ] as const) {
        const { result } = await answer(id);
        const [key, asked] =
          Object.entries(result?.["inputRequests"] as Record<string, { params: { message: string } }>)[0] ?? [];
        expect(["first", "second"]).toContain(asked?.params.message ?? "");
        // Over stdio nothing says which call it was that asked.
        (tool === "one" ? one : two).result(`{"content":[],"of":"${tool}"}`);
        const state = JSON.stringify(result?.["requestState"]);
        run.write(
          call(
            `${id}0`,
            tool,
            `,"inputResponses":{"${key}":{"action":"accept","content":{"to":"${asked?.params.message}"}}},"requestState":${state}`,
          ),
        );
        expect((await answer(id * 10)).result).toMatchObject({ resultType: "complete", of: tool });
      }
      for (const [text, question] of questions)
        expect(await question).toMatchObject({ message: { result: { content: { to: text } } } });
    });

    test("a list is never answered with a question", async () => {
      server.automatic.delete("prompts/list");
      run.write(request("1", "prompts/list"));
      const list = await server.request("prompts/list");
      const refused = list.ask("elicitation/create", ELICIT, '"q"');
      expect((await refused).message.error?.code).toBe(-32601);
      list.result('{"prompts":[]}');
      expect((await answer(1)).result).toMatchObject({ resultType: "complete", prompts: [] });
    });

    test("what the client cannot be asked ends the call with what it would need", async () => {
      run.write(call("1", "wants"));
      const wants = await server.call("wants");
      const refused = wants.ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', '"q"');
      expect((await refused).message.error?.code).toBe(-32601);
      expect((await answer(1)).error).toMatchObject({ code: -32021, data: { requiredCapabilities: { sampling: {} } } });
      await wants.cancelled();
    });

    test("notifications/cancelled takes a request back, by its own id and type, and nothing follows", async () => {
      run.write(call("1", "slow"), call('"1"', "other"));
      const [slow, other] = await Promise.all([server.call("slow"), server.call("other")]);
      run.write('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"enough"}}');
      await slow.cancelled();
      expect(other.wasCancelled).toBeFalse();
      slow.result('{"content":[],"late":true}');
      other.result('{"content":[],"kept":true}');
      expect((await answer("1")).result).toMatchObject({ kept: true });
      expect(run.out()).not.toContain("late");
    });

    test("progress and log lines come before the answer, as asked for", async () => {
      const meta = envelope(`,"progressToken":"p","${K}logLevel":"warning"`);
      run.write(request("1", "tools/call", '"name":"talks","arguments":{}', meta));
      const talks = await server.call("talks");
      expect(server.count("logging/setLevel")).toBe(1);
      for (const level of ["info", "error"])
        talks.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"${level}","data":1}}`);
      talks.progress('"progress":1');
      talks.result('{"content":[]}');
      await answer(1);
      const lines = run.out().trim().split("\n");
      const heard = lines.map((line) => {
        const { id, params } = JSON.parse(line) as Spoken;
        return id ?? params?.["level"] ?? params?.["progressToken"];
      });
      expect(heard).toEqual(["error", "p", 1]);
    });

    test("listening: marked with the id as it was given; the client's cancellation and the end of the input end it", async () => {
      const filter = '"notifications":{"toolsListChanged":true,"promptsListChanged":true}';
      run.write(request('"7"', "subscriptions/listen", filter), request("7", "subscriptions/listen", filter));
      await run.message(({ params }) => JSON.stringify(params ?? {}).includes('subscriptionId":7}'));
      await run.message(({ params }) => JSON.stringify(params ?? {}).includes('subscriptionId":"7"}'));
      expect((await acknowledged()).params?.["notifications"]).toEqual({ toolsListChanged: true });
      run.write('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}', call("8", "echo"));
      await answer(8);
      server.peers[0]?.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
      await run.message(({ method }) => method === "notifications/tools/list_changed");
      run.write(call("9", "echo"));
      await answer(9);
      const changes = run.out().match(/tools\/list_changed.*/g);
      expect(changes).toEqual([`tools/list_changed","params":{"_meta":{"${K}subscriptionId":"7"}}}`]);
      expect(await run.finish()).toBe(0);
      expect(run.out()).not.toContain('"id":"7"');
    });

    test("when the proxy is stopped, who listens gets the answer", async () => {
      run.write(request('"L"', "subscriptions/listen", '"notifications":{"toolsListChanged":true}'));
      await acknowledged();
      run.process.kill("SIGTERM");
      expect((await answer("L")).result).toEqual({ resultType: "complete", _meta: { [`${K}subscriptionId`]: "L" } });
      expect(await run.process.exited).toBe(0);
    });

    test("a session and stateless requests stand beside each other", async () => {
      run.write(LEGACY, '{"jsonrpc":"2.0","method":"notifications/initialized"}', request("1", "tools/list"));
      run.write('{"jsonrpc":"2.0","id":2,"method":"tools/list"}');
      expect((await answer("i")).result).toMatchObject({ protocolVersion: "2025-11-25" });
      expect((await answer(1)).result).toHaveProperty("resultType", "complete");
      expect((await answer(2)).result).not.toHaveProperty("resultType");
    });

    test("a notification of its own reaches the server, without the envelope", async () => {
      run.write(call("1", "echo"));
      await answer(1);
      run.write(`{"jsonrpc":"2.0","method":"notifications/vendor/own","params":{"big":1.0,${envelope()}}}`);
      expect((await server.notification("notifications/vendor/own")).text).toEndWith('"params":{"big":1.0}}');
    });

    test("errors: each with the request's id, and nothing reaches the server", async () => {
      const wrong: readonly (readonly [string, string, number])[] = [
        ["no envelope for a method that needs one", '{"jsonrpc":"2.0","id":"x","method":"server/discover"}', -32602],
        ["an unknown version", request('"x"', "tools/list", "", envelope().replace(VERSION, "2030-01-01")), -32022],
        ["a legacy version", request('"x"', "tools/list", "", envelope().replace(VERSION, "2025-11-25")), -32022],
        ["a version that is a number", request('"x"', "tools/list", "", `"_meta":{"${K}protocolVersion":5}`), -32602],
        ["no capabilities", request('"x"', "tools/list", "", `"_meta":{"${K}protocolVersion":"${VERSION}"}`), -32602],
        ["capabilities that are a list", request('"x"', "tools/list", "", envelope("", "[]")), -32602],
        ["an unknown log level", request('"x"', "tools/list", "", envelope(`,"${K}logLevel":"loud"`)), -32602],
        ["a filter that is none", request('"x"', "subscriptions/listen"), -32602],
        ...["initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/list"].map(
          (method) => [method, request('"x"', method), -32601] as const,
        ),
      ];
      for (const [what, text, code] of wrong) {
        const before = run.out().length;
        run.write(text);
        const { error } = await run.message(
          ({ id, error: each }) => id === "x" && each !== undefined && run.out().length > before,
        );
        expect(run.out().slice(before), what).toContain(`"code":${code}`);
        if (error?.code === -32022) expect(error.data).toMatchObject({ supported: [VERSION] });
      }
      for (const { message } of server.heard)
        expect(["server/discover", "initialize", "notifications/initialized"]).toContain(message.method ?? "");
    });
  });
}

test("headers that the schema asks for are made of the arguments: a client over stdio has none", async () => {
  const seen: Headers[] = [];
  using far = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(incoming) {
      const { id, method } = (await incoming.json()) as { id: unknown; method: string };
      if (method === "tools/call") seen.push(incoming.headers);
      const region = { type: "string", "x-mcp-header": "Region" };
      const result = {
        "server/discover": { supportedVersions: [VERSION], capabilities: { tools: {} } },
        "tools/list": { tools: [{ name: "t", inputSchema: { type: "object", properties: { region } } }] },
      }[method] ?? { content: [] };
      return Response.json({ jsonrpc: "2.0", id, result: { resultType: "complete", ...result } });
    },
  });
  await using run = start([new URL("/mcp", far.url).href]);
  run.write(request("1", "tools/call", '"name":"t","arguments":{"region":"é"}'));
  expect((await run.message(({ id }) => id === 1)).result).toEqual({ resultType: "complete", content: [] });
  expect(seen.map((headers) => headers.get("mcp-param-region"))).toEqual(["=?base64?w6k=?="]);
});
