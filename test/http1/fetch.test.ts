import { describe, expect, test } from "bun:test";
import { toAnswer, toRequest } from "../../src/http1/fetch.ts";
import { serve } from "./server.ts";
import type { RunningServer } from "./server.ts";
import { Wire, ask, eventually } from "./wire.ts";

const LAST = "Host: here\r\nConnection: close\r\n\r\n";

function pages(answer: (request: Request) => Response | Promise<Response>): RunningServer {
  return serve(async (incoming) => toAnswer(await answer(toRequest(incoming))));
}

const echo = async (request: Request): Promise<Response> =>
  Response.json({ method: request.method, url: request.url, x: request.headers.get("x"), body: await request.text() });

describe("a request in the form of Fetch", () => {
  test("has the body, at once or in parts", async () => {
    await using server = pages(echo);
    expect(await ask(server.port, `POST /a?b HTTP/1.1\r\nX: \u00e4\r\nContent-Length: 5\r\n${LAST}hello`)).toEndWith(
      '{"method":"POST","url":"http://here/a?b","x":"\u00c3\u00a4","body":"hello"}',
    );
    using wire = await Wire.to(server.port);
    wire.send(`PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${LAST}`);
    for (const chunk of ["2\r\nhe\r\n", "1\r\nl\r\n2\r\nlo\r\n", "0\r\n\r\n"]) {
      wire.send(chunk);
      await new Promise((next) => setImmediate(next));
    }
    await wire.closed;
    expect(wire.text).toEndWith('"body":"hello"}');
  });
  test("keeps its method, and is never a GET where it is something else", async () => {
    await using server = pages(echo);
    for (const method of ["TRACE", "TRACK", "FOO", "CONNECT", "PROPFIND", "POST", "DELETE"]) {
      for (const body of ["", "hello"]) {
        const text = await ask(server.port, `${method} / HTTP/1.1\r\nContent-Length: ${body.length}\r\n${LAST}${body}`);
        expect(text).toContain(`"method":"${["TRACK", "FOO"].includes(method) ? "TRACE" : method}"`);
      }
    }
    expect(server.failures).toEqual([]);
  });
  test("does not ask a client to go on when nobody reads", async () => {
    await using server = pages(() => new Response("no", { status: 404 }));
    const text = await ask(
      server.port,
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );
    expect(text).toStartWith("HTTP/1.1 404");
    expect(text).toContain("\r\nConnection: close\r\n");
  });
  test("asks it to where somebody does", async () => {
    await using server = pages(echo);
    using wire = await Wire.to(server.port);
    wire.send(`POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n${LAST}`);
    await wire.until("100 Continue");
    wire.send("hello");
    await wire.closed;
    expect(wire.text).toEndWith('"body":"hello"}');
  });
  test("fails in its body when the client leaves or breaks off, which is no failure of ours", async () => {
    const errors: unknown[] = [];
    await using server = pages((request) =>
      request.text().then(
        () => new Response(),
        (error: unknown) => {
          errors.push(error);
          throw error;
        },
      ),
    );
    for (const rest of [undefined, "nonsense\r\n"]) {
      using wire = await Wire.to(server.port);
      const before = errors.length;
      wire.send(`POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${LAST}5\r\nhello\r\n`);
      await new Promise((next) => setImmediate(next));
      if (rest === undefined) wire.socket.destroy();
      else {
        wire.send(rest);
        await wire.closed;
        expect(wire.text).toStartWith("HTTP/1.1 400");
      }
      await eventually(() => errors.length > before);
    }
    expect(server.failures).toEqual([]);
  });
});

describe("an answer in the form of Fetch", () => {
  test("keeps its fields, several cookies too, and not what frames it", async () => {
    await using server = pages(() => {
      const headers = new Headers({ "Content-Length": "999", Connection: "close", "X-A": "b" });
      headers.append("Set-Cookie", "a=b");
      headers.append("Set-Cookie", "c=d");
      return new Response("hello", { headers });
    });
    const text = await ask(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(text.match(/^set-cookie: .*$/gim)).toHaveLength(2);
    expect(text.match(/^content-length: .*$/gim)).toEqual(["Content-Length: 5"]);
    expect(text.match(/^connection: .*$/gim)).toEqual(["Connection: close"]);
    expect(text).toMatch(/^x-a: b$/im);
  });
});
