import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { HttpClient, INITIALIZE, connect, tools } from "../http/client.ts";
import { exchange, post, request } from "../http/raw.ts";
import type { RawAnswer } from "../http/raw.ts";

const DEFAULT = "default-token-zyxwvut-01";
const OWN = "own-token-abcdefgh-02";
const SECOND = "own-token-abcdefgh-02-second";
const SCHEMED = "schemed-token-03";

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startProxy(
    {
      inherits: tools(),
      own: tools({ options: { authTokens: [OWN, SECOND] } }),
      schemed: tools({ options: { authTokens: [`Bearer ${SCHEMED}`] } }),
      open: tools({ options: { authTokens: [] } }),
    },
    { mcpProxy: { options: { authTokens: [DEFAULT] } } },
  );
});
afterAll(() => proxy[Symbol.asyncDispose]());

const PING = { jsonrpc: "2.0", id: 1, method: "ping" };

function initialize(server: string, authorization?: string, more: Record<string, string> = {}): Promise<RawAnswer> {
  const header = authorization === undefined ? {} : { Authorization: authorization };
  return exchange(proxy.port, post(`/${server}/mcp`, INITIALIZE, { ...header, ...more }));
}

describe("a token opens its server", () => {
  const rows: [server: string, authorization: string | undefined][] = [
    ["inherits", `Bearer ${DEFAULT}`],
    ["own", `Bearer ${OWN}`],
    ["own", `Bearer ${SECOND}`],
    ["own", OWN],
    ["own", `bearer ${OWN}`],
    ["own", `BEARER ${OWN}`],
    ["own", `Bearer   ${OWN}`],
    ["own", `  Bearer ${OWN}  `],
    ["schemed", `Bearer ${SCHEMED}`],
    ["schemed", SCHEMED],
    ["open", undefined],
    ["open", `Bearer ${DEFAULT}`],
  ];
  for (const [server, authorization] of rows) {
    test(`${server} with ${JSON.stringify(authorization)}`, async () => {
      expect((await initialize(server, authorization)).status).toBe(200);
    });
  }
});

describe("nothing else does", () => {
  const rows: [server: string, authorization: string | undefined][] = [
    ["inherits", undefined],
    ["inherits", `Bearer ${OWN}`],
    // A server's own list replaces the default one.
    ["own", `Bearer ${DEFAULT}`],
    ["own", undefined],
    ["own", ""],
    ["own", " "],
    ["own", "Bearer"],
    ["own", "Bearer "],
    ["own", "Bearer undefined"],
    ["own", "Bearer null"],
    ["own", "Bearer *"],
    ["own", `Bearer ${OWN.slice(0, -1)}`],
    ["own", `Bearer ${OWN.slice(1)}`],
    ["own", `Bearer ${OWN}x`],
    ["own", `Bearer x${OWN}`],
    ["own", `Bearer ${OWN.toUpperCase()}`],
    ["own", `Bearer ${OWN},`],
    ["own", `Bearer ${OWN} ${SECOND}`],
    ["own", `Bearer ${OWN}, Bearer ${OWN}`],
    ["own", `Bearer "${OWN}"`],
    ["own", `Bearer${OWN}`],
    ["own", `Basic ${OWN}`],
    ["own", `Basic ${btoa(`user:${OWN}`)}`],
    ["own", `Token ${OWN}`],
    ["own", `Bearer Bearer ${OWN}`],
    ["schemed", `Bearer Bearer ${SCHEMED}`],
    ["own", `Bearer ${"x".repeat(8_000)}`],
  ];
  for (const [server, authorization] of rows) {
    test(`${server} with ${JSON.stringify(authorization?.slice(0, 60))} is 401`, async () => {
      refused(await initialize(server, authorization), authorization !== undefined);
    });
  }

  test("a token in the query string is 401", async () => {
    for (const query of [`token=${OWN}`, `access_token=${OWN}`, `authorization=Bearer%20${OWN}`]) {
      refused(await exchange(proxy.port, post(`/own/mcp?${query}`, INITIALIZE)), false);
    }
  });

  test("a token in another header or in the body is 401", async () => {
    for (const name of ["X-Api-Key", "Proxy-Authorization", "X-Authorization", "Cookie", "X-Forwarded-Authorization"]) {
      refused(await initialize("own", undefined, { [name]: `Bearer ${OWN}` }), false);
    }
    refused(
      await exchange(
        proxy.port,
        post("/own/mcp", { ...INITIALIZE, params: { ...INITIALIZE.params, _meta: { authorization: OWN } } }),
      ),
      false,
    );
  });

  test("two Authorization headers are 401, in either order", async () => {
    for (const [first, second] of [
      [OWN, "wrong"],
      ["wrong", OWN],
      [OWN, OWN],
    ]) {
      const body = JSON.stringify(INITIALIZE);
      const lines = [
        "POST /own/mcp HTTP/1.1",
        "Host: 127.0.0.1",
        `Authorization: Bearer ${first}`,
        `Authorization: Bearer ${second}`,
        "Content-Type: application/json",
        "Connection: close",
        `Content-Length: ${body.length}`,
      ];
      const raw = await exchange(proxy.port, `${lines.join("\r\n")}\r\n\r\n${body}`);
      expect(raw.status).toBeOneOf([400, 401]);
    }
  });
});

function refused(raw: RawAnswer, presented: boolean): void {
  challenged(raw, presented);
  expect(raw.headers.get("content-type")).toStartWith("application/json");
  expect(JSON.parse(raw.body)).toMatchObject({ jsonrpc: "2.0", id: null, error: { message: expect.any(String) } });
}

/** RFC 6750 section 3, and AUTH: no metadata where no login could work. */
function challenged(raw: RawAnswer, presented: boolean): void {
  expect(raw.status).toBe(401);
  const challenge = raw.headers.get("www-authenticate") ?? "";
  expect(challenge).toStartWith("Bearer");
  expect(challenge).not.toContain("resource_metadata");
  if (!presented) expect(challenge).not.toContain("error");
  expect(raw.headers.get("cache-control")).toBe("no-store");
  for (const token of [OWN, SECOND, DEFAULT, SCHEMED]) expect(raw.whole).not.toContain(token);
}

describe("401 comes first", () => {
  const wrong = { Authorization: "Bearer wrong" };
  const rows: [what: string, text: string][] = [
    ["POST of a message", post("/own/mcp", PING, wrong)],
    ["POST of half JSON", post("/own/mcp", "{", wrong)],
    ["POST of another media type", post("/own/mcp", PING, { ...wrong, "Content-Type": "text/plain" })],
    ["POST that accepts nothing", post("/own/mcp", PING, { ...wrong, Accept: "text/html" })],
    ["POST with an unknown session", post("/own/mcp", PING, { ...wrong, "Mcp-Session-Id": "x" })],
    ["POST of an unknown version", post("/own/mcp", PING, { ...wrong, "MCP-Protocol-Version": "x" })],
    ["POST that announces too much", request("POST /own/mcp", { ...wrong, "Content-Length": "99999999" })],
    ["GET", request("GET /own/mcp", { ...wrong, Accept: "text/event-stream" })],
    ["DELETE", request("DELETE /own/mcp", wrong)],
    ["DELETE with a session", request("DELETE /own/mcp", { ...wrong, "Mcp-Session-Id": "x" })],
  ];
  for (const [what, text] of rows) {
    test(`at a ${what}`, async () => {
      refused(await exchange(proxy.port, text), true);
    });
  }
  test("at a GET of a browser, which gets a page that explains", async () => {
    const raw = await exchange(proxy.port, request("GET /own/mcp", { ...wrong, Accept: "text/html" }));
    challenged(raw, true);
    expect(raw.headers.get("content-type")).toStartWith("text/html");
  });
  test("a body that is never sent is not waited for", async () => {
    const raw = await exchange(
      proxy.port,
      request("POST /own/mcp", { ...wrong, "Content-Type": "application/json", "Content-Length": "100" }),
    );
    refused(raw, true);
  });
});

describe("a session belongs to who made it", () => {
  test("another token, another endpoint and no token are told nothing of it", async () => {
    const mine = await connect(`${proxy.url}/own/mcp`, { Authorization: `Bearer ${OWN}` });
    const other = new HttpClient(`${proxy.url}/own/mcp`, { Authorization: `Bearer ${SECOND}` });
    other.session = mine.session;
    for (const [method, body] of [
      ["POST", JSON.stringify(PING)],
      ["GET", undefined],
      ["DELETE", undefined],
    ] as const) {
      const response = await other.fetch(method, body);
      expect([method, response.status]).toEqual([method, 404]);
      await response.body?.cancel();
    }
    const elsewhere = new HttpClient(`${proxy.url}/open/mcp`);
    elsewhere.session = mine.session;
    expect((await elsewhere.send(PING)).status).toBe(404);
    expect((await mine.send(PING)).status).toBe(200);
  });

  test("the bare token and the schemed one are the same caller", async () => {
    const mine = await connect(`${proxy.url}/own/mcp`, { Authorization: `Bearer ${OWN}` });
    const same = new HttpClient(mine.url, { Authorization: OWN });
    same.session = mine.session;
    expect((await same.send(PING)).status).toBe(200);
  });
});

test("no OAuth metadata is published for endpoints that only tokens protect", async () => {
  const paths = [
    "oauth-protected-resource",
    "oauth-protected-resource/own/mcp",
    "oauth-authorization-server",
    "openid-configuration",
  ];
  for (const path of paths) {
    expect((await exchange(proxy.port, request(`GET /.well-known/${path}`))).status).toBe(404);
  }
});

test("no token is in the log or reaches the server", async () => {
  const client = await connect(`${proxy.url}/own/mcp`, { Authorization: `Bearer ${OWN}` });
  const seen = await client.call("seen");
  const log = JSON.stringify(proxy.log);
  expect(log).toContain('"server":"own"');
  for (const token of [OWN, SECOND, DEFAULT, SCHEMED]) {
    expect(log).not.toContain(token);
    expect(seen).not.toContain(token);
  }
});
