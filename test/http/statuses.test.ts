import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { HttpClient, INITIALIZE, connect, tools } from "./client.ts";
import { exchange, request } from "./raw.ts";

let proxy: RunningProxy;
let client: HttpClient;
beforeAll(async () => {
  proxy = await startProxy({ a: tools() });
  client = await connect(`${proxy.url}/a/mcp`);
});
afterAll(() => proxy[Symbol.asyncDispose]());

const PING = JSON.stringify({ jsonrpc: "2.0", id: 7, method: "ping" });

describe("what is no JSON", () => {
  const bodies: Record<string, string> = {
    "half an object": '{"jsonrpc":"2.0","id":1,"method":"ping"',
    nothing: "",
    blanks: "  \r\n ",
    "a word": "ping",
    "two objects": `${PING}${PING}`,
    "a comment": `${PING} // done`,
    "single quotes": "{'jsonrpc':'2.0','id':1,'method':'ping'}",
    "a trailing comma": '{"jsonrpc":"2.0","id":1,"method":"ping",}',
    "a bare NaN as id": '{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
    "a number with a leading zero": '{"jsonrpc":"2.0","id":01,"method":"ping"}',
    "a raw control character in a string": '{"jsonrpc":"2.0","id":1,"method":"pi\u0001ng"}',
    "a broken escape": '{"jsonrpc":"2.0","id":1,"method":"\\x"}',
  };
  for (const [what, body] of Object.entries(bodies)) {
    test(`${what} is answered 400 with -32700`, async () => {
      const answer = await client.send(body);
      expect([answer.status, answer.last.error?.code, answer.last.id]).toEqual([400, -32700, null]);
    });
  }
});

describe("what is JSON but no message", () => {
  const bodies: Record<string, string> = {
    "an empty array": "[]",
    "a batch": `[${PING}]`,
    "a number": "1",
    "a string": '"ping"',
    "null itself": "null",
    true: "true",
    "an empty object": "{}",
    "an id that is null": '{"jsonrpc":"2.0","id":null,"method":"ping"}',
    "an id that is an object": '{"jsonrpc":"2.0","id":{},"method":"ping"}',
    "an id that is an array": '{"jsonrpc":"2.0","id":[1],"method":"ping"}',
    "an id that is a boolean": '{"jsonrpc":"2.0","id":true,"method":"ping"}',
    "no version": '{"id":1,"method":"ping"}',
    "another version": '{"jsonrpc":"1.0","id":1,"method":"ping"}',
    "a version that is a number": '{"jsonrpc":2.0,"id":1,"method":"ping"}',
    "a method that is a number": '{"jsonrpc":"2.0","id":1,"method":5}',
    "params that are a string": '{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}',
    "a result and an error": '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}',
    "a request with a result": '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
    "a response without an id": '{"jsonrpc":"2.0","result":{}}',
    "the method twice": '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}',
    "the method in another case": '{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/list"}',
    "the method twice, once escaped": '{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/list"}',
  };
  for (const [what, body] of Object.entries(bodies)) {
    test(`${what} is answered 400 with -32600`, async () => {
      const answer = await client.send(body);
      expect([answer.status, answer.last.error?.code, answer.last.id]).toEqual([400, -32600, null]);
    });
  }
});

describe("Accept and Content-Type", () => {
  const accepted: [string, string | undefined][] = [
    ["both", "application/json, text/event-stream"],
    ["both the other way round, with weights", "text/event-stream;q=0.5, application/json;q=0.9"],
    ["JSON alone", "application/json"],
    ["events alone", "text/event-stream"],
    ["everything", "*/*"],
    ["application/*", "application/*"],
    ["upper case", "Application/JSON, TEXT/event-stream"],
  ];
  for (const [what, accept] of accepted) {
    test(`a POST that accepts ${what} is answered`, async () => {
      const answer = await client.send(PING, accept === undefined ? {} : { Accept: accept });
      expect(answer.status).toBe(200);
      expect(answer.last).toMatchObject({ id: 7, result: {} });
      const kind = accept === "text/event-stream" ? "text/event-stream" : "application/json";
      expect(answer.headers.get("content-type")).toStartWith(kind);
    });
  }
  for (const accept of ["text/html", "image/*", "application/xml", "application/json;q=0, text/event-stream;q=0.0"]) {
    test(`a POST that accepts only ${accept} is answered 406`, async () => {
      const answer = await client.send(PING, { Accept: accept });
      expect(answer.status).toBe(406);
      expect(answer.last.error).toBeDefined();
    });
  }
  for (const accept of ["application/json", "text/html"]) {
    test(`a GET that accepts only ${accept} is answered 406`, async () => {
      const response = await client.fetch("GET", undefined, { Accept: accept });
      expect(response.status).toBe(406);
      // A browser is told the same in words.
      const kind = accept === "text/html" ? "text/html" : "application/json";
      expect(response.headers.get("content-type")).toStartWith(kind);
      await response.text();
    });
  }
  for (const type of ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']) {
    test(`a body of type ${type} is read`, async () => {
      expect((await client.send(PING, { "Content-Type": type })).status).toBe(200);
    });
  }
  const wrong = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/jsonp",
    "text/json",
    "application/json; charset=latin1",
    "multipart/form-data; boundary=x",
  ];
  for (const type of wrong) {
    test(`a body of type ${type} is answered 415`, async () => {
      const answer = await client.send(PING, { "Content-Type": type });
      expect(answer.status).toBe(415);
      expect(answer.last.error).toBeDefined();
    });
  }
  test("a body without a type is answered 415", async () => {
    const raw = await exchange(proxy.port, request("POST /a/mcp", { Accept: "*/*" }, PING));
    expect(raw.status).toBe(415);
  });
});

describe("the protocol version header", () => {
  for (const version of ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]) {
    test(`${version} is known`, async () => {
      expect((await client.send(PING, { "MCP-Protocol-Version": version })).status).toBe(200);
    });
  }
  for (const version of ["1999-01-01", "2025-11-26", "latest", "2025-11-25, 2025-06-18"]) {
    test(`"${version}" is answered 400, on POST, GET and DELETE`, async () => {
      const headers = { "MCP-Protocol-Version": version };
      const answers = await Promise.all([
        client.fetch("POST", PING, headers),
        client.fetch("GET", undefined, headers),
        client.fetch("DELETE", undefined, headers),
      ]);
      for (const answer of answers) {
        expect(answer.status).toBe(400);
        expect(await answer.json()).toMatchObject({
          jsonrpc: "2.0",
          error: { message: expect.stringContaining("2025-11-25") },
        });
      }
    });
  }
});

describe("methods", () => {
  for (const method of ["PUT", "PATCH", "HEAD", "TRACE", "PROPFIND", "CONNECT"]) {
    test(`${method} is answered 405 and names the methods that are`, async () => {
      const raw = await exchange(proxy.port, request(`${method} /a/mcp`));
      // The runtime itself may refuse a tunnel.
      expect(raw.status === 405 || (method === "CONNECT" && raw.status === 400)).toBeTrue();
      if (raw.status !== 405) return;
      expect(raw.headers.get("allow")).toBe("GET, POST, DELETE, OPTIONS");
      expect(raw.headers.get("content-type")).toStartWith("application/json");
      if (method !== "HEAD") expect(JSON.parse(raw.body)).toMatchObject({ jsonrpc: "2.0", id: null, error: {} });
    });
  }
});

describe("health checks of load balancers, which speak HTTP/1.0 and name no host", () => {
  for (const [line, status] of [
    ["OPTIONS / HTTP/1.0", 204],
    ["HEAD /health HTTP/1.0", 200],
    ["GET /readyz HTTP/1.0", 200],
  ] as const) {
    test(line, async () => expect((await exchange(proxy.port, `${line}\r\n\r\n`)).status).toBe(status));
  }
});

describe("initialize", () => {
  test("is answered as JSON with the server's own introduction and a session of visible ASCII", async () => {
    const answer = await new HttpClient(client.url).initialize();
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toStartWith("application/json");
    expect(answer.headers.get("mcp-session-id")).toMatch(/^[\x21-\x7e]+$/);
    expect(answer.last.result).toMatchObject({ protocolVersion: "2025-11-25", serverInfo: { name: "http-tools" } });
  });
  for (const [asked, settled] of [
    ["2025-03-26", "2025-03-26"],
    ["2024-11-05", "2024-11-05"],
    ["2099-01-01", "2025-11-25"],
  ] as const) {
    test(`for ${asked} settles on ${settled}`, async () => {
      const answer = await new HttpClient(client.url).initialize({ protocolVersion: asked });
      expect(answer.last.result?.["protocolVersion"]).toBe(settled);
    });
  }
  test("without params, or with nonsense in them, still answers a message", async () => {
    for (const params of [
      undefined,
      {},
      [],
      { protocolVersion: 5, capabilities: "x", clientInfo: [] },
      { protocolVersion: null },
    ]) {
      const answer = await new HttpClient(client.url).send({ ...INITIALIZE, params });
      expect([200, 400]).toContain(answer.status);
      expect(answer.last.id === 0 || answer.status === 400).toBeTrue();
    }
  });
  test("notifications are answered 202 without a body", async () => {
    const answer = await client.send({ jsonrpc: "2.0", method: "notifications/initialized" });
    expect([answer.status, answer.text]).toEqual([202, ""]);
  });
});
