import { afterEach, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { HttpWire } from "../../src/upstream/http-wire.ts";
import type { HttpWireOptions } from "../../src/upstream/http-wire.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { WireHttpServer } from "../fixtures/wire-http-server.ts";
import type { Seen } from "../fixtures/wire-http-server.ts";
import { until } from "./processes.ts";
import { Recorder } from "./recorder.ts";

type Only = (request: Seen, url: URL) => Response | Promise<Response> | undefined;

const JSON_TYPE = { "content-type": "application/json" };
const SSE_TYPE = { "content-type": "text/event-stream" };

/** An event stream in parts, one after the other; it stays open unless the last part is undefined. */
function events(...parts: readonly (string | undefined)[]): Response {
  const stream = new ReadableStream<string>({
    start(controller) {
      for (const part of parts) {
        if (part === undefined) controller.close();
        else controller.enqueue(part);
      }
    },
  });
  return new Response(stream, { headers: SSE_TYPE });
}

const answer = (id: number, result = "{}"): string => `{"jsonrpc":"2.0","id":${id},"result":${result}}`;

describe("http wire", () => {
  const servers: WireHttpServer[] = [];
  const wires: HttpWire[] = [];

  afterEach(async () => {
    await Promise.all(wires.splice(0).map((wire) => wire.close()));
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  const serve = (only?: Only): WireHttpServer => {
    const server = new WireHttpServer(only);
    servers.push(server);
    return server;
  };
  const connect = async (url: string, more: Partial<HttpWireOptions> = {}): Promise<[HttpWire, Recorder]> => {
    const wire = new HttpWire({
      url,
      headers: {},
      rejectUnauthorized: true,
      maxMessageBytes: 1024 * 1024,
      clock: systemClock,
      random: () => 1,
      ...more,
    });
    wires.push(wire);
    const seen = new Recorder();
    await wire.open(seen);
    return [wire, seen];
  };
  const against = async (
    only: Only,
    more: Partial<HttpWireOptions> = {},
  ): Promise<[HttpWire, Recorder, WireHttpServer]> => {
    const server = serve(only);
    return [...(await connect(server.url, more)), server];
  };
  const ask = (wire: HttpWire, id: number, method = "echo"): void =>
    wire.request(id, `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{}}`);
  const failure = async (only: Only, more: Partial<HttpWireOptions> = {}) => {
    const [wire, seen] = await against(only, more);
    ask(wire, 1);
    return seen.first("failed");
  };
  const withSession: Only = ({ method, body }) =>
    method === "POST" && body.includes('"initialize"')
      ? new Response(answer(1), { headers: { ...JSON_TYPE, "mcp-session-id": "s-1" } })
      : undefined;
  const initialize = async (wire: HttpWire, seen: Recorder): Promise<void> => {
    ask(wire, 1, "initialize");
    await seen.answer(1);
    wire.initialized("2025-06-18");
    wire.send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  };

  describe("headers", () => {
    test("are the protocol's, the configured ones and those of the request, and no others", async () => {
      const [wire, seen, server] = await against(withSession, { headers: { Authorization: "Bearer a", "X-Key": "k" } });
      await initialize(wire, seen);
      wire.request(2, '{"jsonrpc":"2.0","id":2,"method":"echo","params":{}}', {
        headers: { authorization: "Bearer b", "Mcp-Session-Id": "forged", accept: "text/html" },
      });
      await seen.answer(2);
      const [first, second, third] = server.seen.map(({ headers }) => Object.fromEntries(headers));
      expect(first).toEqual({
        accept: "application/json, text/event-stream",
        "accept-encoding": expect.any(String) as string,
        authorization: "Bearer a",
        connection: "keep-alive",
        "content-length": expect.any(String) as string,
        "content-type": "application/json",
        host: expect.any(String) as string,
        "user-agent": "mcp-proxy",
        "x-key": "k",
      });
      const session = { "mcp-session-id": "s-1", "mcp-protocol-version": "2025-06-18" };
      expect(second).toMatchObject({ ...session, authorization: "Bearer a" });
      expect(third).toMatchObject({ ...session, authorization: "Bearer b", accept: first?.["accept"] as string });
    });

    test("take no session after the first phase", async () => {
      const [wire, , server] = await against(
        () => new Response(answer(2), { headers: { ...JSON_TYPE, "mcp-session-id": "late" } }),
      );
      wire.initialized("2025-06-18");
      ask(wire, 2);
      await until("it was asked", () => server.seen.length === 1);
      await wire.close();
      expect(server.seen).toHaveLength(1);
    });
  });

  test("lets no request overtake the notification that ends the first phase", async () => {
    const gate = Promise.withResolvers<void>();
    const [wire, seen, server] = await against((request, url) =>
      request.body.includes("notifications/initialized")
        ? gate.promise.then(() => new Response(null, { status: 202 }))
        : withSession(request, url),
    );
    await initialize(wire, seen);
    ask(wire, 2);
    await until("the notification arrived", () => server.seen.length === 2);
    await new Promise((resolve) => setImmediate(resolve));
    expect(server.seen).toHaveLength(2);
    gate.resolve();
    await seen.answer(2);
  });

  describe("end", () => {
    test("is said to the server with the session", async () => {
      const [wire, seen, server] = await against(withSession);
      await initialize(wire, seen);
      await wire.close();
      const last = server.seen.at(-1);
      expect([last?.method, last?.headers.get("mcp-session-id")]).toEqual(["DELETE", "s-1"]);
    });

    test("does not wait long for a server that does not answer, and cuts every stream", async () => {
      const cut = Promise.withResolvers<void>();
      const [wire, seen] = await against((request, url) => {
        if (request.method === "DELETE") return new Promise<Response>(() => {});
        if (request.body.includes('"hang"')) {
          return new Response(
            new ReadableStream({ start: (c) => c.enqueue(": hi\n\n"), cancel: () => cut.resolve() }),
            {
              headers: SSE_TYPE,
            },
          );
        }
        return withSession(request, url);
      });
      await initialize(wire, seen);
      ask(wire, 2, "hang");
      await new Promise((resolve) => setImmediate(resolve));
      const since = Date.now();
      await wire.close();
      expect(Date.now() - since).toBeLessThan(5000);
      expect(seen.events.at(-1)).toEqual({ kind: "closed", fault: undefined });
      expect(seen.all("failed")).toEqual([]);
    });

    test("of one request closes its stream and nothing else", async () => {
      const cut = Promise.withResolvers<void>();
      const opened = Promise.withResolvers<void>();
      const [wire, seen] = await against(({ body }) => {
        if (!body.includes('"hang"')) return undefined;
        opened.resolve();
        return new Response(new ReadableStream({ start: (c) => c.enqueue(": hi\n\n"), cancel: () => cut.resolve() }), {
          headers: SSE_TYPE,
        });
      });
      ask(wire, 1, "hang");
      await opened.promise;
      wire.abandon(1);
      await cut.promise;
      ask(wire, 2);
      await seen.answer(2);
      expect(seen.all("failed")).toEqual([]);
    });
  });

  describe("failures", () => {
    test("a session that is gone did not run the request", async () => {
      let lost = false;
      const [wire, seen] = await against((request, url) =>
        lost
          ? new Response('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}', {
              status: 404,
            })
          : withSession(request, url),
      );
      await initialize(wire, seen);
      ask(wire, 2);
      await seen.answer(2);
      lost = true;
      ask(wire, 3);
      const { id, fault } = await seen.first("failed");
      expect([id, fault.code, fault.notRun]).toEqual([3, "upstream.session_lost", true]);
      expect(seen.all("closed")).toEqual([]);
    });

    test("a session that is gone may be said with 400", async () => {
      const [wire, seen] = await against((request, url) =>
        request.headers.has("mcp-session-id") && request.body.includes('"echo"')
          ? Response.json(
              { jsonrpc: "2.0", error: { code: -32000, message: "Bad Request: Server not initialized" }, id: null },
              { status: 400 },
            )
          : withSession(request, url),
      );
      await initialize(wire, seen);
      ask(wire, 2);
      expect((await seen.first("failed")).fault.code).toBe("upstream.session_lost");
    });

    test("404 without a session is a wrong url", async () => {
      const { fault } = await failure(() => new Response("nothing here", { status: 404 }));
      expect([fault.code, fault.message, fault.detail]).toEqual([
        "upstream.http_status",
        "the server answered with HTTP 404; see that its url is right",
        "nothing here",
      ]);
    });

    test("an unknown method at a server with a session is an answer, not a lost session", async () => {
      const text = '{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"Method not found"}}';
      const [wire, seen] = await against((request, url) =>
        request.body.includes('"echo"')
          ? new Response(text, { status: 404, headers: JSON_TYPE })
          : withSession(request, url),
      );
      await initialize(wire, seen);
      ask(wire, 2);
      expect((await seen.answer(2)).text).toBe(text);
    });

    test("an error status with the answer in it is the answer", async () => {
      const text = '{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"no"}}';
      const [wire, seen] = await against(() => new Response(text, { status: 400, headers: JSON_TYPE }));
      ask(wire, 1);
      expect((await seen.answer(1)).text).toBe(text);
    });

    test.each([401, 403])("%d means that the credentials are wrong", async (status) => {
      const { fault } = await failure(
        () => new Response("no", { status, headers: { "www-authenticate": 'Bearer error="x"' } }),
      );
      expect([fault.code, fault.notRun, fault.detail]).toEqual(["upstream.unauthorized", true, 'Bearer error="x"\nno']);
      expect(fault.message).toContain(String(status));
    });

    test("another status comes with a bounded start of its body, printable", async () => {
      const { fault } = await failure(() => new Response(`\x1b[2J${"x".repeat(1_000_000)}`, { status: 502 }));
      expect([fault.code, fault.message, fault.notRun]).toEqual([
        "upstream.http_status",
        "the server answered with HTTP 502",
        false,
      ]);
      expect(fault.detail?.length).toBeLessThan(1100);
      expect(fault.detail).toStartWith("\\x1b[2Jxxx");
    });

    test("a page in place of a message says so", async () => {
      const { fault } = await failure(() => new Response("<html>", { headers: { "content-type": "text/html" } }));
      expect([fault.code, fault.detail]).toEqual(["upstream.protocol", "<html>"]);
      expect(fault.message).toContain("text/html");
    });

    test("an answer to somebody else does not answer", async () => {
      const { id, fault } = await failure(() => new Response(answer(99), { headers: JSON_TYPE }));
      expect([id, fault.code]).toEqual([1, "upstream.protocol"]);
    });

    test("nobody listens: nothing ran", async () => {
      const server = serve();
      const { url } = server;
      await server.stop();
      const [wire, seen] = await connect(url);
      ask(wire, 1);
      const { fault } = await seen.first("failed");
      expect([fault.code, fault.notRun]).toEqual(["upstream.unreachable", true]);
      expect(fault.message).toContain("ECONNREFUSED");
      expect(fault.message).not.toContain(url);
    });

    test("no such host: nothing ran", async () => {
      const [wire, seen] = await connect("http://no-such-host.invalid/mcp");
      ask(wire, 1);
      const { fault } = await seen.first("failed");
      expect([fault.code, fault.notRun]).toEqual(["upstream.unreachable", true]);
    });

    test("a connection that breaks before the answer may have run it", async () => {
      const server = createServer((socket) => socket.on("data", () => socket.destroy()));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const [wire, seen] = await connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
      ask(wire, 1);
      const { fault } = await seen.first("failed");
      expect([fault.code, fault.notRun]).toEqual(["upstream.unreachable", false]);
      server.close();
    });

    test("a notification that gets lost is told to the log alone", async () => {
      const [wire, seen] = await against(() => new Response("full", { status: 503 }));
      wire.send('{"jsonrpc":"2.0","method":"notifications/x"}');
      expect((await seen.first("noise")).line).toBe(
        "a message to it was lost: the server answered with HTTP 503 (full)",
      );
    });
  });

  describe("too large", () => {
    test.each([
      ["with a length", () => new Response(answer(1, `"${"x".repeat(5000)}"`), { headers: JSON_TYPE })],
      [
        "in chunks",
        () => new Response(new Blob([answer(1, `"${"x".repeat(5000)}"`)]).stream(), { headers: JSON_TYPE }),
      ],
      [
        "after it was unpacked",
        () =>
          new Response(Bun.gzipSync(Buffer.from(answer(1, `"${"x".repeat(500_000)}"`))), {
            headers: { ...JSON_TYPE, "content-encoding": "gzip" },
          }),
      ],
      ["as an event", () => events(`data: ${answer(1, `"${"x".repeat(5000)}"`)}\n\n`)],
      ["as an event without an end", () => events(`data: {"result":"${"x".repeat(5000)}`)],
    ])("%s", async (_, make) => {
      const { id, fault } = await failure(make, { maxMessageBytes: 4096 });
      expect([id, fault.code, fault.notRun]).toEqual([1, "upstream.too_large", false]);
    });
  });

  test("a notification that is too large costs itself, on the stream of a call and outside", async () => {
    const large = `data: {"jsonrpc":"2.0","method":"n","params":"${"x".repeat(100_000)}"}\n\n`;
    const [wire, seen] = await against(
      ({ method, body }) => {
        if (method === "GET") return events(large, `data: ${answer(5)}\n\n`);
        return body.includes('"id":5') ? new Response(null, { status: 202 }) : events(large, `data: ${answer(1)}\n\n`);
      },
      { maxMessageBytes: 4096 },
    );
    ask(wire, 1);
    await seen.answer(1);
    ask(wire, 5);
    wire.listen(true);
    await seen.answer(5);
    expect(seen.all("failed")).toEqual([]);
    expect(seen.all("noise")).toHaveLength(2);
  });

  describe("redirects", () => {
    test("do not take credentials to another server", async () => {
      const other = serve();
      const { fault } = await failure(() => new Response(null, { status: 307, headers: { location: other.url } }), {
        headers: { authorization: "Bearer a" },
      });
      expect([fault.code, fault.notRun, fault.detail]).toEqual([
        "upstream.http_status",
        true,
        `Location: ${other.url}`,
      ]);
      expect(other.seen).toEqual([]);
    });

    test("of the kind that keeps method and body are followed once on the same server", async () => {
      const [wire, seen] = await against((_, url) =>
        url.pathname === "/mcp" ? new Response(null, { status: 308, headers: { location: "/mcp/" } }) : undefined,
      );
      ask(wire, 1);
      await seen.answer(1);
      const { fault } = await failure(() => new Response(null, { status: 307, headers: { location: "/again" } }));
      expect(fault.message).toContain("HTTP 307");
    });
  });

  describe("streams", () => {
    test("that end before the answer, and cannot be taken up, fail the request", async () => {
      const { fault } = await failure(() => events('data: {"jsonrpc":"2.0","method":"n"}\n\n', undefined));
      expect([fault.code, fault.notRun]).toEqual(["upstream.unreachable", false]);
    });

    test("that end before the answer are taken up from the last event, as often as it takes", async () => {
      const lasts: (string | null)[] = [];
      const [wire, seen] = await against(({ method, headers }) => {
        if (method === "POST") return events("retry: 20\nid: a\ndata: \n\n", undefined);
        lasts.push(headers.get("last-event-id"));
        if (lasts.length < 8)
          return events(`id: b${lasts.length}\ndata: {"jsonrpc":"2.0","method":"n"}\n\n`, undefined);
        return events(`data: ${answer(1)}\n\n`, undefined);
      });
      ask(wire, 1);
      expect(await seen.answer(1)).toMatchObject({ via: 1 });
      expect(lasts).toEqual(["a", "b1", "b2", "b3", "b4", "b5", "b6", "b7"]);
      expect(seen.all("message").every(({ via }) => via === 1)).toBe(true);
      expect(seen.all("message")).toHaveLength(8);
    });

    test("of a server that is gone fail the request soon, those of one that comes back do not", async () => {
      const said = '{"jsonrpc":"2.0","method":"said"}';
      const primed: Only = ({ method }) => (method === "POST" ? events(`id: a\ndata: ${said}\n\n`) : undefined);
      const [wire, seen, server] = await against(primed);
      ask(wire, 1);
      // Before the event is read there is nothing to take the stream up from, however early the server has sent it.
      await seen.first("message");
      const since = performance.now();
      await server.stop();
      expect((await seen.first("failed")).fault.code).toBe("upstream.unreachable");
      expect(performance.now() - since).toBeLessThan(6_000);

      const brief = serve(primed);
      const [other, heard] = await connect(brief.url);
      ask(other, 1);
      await heard.first("message");
      const at = Number(new URL(brief.url).port);
      await brief.stop();
      const again = Bun.serve({ hostname: "127.0.0.1", port: at, fetch: () => events(`data: ${answer(1)}\n\n`) });
      await heard.answer(1);
      await again.stop(true);
    });

    test("that the server does not know any more fail the request", async () => {
      const { fault } = await failure(({ method }) =>
        method === "POST" ? events("retry: 20\nid: a\ndata: \n\n", undefined) : new Response(null, { status: 400 }),
      );
      expect([fault.code, fault.notRun]).toEqual(["upstream.unreachable", false]);
    });

    test("may carry batches, comments, other events and garbage", async () => {
      const [wire, seen] = await against(() =>
        events(
          ": hi\n\nevent: other\ndata: 1\n\ndata: nonsense\n\n",
          `data: [{"jsonrpc":"2.0","method":"n"},\r\ndata: ${answer(1)}]\r\n\r\n`,
          undefined,
        ),
      );
      ask(wire, 1);
      await seen.answer(1);
      expect(seen.all("message").map(({ text }) => text)).toEqual(['{"jsonrpc":"2.0","method":"n"}', answer(1)]);
      expect(seen.all("noise").map(({ line }) => line)).toEqual(["nonsense"]);
    });

    test("that stay open behind the answer are closed", async () => {
      const cut = Promise.withResolvers<void>();
      const [wire, seen] = await against(
        () =>
          new Response(
            new ReadableStream({ start: (c) => c.enqueue(`data: ${answer(1)}\n\n`), cancel: () => cut.resolve() }),
            { headers: SSE_TYPE },
          ),
      );
      ask(wire, 1);
      await seen.answer(1);
      await cut.promise;
    });
  });

  describe("the stream outside requests", () => {
    const notification = (name: string): string => `{"jsonrpc":"2.0","method":"${name}"}`;

    test("brings messages that belong to no request, and answers to those that were accepted", async () => {
      const [wire, seen] = await against(({ method, body }) => {
        if (method === "GET") return events(`data: ${notification("n")}\n\n`, `data: ${answer(5)}\n\n`);
        return body.includes('"id":5') ? new Response(null, { status: 202 }) : undefined;
      });
      ask(wire, 5);
      wire.listen(true);
      wire.listen(true);
      expect((await seen.answer(5)).via).toBeUndefined();
      expect(seen.all("message")[0]).toEqual({ kind: "message", text: notification("n"), via: undefined });
      expect(seen.all("failed")).toEqual([]);
    });

    test("may not exist", async () => {
      const [wire, seen, server] = await against(() => undefined);
      wire.listen(true);
      await until("it was asked for", () => server.seen.length === 1);
      ask(wire, 1);
      await seen.answer(1);
      expect(server.seen.map(({ method }) => method)).toEqual(["GET", "POST"]);
      expect(seen.all("noise")).toEqual([]);
    });

    test("is opened again when it drops, when and where the server says", async () => {
      const lasts: (string | null)[] = [];
      const [wire, seen] = await against(({ headers }) => {
        lasts.push(headers.get("last-event-id"));
        const part = `retry: 30\nid: ${lasts.length}\ndata: ${notification(`n${lasts.length}`)}\n\n`;
        return lasts.length < 3 ? events(part, undefined) : events(part);
      });
      wire.listen(true);
      await seen.first("message", ({ text }) => text === notification("n3"));
      expect(lasts).toEqual([null, "1", "2"]);
    });

    test("is opened again after a failure of the server", async () => {
      let times = 0;
      const [wire, seen] = await against(() =>
        ++times === 1 ? new Response(null, { status: 503 }) : events(`data: ${notification("n")}\n\n`),
      );
      wire.listen(true);
      await seen.first("message");
      expect(times).toBe(2);
    });

    test("ends when nobody listens any more", async () => {
      const cut = Promise.withResolvers<void>();
      const [wire, seen] = await against(
        () =>
          new Response(
            new ReadableStream({
              start: (c) => c.enqueue(`data: ${notification("n")}\n\n`),
              cancel: () => cut.resolve(),
            }),
            { headers: SSE_TYPE },
          ),
      );
      wire.listen(true);
      await seen.first("message");
      wire.listen(false);
      await cut.promise;
      expect(seen.all("closed")).toEqual([]);
    });
  });
});
