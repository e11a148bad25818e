import { afterAll, describe, expect, test } from "bun:test";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport as Sse1 } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport as Http1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { startProxy } from "../support/proxy.ts";
import { RawClient, hello } from "./raw-client.ts";
import type { Inbox } from "./raw-client.ts";

interface Asked {
  readonly method: string;
  readonly headers: Headers;
  readonly text: string;
  readonly id: unknown;
  readonly params: Record<string, unknown>;
  /** Aborted when the proxy closes the stream. */
  readonly signal: AbortSignal;
}

type Mind = (asked: Asked) => Response | Promise<Response> | { result?: unknown; error?: unknown; status?: number };

const DISCOVERED = {
  resultType: "complete",
  supportedVersions: ["2026-07-28"],
  capabilities: { tools: {}, logging: {} },
  _meta: { "io.modelcontextprotocol/serverInfo": { name: "scripted", version: "8" } },
  ttlMs: 5,
  cacheScope: "public",
};
const TOOLS = {
  resultType: "complete",
  tools: [{ name: "t", inputSchema: { type: "object" } }],
  ttlMs: 1,
  cacheScope: "public",
};

describe("servers of the stateless era, over HTTP", () => {
  const clean = new AsyncDisposableStack();
  afterAll(() => clean.disposeAsync());

  /** A server with a mind of its own behind a proxy. */
  async function behind(mind: Mind): Promise<{ url: string; seen: Asked[] }> {
    const seen: Asked[] = [];
    const http = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: async (request) => {
        if (request.method !== "POST") return new Response(null, { status: 405 });
        const text = await request.text();
        const { id, method, params } = { params: {}, ...(JSON.parse(text) as Omit<Asked, "params"> & Partial<Asked>) };
        const asked = { id, method, params, text, headers: request.headers, signal: request.signal };
        seen.push(asked);
        const answer = await mind(asked);
        if (answer instanceof Response) return answer;
        const { status = 200, ...rest } = answer;
        return Response.json({ jsonrpc: "2.0", id, ...rest }, { status });
      },
    });
    clean.defer(() => http.stop(true));
    const entry = { url: `http://127.0.0.1:${http.port}/mcp`, transportType: "streamable-http" };
    const proxy = clean.use(await startProxy({ it: entry }));
    return { url: `${proxy.url}/it/mcp`, seen };
  }

  const modern =
    (call: Mind): Mind =>
    (asked) => {
      if (asked.method === "server/discover") return { result: DISCOVERED };
      if (asked.method === "tools/list") return { result: TOOLS };
      return call(asked);
    };
  const ask = (key: string, method: string, params: object): object => ({
    resultType: "input_required",
    inputRequests: { [key]: { method, params } },
    requestState: "the state",
  });
  const elicit = ask("who", "elicitation/create", {
    message: "who?",
    requestedSchema: { type: "object", properties: {} },
  });
  const answering = { capabilities: '{"elicitation":{},"sampling":{}}' };
  const calls = (seen: Asked[]): Asked[] => seen.filter(({ method }) => method === "tools/call");

  for (const how of ["mcp", "sse"] as const)
    test(`a real older client at /${how} reads a list with arguments whose schema is true or false`, async () => {
      const properties = { any: true, none: false, some: { type: "string" } };
      const inputSchema = { type: "object", properties };
      const tools = [{ name: "t", inputSchema, outputSchema: { type: "object", properties: { any: true } } }];
      const { url } = await behind(({ method }) => ({
        result: method === "server/discover" ? DISCOVERED : { ...TOOLS, tools },
      }));
      const client = new Client1({ name: "one", version: "1" });
      const at = new URL(url.replace(/mcp$/, how));
      await client.connect(how === "sse" ? new Sse1(at) : new Http1(at));
      const listed = await client.listTools();
      expect(listed.tools[0]).toMatchObject({
        inputSchema: { properties: { any: {}, none: { not: {} }, some: { type: "string" } } },
        outputSchema: { properties: { any: {} } },
      });
      await client.close();
    });

  test("a session's call goes with an envelope and headers, and comes back without what is new", async () => {
    const { url, seen } = await behind(
      modern(() => ({ result: { resultType: "complete", content: [], ttlMs: 7, _meta: { a: 1 } } })),
    );
    const raw = await RawClient.open(url, answering);
    expect(raw.introduction.message.result).toMatchObject({
      protocolVersion: "2025-11-25",
      serverInfo: { name: "scripted" },
    });
    const { message } = await raw
      .request("tools/call", '{"name":"t","arguments":{"big":12345678901234567890}}')
      .answer();
    expect(message.result).toEqual({ content: [], ttlMs: 7, _meta: { a: 1 } });
    const [call] = calls(seen);
    expect(call?.text).toContain("12345678901234567890");
    expect(call?.headers.get("mcp-protocol-version")).toBe("2026-07-28");
    expect(call?.headers.get("mcp-method")).toBe("tools/call");
    expect(call?.headers.get("mcp-name")).toBe("t");
    expect(call?.headers.get("mcp-session-id")).toBeNull();
    expect(call?.params["_meta"]).toMatchObject({
      "io.modelcontextprotocol/clientCapabilities": { elicitation: {}, sampling: {} },
      "io.modelcontextprotocol/logLevel": "info",
    });
    expect(seen.some(({ method }) => method === "initialize" || method === "notifications/initialized")).toBeFalse();
  });

  test("a question is put to the client on its call's stream, and the call is made again with the answer and the state", async () => {
    const { url, seen } = await behind(
      modern(({ params }) => ("inputResponses" in params ? { result: { content: [] } } : { result: elicit })),
    );
    const raw = await RawClient.open(url, answering);
    const inbox = raw.call("t");
    await raw.answer(await inbox.method("elicitation/create"), '{"action":"accept","content":{}}');
    expect((await inbox.answer()).message.result).toEqual({ content: [] });
    expect(calls(seen)[1]?.params).toMatchObject({
      name: "t",
      inputResponses: { who: { action: "accept", content: {} } },
      requestState: "the state",
    });
  });

  test("a client's error is a cancelled elicitation, and the end of a call that wants sampling", async () => {
    const { url, seen } = await behind(
      modern(({ params }) => {
        if ("inputResponses" in params) return { result: { content: [] } };
        return {
          result: params["name"] === "s" ? ask("m", "sampling/createMessage", { messages: [], maxTokens: 1 }) : elicit,
        };
      }),
    );
    const raw = await RawClient.open(url, answering);
    const refuse = async (inbox: Inbox, method: string): Promise<void> => {
      const { message } = await inbox.method(method);
      await raw.post(`{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"error":{"code":-1,"message":"no"}}`).ended();
    };
    const first = raw.call("t");
    await refuse(first, "elicitation/create");
    await first.answer();
    expect(calls(seen)[1]?.params["inputResponses"]).toEqual({ who: { action: "cancel" } });
    const second = raw.call("s");
    await refuse(second, "sampling/createMessage");
    expect((await second.answer()).message.error).toEqual({ code: -1, message: "no" });
    expect(calls(seen)).toHaveLength(3);
  });

  test("what the client cannot be asked ends the call, as does a server that asks without end or in riddles", async () => {
    const { url, seen } = await behind(
      modern(({ params }) => {
        if (params["name"] === "riddle") return { result: { resultType: "riddle" } };
        if (params["name"] === "strange") return { result: ask("x", "vendor/ask", {}) };
        if (params["name"] === "empty") return { result: { resultType: "input_required" } };
        return { result: elicit };
      }),
    );
    const mute = await RawClient.open(url);
    expect((await mute.call("t").answer()).message.error?.code).toBe(-32602);
    for (const tool of ["riddle", "strange", "empty"])
      expect((await mute.call(tool).answer()).message.error?.code).toBe(-32603);
    const raw = await RawClient.open(url, answering);
    const before = calls(seen).length;
    const inbox = raw.call("t");
    const shown = new Set<unknown>();
    for (let round = 0; round < 16; round++) {
      const question = await inbox.first(({ id, method }) => method === "elicitation/create" && !shown.has(id));
      shown.add(question.message.id);
      await raw.answer(question, '{"action":"decline"}');
    }
    expect((await inbox.answer()).message.error?.code).toBe(-32603);
    expect(calls(seen).length - before).toBe(17);
  });

  test("a cancellation closes the server's stream, and takes a question back", async () => {
    const { url, seen } = await behind(
      modern(({ params }) =>
        params["name"] === "slow"
          ? new Response(new ReadableStream({}), { headers: { "content-type": "text/event-stream" } })
          : { result: elicit },
      ),
    );
    const raw = await RawClient.open(url, answering);
    raw.call("slow", "{}", '"s"');
    while (calls(seen).length === 0) await Bun.sleep(5);
    const closed = new Promise((resolve) => calls(seen)[0]?.signal.addEventListener("abort", resolve));
    await raw.notify("notifications/cancelled", '{"requestId":"s"}');
    await closed;
    const asked = raw.call("t", "{}", '"q"');
    const { message } = await asked.method("elicitation/create");
    await raw.notify("notifications/cancelled", '{"requestId":"q"}');
    expect((await asked.method("notifications/cancelled")).message.params).toEqual({ requestId: message.id });
  });

  test("a server that answers anything with {} is one with sessions, and hears initialize", async () => {
    const { url, seen } = await behind(({ method }) => {
      if (method !== "initialize") return { result: {} };
      return { result: { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: { name: "yes", version: "1" } } };
    });
    expect((await RawClient.open(url)).introduction.message.result).toMatchObject({ serverInfo: { name: "yes" } });
    expect(seen[0]?.method).toBe("server/discover");
  });

  for (const status of [400, 404, 405, 406, 415, 422]) {
    test(`HTTP ${status} for server/discover leads to initialize`, async () => {
      const { url } = await behind(({ method }) => {
        if (method === "initialize")
          return {
            result: { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: { name: "old", version: "1" } },
          };
        return method === "server/discover" ? new Response("what?", { status }) : { result: {} };
      });
      expect((await RawClient.open(url)).introduction.message.result).toMatchObject({ serverInfo: { name: "old" } });
    });
  }

  for (const status of [401, 403, 429, 500, 503]) {
    test(`HTTP ${status} for server/discover decides nothing: initialize is not tried, the next attempt may find it`, async () => {
      let refusals = 1;
      const { url, seen } = await behind((asked) => {
        if (asked.method === "server/discover" && refusals-- > 0) return new Response("later", { status });
        return modern(() => ({ result: { content: [] } }))(asked);
      });
      let status_ = 503;
      for (let n = 0; n < 200 && status_ !== 200; n++) {
        const inbox = hello(url);
        await inbox.answer();
        status_ = await inbox.status();
        if (status_ !== 200) await Bun.sleep(50);
      }
      expect(status_).toBe(200);
      expect(seen.some(({ method }) => method === "initialize")).toBeFalse();
    });
  }

  test("-32022 that names our version is asked once more; one that names sessions leads to initialize", async () => {
    let first = true;
    const again = await behind((asked) => {
      if (asked.method === "server/discover" && first) {
        first = false;
        return { error: { code: -32022, message: "no", data: { supported: ["2026-07-28"] } }, status: 400 };
      }
      return modern(() => ({ result: { content: [] } }))(asked);
    });
    expect((await RawClient.open(again.url)).introduction.message.result).toMatchObject({
      serverInfo: { name: "scripted" },
    });
    const sessions = await behind(({ method }) =>
      method === "initialize"
        ? { result: { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: { name: "old", version: "1" } } }
        : { error: { code: -32022, message: "no", data: { supported: ["2025-06-18"] } }, status: 400 },
    );
    expect((await RawClient.open(sessions.url)).introduction.message.result).toMatchObject({
      serverInfo: { name: "old" },
    });
  });

  test("a mismatch of headers is answered by reading the list again, once", async () => {
    let region = false;
    const { url, seen } = await behind((asked) => {
      if (asked.method === "server/discover") return { result: DISCOVERED };
      if (asked.method === "tools/list") {
        const annotation = region ? { "x-mcp-header": "Region" } : {};
        return {
          result: {
            ...TOOLS,
            tools: [
              { name: "t", inputSchema: { type: "object", properties: { region: { type: "string", ...annotation } } } },
            ],
          },
        };
      }
      if (asked.headers.get("mcp-param-region") === "é") return { result: {} };
      region = true;
      if (asked.headers.get("mcp-param-region") !== "=?base64?w6k=?=")
        return { error: { code: -32020, message: "mismatch" }, status: 400 };
      return { result: { content: [] } };
    });
    const raw = await RawClient.open(url);
    expect((await raw.call("t", '{"region":"é"}').answer()).message.result).toEqual({ content: [] });
    expect(calls(seen)).toHaveLength(2);
  });
});
