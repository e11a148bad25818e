import { afterAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { Answer } from "../../src/http1/answer.ts";
import { TEXT, echo, serve } from "./server.ts";
import { Wire, ask } from "./wire.ts";

const server = serve(echo);
afterAll(() => server[Symbol.asyncDispose]());

/** The end of a request's head, after which the server closes. */
const LAST = "Host: here\r\nConnection: close\r\n\r\n";

function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
}

interface Understood {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

function understood(text: string): Understood {
  return JSON.parse(text.slice(text.lastIndexOf("\r\n\r\n") + 4)) as Understood;
}

describe("refused, with the connection closed behind it:", () => {
  const head = "POST / HTTP/1.1\r\nHost: here\r\n";
  const chunks = `${head}Transfer-Encoding: chunked\r\n\r\n`;
  const rows: Record<string, [request: string, status: number]> = {
    "no HTTP": ["hello\r\n\r\n", 400],
    "a TLS hello": ["\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", 400],
    "an empty line too many": ["\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    "HTTP/2 with prior knowledge": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
    "HTTP/1.2": ["GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505],
    "HTTP/0.9": ["GET /\r\n\r\n", 400],
    "a method in lower case": ["get / HTTP/1.1\r\nHost: a\r\n\r\n", 501],
    "two blanks in the request line": ["GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    "a tunnel": ["CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    "a fragment": ["GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    "a backslash in the path": ["GET /a\\..\\b HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    "a password in the target": ["GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    "a target of another scheme": ["GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    "a target whose host is none": ["GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    "no host": ["GET / HTTP/1.1\r\n\r\n", 400],
    "no host beside a whole URL": ["GET http://a/ HTTP/1.1\r\n\r\n", 400],
    "two hosts": ["GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400],
    "two credentials": ["GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n", 400],
    "a blank before the colon": [`${head}Content-Length : 5\r\n\r\nhello`, 400],
    "a folded line": [`${head}X: a\r\n b\r\n\r\n`, 400],
    "a bare line feed between lines": ["GET / HTTP/1.1\nHost: a\r\n\r\n", 400],
    "a bare carriage return in a value": [`${head}X: a\rb\r\n\r\n`, 400],
    "NUL in a value": [`${head}X: a\0b\r\n\r\n`, 400],
    "a name that is no token": [`${head}X(: a\r\n\r\n`, 400],
    "a line without a colon": [`${head}X\r\n\r\n`, 400],
    "a length and chunks": [`${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    "two lengths": [`${head}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`, 400],
    "a list of lengths": [`${head}Content-Length: 3, 3\r\n\r\nabc`, 400],
    "a negative length": [`${head}Content-Length: -1\r\n\r\n`, 400],
    "a length with a sign": [`${head}Content-Length: +3\r\n\r\nabc`, 400],
    "a length beyond all numbers": [`${head}Content-Length: 9999999999999999\r\n\r\n`, 400],
    "a coding that is not known": [`${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
    "an empty coding": [`${head}Transfer-Encoding:\r\n\r\n`, 501],
    "two codings": [`${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    "chunks in HTTP/1.0": ["POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
    "another expectation": [`${head}Expect: 200-maybe\r\n\r\n`, 417],
    "a chunk size with a prefix": [`${chunks}0x1\r\na\r\n0\r\n\r\n`, 400],
    "a chunk size with a blank": [`${chunks}1 \r\na\r\n0\r\n\r\n`, 400],
    "a chunk size beyond all numbers": [`${chunks}10000000000000001\r\na\r\n0\r\n\r\n`, 400],
    "a chunk line with a bare line feed": [`${chunks}1\na\r\n0\r\n\r\n`, 400],
    "a chunk that is longer than said": [`${chunks}1\r\nab\r\n0\r\n\r\n`, 400],
    "a chunk extension without end": [`${chunks}1;${"a".repeat(1_000)}`, 400],
    "a length among the trailers": [`${chunks}0\r\nContent-Length: 5\r\n\r\n`, 400],
    "trailers without end": [`${chunks}0\r\n${"X: y\r\n".repeat(2_000)}`, 400],
    "a head that is too long": [`${head}X: ${"a".repeat(20_000)}\r\n\r\n`, 431],
    "a head that is too long and does not end": [`${head}X: ${"a".repeat(20_000)}`, 431],
  };
  for (const [what, [request, status]] of Object.entries(rows)) {
    test(what, async () => {
      const text = await ask(server.port, request);
      expect([what, ...statuses(text)]).toEqual([what, status]);
      expect(text).toContain("\r\nConnection: close\r\n");
    });
    test(`${what}, byte by byte`, async () => {
      using wire = await Wire.to(server.port);
      for (const byte of request.slice(0, 600)) {
        wire.send(byte);
        if (wire.over) break;
        await new Promise((next) => setImmediate(next));
      }
      wire.send(request.slice(600));
      await wire.closed;
      expect([what, ...statuses(wire.text)]).toEqual([what, status]);
    });
  }
});

describe("understood:", () => {
  const rows: Record<string, [request: string, seen: Partial<Understood>]> = {
    "blanks and tabs around values": [
      `GET / HTTP/1.1\r\nX:\t a b \t\r\n${LAST}`,
      { headers: { x: "a b", host: "here", connection: "close" } },
    ],
    "an empty value": [`GET / HTTP/1.1\r\nX:\r\n${LAST}`, { headers: { x: "", host: "here", connection: "close" } }],
    "several lines as one list, cookies as one line of them": [
      `GET / HTTP/1.1\r\nX: a\r\nx: b\r\nCookie: c=1\r\nCookie: d=2\r\n${LAST}`,
      { headers: { x: "a, b", cookie: "c=1; d=2", host: "here", connection: "close" } },
    ],
    "names that objects have": [
      `GET / HTTP/1.1\r\n__proto__: a\r\nconstructor: b\r\n${LAST}`,
      { headers: { ["__proto__"]: "a", constructor: "b", host: "here", connection: "close" } },
    ],
    "a whole URL, whose host counts": [
      `GET http://other:81/a?b HTTP/1.1\r\n${LAST}`,
      { url: "http://other:81/a?b", headers: { host: "other:81", connection: "close" } },
    ],
    "dots in a path": [`GET /a/%2E%2e/../b/./c HTTP/1.1\r\n${LAST}`, { url: "http://here/b/c" }],
    "a path that looks like a host": [`GET //other/a HTTP/1.1\r\n${LAST}`, { url: "http://here//other/a" }],
    "a host that is empty, in whose place nothing of the path comes": [
      "GET /a/b HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
      { url: "http://nowhere.invalid/a/b" },
    ],
    "an empty line before it": [`\r\nGET / HTTP/1.1\r\n${LAST}`, { method: "GET" }],
    "a body by its length": [`POST / HTTP/1.1\r\nContent-Length: 5\r\n${LAST}hello`, { body: "hello" }],
    "a body in chunks with extensions and trailers": [
      `POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n${LAST}2;a=b;c="d;e"\r\nhe\r\n003\r\nllo\r\n0\r\nX: y\r\n\r\n`,
      { body: "hello" },
    ],
    "an empty body in chunks": [`POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${LAST}0\r\n\r\n`, { body: "" }],
    "a body of GET, which is read and is none of the next request": [
      `GET / HTTP/1.1\r\nContent-Length: 19\r\n${LAST}GET /in HTTP/1.1\r\n\r\n`.slice(0, -1),
      { body: "GET /in HTTP/1.1\r\n\r" },
    ],
    "HTTP/1.0, which closes": [
      "GET / HTTP/1.0\r\nHost: here\r\nConnection: keep-alive\r\n\r\n",
      { url: "http://here/" },
    ],
  };
  for (const [what, [request, seen]] of Object.entries(rows)) {
    test(what, async () => {
      const whole = await ask(server.port, request);
      expect(statuses(whole)).toEqual([200]);
      expect(understood(whole)).toMatchObject(seen);
      using wire = await Wire.to(server.port);
      for (const byte of request) {
        wire.send(byte);
        await new Promise((next) => setImmediate(next));
      }
      await wire.closed;
      expect(understood(wire.text)).toEqual(understood(whole));
    });
  }
});

test("HTTP/1.0 that names no host means the address it came to", async () => {
  const text = await ask(server.port, "GET /health HTTP/1.0\r\n\r\n");
  const host = `127.0.0.1:${server.port}`;
  expect(understood(text)).toMatchObject({ url: `http://${host}/health`, headers: { host } });
  await using six = serve(echo, undefined, { at: { hostname: "::1", port: 0 } });
  using wire = new Wire(connect(six.port, "::1"));
  wire.send("GET / HTTP/1.0\r\n\r\n");
  await wire.closed;
  expect(understood(wire.text)).toMatchObject({ url: `http://[::1]:${six.port}/` });
});

describe("a connection", () => {
  test("is used again, with the same head and with another", async () => {
    using wire = await Wire.to(server.port);
    for (const path of ["/a", "/a", "/b", "/a"]) {
      const body = `to ${path}`;
      wire.text = "";
      wire.send(`POST ${path} HTTP/1.1\r\nHost: here\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      await wire.until("}");
      expect(understood(wire.text)).toMatchObject({ url: `http://here${path}`, body });
    }
  });
  test("answers what is sent all at once, in order", async () => {
    const paths = Array.from({ length: 500 }, (_, index) => `/${index}`);
    const all = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: here\r\n\r\n`).join("");
    const text = await ask(server.port, `${all}GET /last HTTP/1.1\r\n${LAST}`);
    expect([...text.matchAll(/"url":"http:\/\/here(\/\w+)"/g)].map(([, path]) => path)).toEqual([...paths, "/last"]);
  });
  test("takes nothing behind a request that was to be the last", async () => {
    const text = await ask(server.port, `GET /a HTTP/1.1\r\n${LAST}GET /b HTTP/1.1\r\n${LAST}`);
    expect(statuses(text)).toEqual([200]);
  });
  test("answers what came before something broken", async () => {
    const text = await ask(server.port, "GET /a HTTP/1.1\r\nHost: here\r\n\r\nnonsense\r\n\r\n");
    expect(statuses(text)).toEqual([200, 400]);
  });
  test("says 100 Continue to who waits for it and is listened to", async () => {
    using wire = await Wire.to(server.port);
    wire.send(`POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n${LAST}`);
    await wire.until("HTTP/1.1 100 Continue\r\n\r\n");
    wire.send("hello");
    await wire.closed;
    expect(statuses(wire.text)).toEqual([100, 200]);
  });
  test("says it to nobody who sends already, has nothing to send, or speaks HTTP/1.0", async () => {
    for (const request of [
      `POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n${LAST}hello`,
      `POST / HTTP/1.1\r\nContent-Length: 0\r\nExpect: 100-continue\r\n${LAST}`,
    ]) {
      expect(statuses(await ask(server.port, request))).toEqual([200]);
    }
    using old = await Wire.to(server.port);
    old.send("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").send("hello");
    await old.closed;
    expect(statuses(old.text)).toEqual([200]);
  });
  test("is closed where the answer came without the body that was waited for", async () => {
    await using deaf = serve(() => new Answer(403, TEXT, "no"));
    const text = await ask(
      deaf.port,
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );
    expect(statuses(text)).toEqual([403]);
    expect(text).toContain("\r\nConnection: close\r\n");
  });
  test("is used again behind a small body that nobody read, and not behind a large one", async () => {
    await using deaf = serve(() => new Answer(403, TEXT, "no"));
    using wire = await Wire.to(deaf.port);
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n");
    await wire.until("\r\n\r\nno");
    wire.send("a".repeat(30_000)).send(`GET / HTTP/1.1\r\n${LAST}`);
    await wire.closed;
    expect(statuses(wire.text)).toEqual([403, 403]);
    for (const framing of ["Content-Length: 3000000", "Transfer-Encoding: chunked"]) {
      expect(await ask(deaf.port, `POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`)).toContain("Connection: close");
    }
  });
});

describe("an answer", () => {
  test("to HEAD has the length and no body, of text, of bytes and of a stream", async () => {
    const bodies = ["text", Buffer.from("bytes"), { open: () => "x", drained() {}, left() {} }];
    for (const body of bodies) {
      await using one = serve(() => new Answer(200, TEXT, body));
      const text = await ask(one.port, `HEAD / HTTP/1.1\r\n${LAST}`);
      expect(text.endsWith("\r\n\r\n")).toBeTrue();
      expect(text).toContain(
        typeof body === "string" ? "Content-Length: 4" : body instanceof Buffer ? "Content-Length: 5" : "chunked",
      );
    }
  });
  test("to HEAD says nothing of the length where who answered left out the body", async () => {
    await using bare = serve(() => new Answer(200, TEXT));
    expect(await ask(bare.port, `HEAD / HTTP/1.1\r\n${LAST}`)).not.toContain("Content-Length");
    expect(await ask(bare.port, `GET / HTTP/1.1\r\n${LAST}`)).toContain("Content-Length: 0");
  });
  test("of 204 and 304 has neither length nor body, whatever the handler says", async () => {
    for (const status of [204, 304]) {
      await using one = serve(() => new Answer(status, TEXT, "body"));
      const text = await ask(one.port, `GET / HTTP/1.1\r\n${LAST}`);
      expect(text.endsWith("\r\n\r\n")).toBeTrue();
      expect(text).not.toContain("Content-Length");
    }
  });
  test("carries a date, and its length in bytes", async () => {
    await using one = serve(() => new Answer(200, TEXT, "\u20ac\ud83d\ude00\ud800"));
    const text = await ask(one.port, `GET / HTTP/1.1\r\n${LAST}`);
    expect(text).toMatch(/\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
    expect(text).toContain("Content-Length: 10\r\n");
    expect(Buffer.from(text.slice(text.indexOf("\r\n\r\n") + 4), "latin1")).toHaveLength(10);
  });
  test("is 500 where the handler throws or rejects, and the next request is served", async () => {
    let calls = 0;
    await using one = serve(() => {
      if (++calls === 1) throw new Error("first");
      if (calls === 2) return Promise.reject(new Error("second"));
      return new Answer(200, TEXT, "third");
    });
    const get = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
    expect(statuses(await ask(one.port, `${get}${get}GET / HTTP/1.1\r\n${LAST}`))).toEqual([500, 500, 200]);
    expect(one.failures.map(String)).toEqual(["Error: first", "Error: second"]);
  });
});

test("a header of blanks costs no more than another of its length", async () => {
  await using one = serve(() => new Answer(200, TEXT));
  const time = async (value: string): Promise<number> => {
    const begun = performance.now();
    const get = (at: number): string => `GET /${at} HTTP/1.1\r\nHost: here\r\nX: ${value}\r\n\r\n`;
    await ask(one.port, `${Array.from({ length: 30 }, (_, at) => get(at)).join("")}GET / HTTP/1.1\r\n${LAST}`);
    return performance.now() - begun;
  };
  await time("a");
  const plain = await time(`a${"b".repeat(15_000)}c`);
  // Squared it would be thousands of times as much.
  expect(await time(`a${" ".repeat(15_000)}c`)).toBeLessThan(20 * plain + 1_000);
});
