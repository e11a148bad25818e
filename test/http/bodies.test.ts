import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { INITIALIZE, connect, tools } from "./client.ts";
import type { HttpClient } from "./client.ts";
import { dial, exchange, post, request } from "./raw.ts";

const LIMIT = 100_000;

let proxy: RunningProxy;
let client: HttpClient;
/** A session for raw requests, and what they need beside it. */
let headers: Record<string, string>;
beforeAll(async () => {
  proxy = await startProxy({ a: tools() }, { mcpProxy: { maxRequestBytes: LIMIT } });
  client = await connect(`${proxy.url}/a/mcp`);
  headers = {
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    "Mcp-Session-Id": client.session ?? "",
  };
});
afterAll(() => proxy[Symbol.asyncDispose]());

const PING = JSON.stringify({ jsonrpc: "2.0", id: 7, method: "ping" });

/** A ping with blanks up to that many bytes. */
const padded = (bytes: number): string => PING + " ".repeat(bytes - PING.length);

function chunked(body: string, size = 8_192): string {
  let text = "";
  for (let at = 0; at < body.length; at += size) {
    const piece = body.slice(at, at + size);
    text += `${piece.length.toString(16)}\r\n${piece}\r\n`;
  }
  return `${text}0\r\n\r\n`;
}

describe("a body", () => {
  test("of exactly the limit is read, with a length and in chunks", async () => {
    expect((await exchange(proxy.port, request("POST /a/mcp", headers, padded(LIMIT)))).status).toBe(200);
    const inChunks = request("POST /a/mcp", { ...headers, "Transfer-Encoding": "chunked" }, chunked(padded(LIMIT)));
    expect((await exchange(proxy.port, inChunks)).status).toBe(200);
  });
  test("in chunks of one byte is read, multi-byte characters torn apart too", async () => {
    const body = Buffer.from(
      JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "echo", arguments: { text: "€ 😀" } },
      }),
    );
    const head = Buffer.from(request("POST /a/mcp", { ...headers, "Transfer-Encoding": "chunked" }));
    const chunks = [...body].map((byte) =>
      Buffer.concat([Buffer.from("1\r\n"), Buffer.from([byte]), Buffer.from("\r\n")]),
    );
    const raw = await exchange(proxy.port, Buffer.concat([head, ...chunks, Buffer.from("0\r\n\r\n")]));
    expect(raw.body).toContain("€ 😀");
  });
  test("over the limit is 413 in JSON, with a length and in chunks", async () => {
    const over = padded(LIMIT + 1);
    const answers = await Promise.all([
      exchange(proxy.port, request("POST /a/mcp", headers, over)),
      exchange(proxy.port, request("POST /a/mcp", { ...headers, "Transfer-Encoding": "chunked" }, chunked(over))),
      exchange(
        proxy.port,
        request("POST /a/mcp", { ...headers, "Transfer-Encoding": "chunked" }, chunked(padded(2_000_000), 200_000)),
      ),
    ]);
    for (const raw of answers) {
      expect([raw.status, raw.headers.get("content-type")?.startsWith("application/json")]).toEqual([413, true]);
      expect(JSON.parse(raw.body)).toMatchObject({
        jsonrpc: "2.0",
        id: null,
        error: { message: expect.stringContaining("maxRequestBytes") },
      });
    }
  });
  test("that only announces to be too large is refused before it is sent", async () => {
    const raw = await exchange(proxy.port, request("POST /a/mcp", { ...headers, "Content-Length": "50000000000" }));
    expect(raw.status).toBe(413);
  });
  test("that claims an absurd length is a refusal, not a wait", async () => {
    for (const length of ["-1", "1e3", "99999999999999999999999", "0x10", "+5", "5 5", "", "abc"]) {
      const raw = await exchange(proxy.port, request("POST /a/mcp", { ...headers, "Content-Length": length }, PING));
      expect(`${length}: ${raw.status}`).toBeOneOf([0, 400, 413].map((status) => `${length}: ${status}`));
    }
  });
});

describe("hostile JSON", () => {
  const bombs: Record<string, string> = {
    "brackets that never close": "[".repeat(LIMIT),
    "braces that never close": '{"a":'.repeat(LIMIT / 5),
    "deep arrays as params": `{"jsonrpc":"2.0","id":1,"method":"ping","params":${"[".repeat(40_000)}${"]".repeat(40_000)}}`,
    "deep objects as params": `{"jsonrpc":"2.0","id":1,"method":"ping","params":${'{"a":'.repeat(15_000)}1${"}".repeat(15_000)}}`,
    "a deep id": `{"jsonrpc":"2.0","id":${"[".repeat(40_000)}${"]".repeat(40_000)},"method":"ping"}`,
    "ten thousand ids": `{"jsonrpc":"2.0",${'"id":1,'.repeat(10_000)}"method":"ping"}`,
    "ten thousand messages": `[${Array.from({ length: 1_500 }, () => PING).join(",")}]`,
    "a string that never ends": `{"jsonrpc":"2.0","id":1,"method":"${"\\".repeat(90_001)}`,
    "backslashes and quotes": `{"jsonrpc":"2.0","id":1,"method":"${'\\"'.repeat(40_000)}`,
    "a long number": `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"n":${"9".repeat(90_000)}}}`,
  };
  for (const [what, body] of Object.entries(bombs)) {
    test(`of ${what} is answered, and the proxy goes on`, async () => {
      const answer = await client.send(body);
      expect(answer.status).toBeOneOf([200, 400]);
      if (answer.status === 400) expect(answer.last.error?.code).toBeOneOf([-32700, -32600]);
      expect((await client.send(PING)).status).toBe(200);
    });
  }
  test("of four megabytes of brackets is refused within the default limit too", async () => {
    await using wide = await startProxy({ a: tools() });
    const roomy = await connect(`${wide.url}/a/mcp`);
    for (const body of ["[".repeat(4_194_304), '{"a":'.repeat(838_000)]) {
      const answer = await roomy.send(body);
      expect([answer.status, answer.last.error?.code]).toEqual([400, -32700]);
    }
    expect(await roomy.call("echo", { text: "x".repeat(2_000_000) })).toHaveLength(2_000_000);
  });
  test("that is not UTF-8 is 400 with -32700, and never changed in silence", async () => {
    const quote = (bytes: number[]): Buffer =>
      Buffer.concat([
        Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"'),
        Buffer.from(bytes),
        Buffer.from('"}}}'),
      ]);
    for (const bytes of [[0xff], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]]) {
      const body = quote(bytes);
      for (const coding of ["length", "chunked"]) {
        const text =
          coding === "length"
            ? [Buffer.from(request("POST /a/mcp", { ...headers, "Content-Length": String(body.length) })), body]
            : [
                Buffer.from(request("POST /a/mcp", { ...headers, "Transfer-Encoding": "chunked" })),
                Buffer.from(`${body.length.toString(16)}\r\n`),
                body,
                Buffer.from("\r\n0\r\n\r\n"),
              ];
        const raw = await exchange(proxy.port, Buffer.concat(text));
        expect([bytes, coding, raw.status]).toEqual([bytes, coding, 400]);
        expect(raw.body).toContain("-32700");
      }
    }
  });
  test("with a byte order mark is either read or 400, alike with a length and in chunks", async () => {
    const body = `\ufeff${PING}`;
    const bytes = Buffer.from(body);
    const withLength = await exchange(proxy.port, request("POST /a/mcp", headers, body));
    const head = request("POST /a/mcp", { ...headers, "Transfer-Encoding": "chunked" });
    const inChunks = await exchange(proxy.port, `${head}${bytes.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
    expect(withLength.status).toBeOneOf([200, 400]);
    expect(inChunks.status).toBe(withLength.status);
  });
});

describe("HTTP itself", () => {
  test("pipelined requests are answered in order, or the connection is closed, never mixed", async () => {
    const open = { ...headers, Connection: "keep-alive" };
    const slow = {
      jsonrpc: "2.0",
      id: "first",
      method: "tools/call",
      params: { name: "silence", arguments: { ms: 200 } },
    };
    const { whole } = await exchange(
      proxy.port,
      post("/a/mcp", slow, open) + post("/a/mcp", { jsonrpc: "2.0", id: "second", method: "ping" }, headers),
    );
    const [first, second] = [whole.indexOf('"first"'), whole.indexOf('"second"')];
    expect(second === -1 || (first !== -1 && first < second)).toBeTrue();
    const pages = await exchange(
      proxy.port,
      request("GET /livez", { Connection: "keep-alive" }) + request("GET /nothing"),
    );
    expect(pages.whole.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 404"]);
  });
  test("Expect: 100-continue does not make a client wait for ever", async () => {
    const socket = await dial(proxy.port);
    let text = "";
    const over = new Promise<void>((resolve) => socket.on("close", () => resolve()));
    const interim = new Promise<void>((resolve) =>
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        resolve();
      }),
    );
    socket.write(request("POST /a/mcp", { ...headers, Expect: "100-continue", "Content-Length": String(PING.length) }));
    await interim;
    expect(text).toStartWith("HTTP/1.1 100");
    socket.write(PING);
    await over;
    expect(text).toContain("HTTP/1.1 200");
  });
  test("a request with a length and chunks at once is never read as two", async () => {
    const inner = post(
      "/a/mcp",
      {
        jsonrpc: "2.0",
        id: "smuggled",
        method: "tools/call",
        params: { name: "echo", arguments: { text: "smuggled" } },
      },
      headers,
    );
    const rows: [string, Record<string, string>][] = [
      ["CL before TE", { "Content-Length": "5", "Transfer-Encoding": "chunked" }],
      ["TE before CL", { "Transfer-Encoding": "chunked", "Content-Length": "5" }],
      ["an odd coding", { "Transfer-Encoding": "xchunked" }],
      ["an obsolete fold", { "Transfer-Encoding": "\r\n chunked" }],
      ["identity and chunked", { "Transfer-Encoding": "identity, chunked" }],
      ["a blank before the colon", { "Transfer-Encoding ": "chunked", "Content-Length": "5" }],
      ["two lengths", { "Content-Length": "5\r\nContent-Length: 6" }],
    ];
    for (const [what, more] of rows) {
      const text = request("POST /a/mcp", { ...headers, Connection: "keep-alive", ...more }, `0\r\n\r\n${inner}`);
      const raw = await exchange(proxy.port, text, 5_000).catch((error: unknown) => ({
        whole: String(error),
        status: -1,
      }));
      expect([what, raw.whole.includes("smuggled")]).toEqual([what, false]);
      expect(`${what}: ${raw.status}`).toBeOneOf([0, 400, 501].map((status) => `${what}: ${status}`));
    }
  });
  test("a megabyte of headers is refused", async () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`X-H-${index}`, "y".repeat(90)]));
    for (const more of [{ "X-Long": "y".repeat(1_000_000) }, many]) {
      const raw = await exchange(proxy.port, post("/a/mcp", INITIALIZE, more));
      expect(raw.status).toBeOneOf([0, 400, 413, 431]);
      expect(raw.whole).not.toContain("serverInfo");
    }
    expect((await client.send(PING)).status).toBe(200);
  });
  test("bytes that are no HTTP are refused", async () => {
    for (const bytes of [
      "\r\n\r\n",
      "GET\r\n\r\n",
      "\u0016\u0003\u0001\u0002\u0000\u0001",
      "POST /a/mcp HTTP/9.9\r\n\r\n",
      "GET / HTTP/1.1\r\nbad header\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
    ]) {
      const raw = await exchange(proxy.port, bytes, 5_000).catch(() => undefined);
      expect(raw?.status ?? 0).toBeOneOf([0, 400, 403, 505]);
    }
    expect((await client.send(PING)).status).toBe(200);
  });
  test("a request target in absolute form is the same as its path", async () => {
    const raw = await exchange(proxy.port, request("POST http://127.0.0.1/a/mcp", headers, PING));
    expect(raw.status).toBe(200);
  });
});
