import { expect, test } from "bun:test";
import { Answer } from "../../src/http1/answer.ts";
import type { Outlet } from "../../src/http1/answer.ts";
import { TEXT, bodyOf, serve } from "./server.ts";
import { Wire, eventually } from "./wire.ts";

const HEAD = "POST / HTTP/1.1\r\nHost: here\r\n";

test("a server that stops answers what is there, says that it was the last, and ends who asks nothing", async () => {
  let answer: ((answer: Answer) => void) | undefined;
  let outlet: Outlet | undefined;
  let asked = 0;
  const server = serve(async (request) => {
    asked++;
    if (request.url.endsWith("/stream")) {
      const open = (to: Outlet): string => {
        outlet = to;
        return "begin ";
      };
      return new Answer(200, TEXT, { open, drained() {}, left() {} });
    }
    if (request.url.endsWith("/idle")) return new Answer(200, TEXT, "idle");
    if (request.url.endsWith("/wait"))
      return new Promise((resolve) => {
        answer = resolve;
      });
    return new Answer(200, TEXT, `got ${(await bodyOf(request)).toString()}`);
  });
  using silent = await Wire.to(server.port);
  using idle = await Wire.to(server.port);
  using waits = await Wire.to(server.port);
  using sends = await Wire.to(server.port);
  using reads = await Wire.to(server.port);
  using half = await Wire.to(server.port);
  idle.send("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n");
  await idle.until("idle");
  half.send("GET / HT");
  waits.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  sends.send(`${HEAD}Content-Length: 5\r\n\r\nhe`);
  reads.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  await reads.until("begin");
  await eventually(() => asked === 4);
  let stopped = false;
  const stop = server.server.stop().then(() => {
    stopped = true;
  });
  await Promise.all([silent.closed, idle.closed, half.closed]);
  const late = await Wire.to(server.port).catch((error: unknown) => error);
  expect(late).toBeInstanceOf(Error);
  expect([waits.over, sends.over, reads.over]).toEqual([false, false, false]);
  answer?.(new Answer(200, TEXT, "at last"));
  sends.send("llo");
  await Promise.all([waits.closed, sends.closed]);
  expect(waits.text).toContain("\r\nConnection: close\r\n");
  expect(waits.text).toEndWith("at last");
  expect(sends.text).toEndWith("got hello");
  expect(stopped).toBeFalse();
  outlet?.write("middle ");
  outlet?.end("end");
  await reads.closed;
  expect(reads.text).toEndWith("end\r\n0\r\n\r\n");
  await stop;
  server.server.cut();
});

test("a server that is cut lets go of everybody at once, and tells the streams", async () => {
  let left = 0;
  let asked = 0;
  const server = serve((request) => {
    asked++;
    if (request.url.endsWith("/wait")) return new Promise(() => undefined);
    return new Answer(200, TEXT, { open: () => "begin", drained() {}, left: () => void left++ });
  });
  using silent = await Wire.to(server.port);
  using waits = await Wire.to(server.port);
  using reads = await Wire.to(server.port);
  waits.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  reads.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually(() => asked === 2);
  const stop = server.server.stop();
  server.server.cut();
  await Promise.all([stop, silent.closed, waits.closed, reads.closed]);
  expect(left).toBe(1);
});

test("what a stream throws when its client leaves is told, and the server goes on", async () => {
  const body = {
    open: () => "begin",
    drained() {},
    left: () => {
      throw new Error("a stream failed");
    },
  };
  await using server = serve(() => new Answer(200, TEXT, body));
  using wire = await Wire.to(server.port);
  wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await wire.until("begin");
  wire.socket.destroy();
  await eventually(() => server.failures.length > 0);
  expect(String(server.failures[0])).toBe("Error: a stream failed");
  await server.server.stop();
});

test("what goes wrong in an answer that was waited for is told, and cuts that connection only", async () => {
  const body = {
    open: () => {
      throw new Error("a stream failed");
    },
    drained() {},
    left() {},
  };
  await using server = serve(async () => new Answer(200, TEXT, body));
  using wire = await Wire.to(server.port);
  wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await wire.closed;
  expect(server.failures.map(String)).toEqual(["Error: a stream failed"]);
});
