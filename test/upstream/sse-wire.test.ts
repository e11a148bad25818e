import { afterEach, describe, expect, test } from "bun:test";
import { DetectWire } from "../../src/upstream/detect-wire.ts";
import type { Memory } from "../../src/upstream/detect-wire.ts";
import type { Fault } from "../../src/upstream/fault.ts";
import { SseWire } from "../../src/upstream/sse-wire.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { WireHttpServer } from "../fixtures/wire-http-server.ts";
import { WireSseServer } from "../fixtures/wire-sse-server.ts";
import type { SseServerOptions } from "../fixtures/wire-sse-server.ts";
import { Recorder } from "./recorder.ts";

let clean = new AsyncDisposableStack();
afterEach(async () => {
  await clean.disposeAsync();
  clean = new AsyncDisposableStack();
});

const OPTIONS = { rejectUnauthorized: true, maxMessageBytes: 64 * 1024, clock: systemClock };

function serve(options: SseServerOptions = {}): WireSseServer {
  const server = new WireSseServer(options);
  clean.defer(() => server.stop());
  return server;
}

function wireTo(url: string, headers: Record<string, string> = {}): SseWire {
  const wire = new SseWire({ ...OPTIONS, url, headers });
  clean.defer(() => wire.close());
  return wire;
}

async function refusal(opening: Promise<void>): Promise<Fault> {
  return await opening.then(
    () => {
      throw new Error("it opened");
    },
    (fault: Fault) => fault,
  );
}

const ask = (wire: { request(id: number, text: string): void }, id: number, method = "echo", params = "{}"): void =>
  wire.request(id, `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`);

describe("the place to post", () => {
  for (const endpoint of [
    "http://127.0.0.2:1/post",
    "https://127.0.0.1/post",
    "//evil.example/post",
    "file:///etc/passwd",
    "javascript:1",
    "http://[",
    "http://user@evil.example/post",
    "\\\\evil.example\\post",
  ]) {
    test(`is refused elsewhere: ${endpoint}`, async () => {
      const server = serve({ endpoint });
      const fault = await refusal(wireTo(server.url, { authorization: "Bearer secret" }).open(new Recorder()));
      expect(fault.code).toBe("upstream.protocol");
      expect(server.posted).toEqual([]);
    });
  }

  test("may be whole, relative, or a path, and gets the configured headers", async () => {
    const first = serve();
    for (const endpoint of ["/post?s=1", "post?s=1", "./post", "?s=2"]) {
      const server = serve({ endpoint });
      const seen = new Recorder();
      const wire = wireTo(server.url, { "x-key": "k" });
      await wire.open(seen);
      ask(wire, 1);
      if (endpoint === "?s=2") expect((await seen.first("failed")).fault.code).toBe("upstream.http_status");
      else await seen.answer(1);
      expect(server.headers.map((headers) => headers.get("x-key"))).toEqual(["k", "k"]);
    }
    const seen = new Recorder();
    const whole = serve({ endpoint: undefined as never });
    const wire = wireTo(whole.url);
    await wire.open(seen);
    ask(wire, 1);
    await seen.answer(1);
    expect(first.posted).toEqual([]);
  });
});

describe("a server that", () => {
  const refusals: [string, () => Response, string][] = [
    ["does not know the path", () => new Response("gone", { status: 404 }), "upstream.http_status"],
    ["wants a credential", () => new Response(null, { status: 401 }), "upstream.unauthorized"],
    [
      "answers with a page",
      () => new Response("<html>", { headers: { "content-type": "text/html" } }),
      "upstream.protocol",
    ],
    [
      "ends its stream before it says where to post",
      () => new Response(": hello\n\nevent: other\ndata: x\n\n", { headers: { "content-type": "text/event-stream" } }),
      "upstream.unreachable",
    ],
    [
      "ends in the middle of the first event",
      () => new Response("event: endpoint\ndata: /po", { headers: { "content-type": "text/event-stream" } }),
      "upstream.unreachable",
    ],
    ["redirects elsewhere", () => Response.redirect("http://127.0.0.2:1/sse", 307), "upstream.http_status"],
  ];
  for (const [what, response, code] of refusals) {
    test(`${what} is not opened`, async () => {
      const server = serve({ only: response });
      expect((await refusal(wireTo(server.url).open(new Recorder()))).code as string).toBe(code);
    });
  }

  test("is not there is not opened", async () => {
    const server = new WireSseServer();
    const { url } = server;
    await server.stop();
    const fault = await refusal(wireTo(url).open(new Recorder()));
    expect([fault.code, fault.notRun]).toEqual(["upstream.unreachable", true]);
  });

  test("ends its stream ends the link, once, also in the middle of an event", async () => {
    const server = serve();
    const seen = new Recorder();
    const wire = wireTo(server.url);
    await wire.open(seen);
    ask(wire, 1, "hold");
    server.say('event: message\ndata: {"jsonrpc":"2.0","id":1,"resu');
    server.drop();
    expect((await seen.first("closed")).fault?.code).toBe("upstream.unreachable");
    expect(seen.all("message")).toEqual([]);
    ask(wire, 2);
    expect((await seen.first("failed", ({ id }) => id === 2)).fault.notRun).toBe(true);
    await wire.close();
    expect(seen.all("closed")).toHaveLength(1);
  });

  test("says garbage between messages is heard on", async () => {
    const server = serve();
    const seen = new Recorder();
    const wire = wireTo(server.url);
    await wire.open(seen);
    server.say(
      'data: hello\n\nevent: odd\ndata: {"x":1}\n\n: comment\n\ndata:\n\nid: 7\nretry: 5\n\nevent: endpoint\ndata: http://evil.example/\n\n',
    );
    server.say('data: {"jsonrpc":"2.0",\ndata: "method":"n"}\n\n');
    expect(JSON.parse((await seen.first("message")).text)).toEqual({ jsonrpc: "2.0", method: "n" });
    ask(wire, 1);
    await seen.answer(1);
    expect(seen.all("noise").map(({ line }) => line)).toContain("hello");
  });

  test("says more at once than is allowed loses that message alone, and the log says so", async () => {
    const server = serve();
    const seen = new Recorder();
    const wire = wireTo(server.url);
    await wire.open(seen);
    server.say(`data: {"method":"notifications/x","params":"${"x".repeat(128 * 1024)}"}\n\n`);
    expect((await seen.first("noise")).line).toContain('more than 65536: {"method":"notifications/x"');
    server.say(`data: {"jsonrpc":"2.0","result":"${"x".repeat(128 * 1024)}","id":7}\n\n`);
    const { id, fault } = await seen.first("failed");
    expect([id, fault.code]).toEqual([7, "upstream.too_large"]);
    ask(wire, 1);
    await seen.answer(1);
    expect(seen.all("closed")).toEqual([]);
  });

  test("has forgotten the session is told apart from one that does not want the message", async () => {
    for (const [status, code] of [
      [404, "upstream.session_lost"],
      [413, "upstream.http_status"],
      [500, "upstream.http_status"],
    ] as const) {
      const server = serve({ only: ({ method }) => (method === "POST" ? new Response("no", { status }) : undefined) });
      const seen = new Recorder();
      const wire = wireTo(server.url);
      await wire.open(seen);
      ask(wire, 1);
      expect((await seen.first("failed")).fault.code).toBe(code);
    }
  });
});

describe("without a declared transport", () => {
  async function detect(url: string, memory: Memory): Promise<{ seen: Recorder; wire: DetectWire }> {
    const wire = new DetectWire({ ...OPTIONS, url, headers: {} }, memory);
    clean.defer(() => wire.close());
    const seen = new Recorder();
    await wire.open(seen);
    ask(wire, 1);
    return { seen, wire };
  }

  test("a server that answers is Streamable HTTP", async () => {
    const server = new WireHttpServer();
    clean.defer(() => server.stop());
    const memory: Memory = { kind: undefined };
    const { seen, wire } = await detect(server.url, memory);
    await seen.answer(1);
    expect([memory.kind, wire.attributes]).toEqual(["http", true]);
    expect(server.seen.map(({ method }) => method)).toEqual(["POST"]);
  });

  test("one that refuses the first request with 4xx is HTTP+SSE, and that is remembered", async () => {
    const server = serve();
    const memory: Memory = { kind: undefined };
    const { seen, wire } = await detect(server.url, memory);
    await seen.answer(1);
    expect([memory.kind, wire.attributes, seen.all("closed")]).toEqual(["sse", false, []]);
    expect(server.headers).toHaveLength(3);
    const again = await detect(server.url, memory);
    await again.seen.answer(1);
    expect(server.headers).toHaveLength(5);
  });

  for (const status of [401, 403, 429, 500, 503]) {
    test(`HTTP ${status} decides nothing`, async () => {
      const server = new WireHttpServer(() => new Response(null, { status }));
      clean.defer(() => server.stop());
      const memory: Memory = { kind: undefined };
      const { seen } = await detect(server.url, memory);
      await seen.first("failed");
      expect(memory.kind).toBeUndefined();
      expect(server.seen.map(({ method }) => method)).toEqual(["POST"]);
    });
  }

  test("one that is neither fails with what Streamable HTTP was told, and is looked at again next time", async () => {
    const server = new WireHttpServer(() => new Response("nothing here", { status: 404 }));
    clean.defer(() => server.stop());
    const memory: Memory = { kind: undefined };
    const { seen } = await detect(server.url, memory);
    const { fault } = await seen.first("failed");
    expect(fault.message).toContain("404");
    expect(fault.detail).toContain("as HTTP+SSE");
    expect(memory.kind).toBeUndefined();
  });

  test("one that was HTTP+SSE and is no more is looked at again", async () => {
    const server = new WireHttpServer();
    clean.defer(() => server.stop());
    const memory: Memory = { kind: "sse" };
    const wire = new DetectWire({ ...OPTIONS, url: server.url, headers: {} }, memory);
    clean.defer(() => wire.close());
    await refusal(wire.open(new Recorder()));
    const { seen } = await detect(server.url, memory);
    await seen.answer(1);
    expect(memory.kind).toBe("http");
  });
});
