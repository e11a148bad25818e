import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { INITIALIZE, tools } from "./client.ts";
import { exchange, post, request } from "./raw.ts";
import type { RawAnswer } from "./raw.ts";

const TOKEN = "the-token-of-this-test-0123";
const BASE = "https://mcp.example.com";

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startProxy(
    { open: tools(), shut: tools({ options: { authTokens: [TOKEN] } }) },
    {
      mcpProxy: {
        baseURL: BASE,
        allowedOrigins: ["https://app.example.net", "http://intranet:8080/"],
        allowedHosts: ["alias.example.org", "other.example.org:8443"],
      },
    },
  );
});
afterAll(() => proxy[Symbol.asyncDispose]());

const initialize = (path: string, headers: Record<string, string>): Promise<RawAnswer> =>
  exchange(proxy.port, post(path, INITIALIZE, headers));

describe("Origin", () => {
  const allowed = [
    BASE,
    "https://app.example.net",
    "http://intranet:8080",
    "http://localhost",
    "http://localhost:6274",
    "http://127.0.0.1:3000",
    "http://[::1]:3000",
    "https://localhost:8443",
  ];
  for (const origin of allowed) {
    test(`${origin} may call, and may read the answer`, async () => {
      const raw = await initialize("/open/mcp", { Origin: origin });
      expect(raw.status).toBe(200);
      expect(raw.headers.get("access-control-allow-origin")).toBe(origin);
      expect(raw.headers.get("vary")).toContain("Origin");
      const exposed = raw.headers.get("access-control-expose-headers")?.toLowerCase();
      expect(exposed).toContain("mcp-session-id");
      expect(exposed).toContain("www-authenticate");
    });
  }
  const refused = [
    "null",
    "https://evil.example",
    "http://mcp.example.com",
    "https://mcp.example.com:444",
    "https://mcp.example.com.evil.example",
    "https://xmcp.example.com",
    "https://app.example.net.evil.example",
    "https://app.example.net@evil.example",
    "http://localhost.evil.example",
    "http://localhost@evil.example",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.2:3000x",
    "http://evil.example/localhost",
    "http://localhost/",
    "file://",
    "chrome-extension://abc",
    "https://mcp.example.com, https://evil.example",
    "",
  ];
  for (const origin of refused) {
    test(`${JSON.stringify(origin)} is answered 403, on every method, with and without a token`, async () => {
      const headers = { Origin: origin };
      const answers = await Promise.all([
        initialize("/open/mcp", headers),
        initialize("/shut/mcp", headers),
        initialize("/shut/mcp", { ...headers, Authorization: `Bearer ${TOKEN}` }),
        exchange(proxy.port, request("GET /open/mcp", { ...headers, Accept: "text/event-stream" })),
        exchange(proxy.port, request("DELETE /open/mcp", headers)),
        exchange(proxy.port, request("OPTIONS /open/mcp", { ...headers, "Access-Control-Request-Method": "POST" })),
      ]);
      for (const raw of answers) {
        expect(raw.status).toBe(403);
        expect(raw.headers.has("access-control-allow-origin")).toBeFalse();
        expect(JSON.parse(raw.body)).toMatchObject({ error: {} });
      }
    });
  }
  test("none means that no web page calls", async () => {
    const raw = await initialize("/open/mcp", {});
    expect(raw.status).toBe(200);
    expect(raw.headers.has("access-control-allow-origin")).toBeFalse();
  });
  test("`*` in allowedOrigins lets every page call", async () => {
    await using wide = await startProxy({ open: tools() }, { mcpProxy: { allowedOrigins: ["*"] } });
    for (const origin of ["https://evil.example", "null"]) {
      const raw = await exchange(wide.port, post("/open/mcp", INITIALIZE, { Origin: origin }));
      expect(raw.status).toBe(200);
      expect([origin, "*"]).toContain(raw.headers.get("access-control-allow-origin") ?? "");
      expect(raw.headers.has("access-control-allow-credentials")).toBeFalse();
    }
  });
});

describe("a preflight", () => {
  const ask = (path: string, wanted: string): Promise<RawAnswer> =>
    exchange(
      proxy.port,
      request(`OPTIONS ${path}`, {
        Origin: "http://localhost:6274",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": wanted,
      }),
    );
  for (const path of ["/open/mcp", "/shut/mcp", "/shut", "/servers/shut/mcp/"]) {
    test(`is answered 204 before authentication at ${path}`, async () => {
      const raw = await ask(path, "authorization,content-type");
      expect([raw.status, raw.body]).toEqual([204, ""]);
      expect(raw.headers.get("access-control-allow-origin")).toBe("http://localhost:6274");
      const names = raw.headers.get("access-control-allow-headers")?.toLowerCase().split(/, */);
      const needed = [
        "authorization",
        "content-type",
        "accept",
        "last-event-id",
        "mcp-session-id",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
      ];
      expect(names).toEqual(expect.arrayContaining(needed));
      const methods = raw.headers.get("access-control-allow-methods")?.split(/, */);
      expect(methods).toEqual(expect.arrayContaining(["GET", "POST", "DELETE"]));
    });
  }
  test("allows whatever Mcp-Param-* is asked for, and no other header", async () => {
    const raw = await ask("/open/mcp", "mcp-param-region, Mcp-Param-Tenant,x-evil, mcp-param-a b");
    const names = raw.headers.get("access-control-allow-headers")?.toLowerCase().split(/, */) ?? [];
    expect(names).toContain("mcp-param-region");
    expect(names).toContain("mcp-param-tenant");
    expect(names.filter((name) => name.includes("evil") || name.includes(" "))).toEqual([]);
  });
});

describe("errors can be read by web pages too", () => {
  const page = { Origin: "http://localhost:6274" };
  const rows: [what: string, status: number, text: string][] = [
    ["no token", 401, post("/shut/mcp", INITIALIZE, page)],
    [
      "an unknown session",
      404,
      post("/open/mcp", { jsonrpc: "2.0", id: 1, method: "ping" }, { ...page, "Mcp-Session-Id": "x" }),
    ],
    ["half JSON", 400, post("/open/mcp", "{", page)],
    ["another method", 405, request("PUT /open/mcp", page)],
    ["another media type", 415, post("/open/mcp", INITIALIZE, { ...page, "Content-Type": "text/plain" })],
    ["no accepted answer", 406, post("/open/mcp", INITIALIZE, { ...page, Accept: "text/html" })],
    ["too large a body", 413, post("/open/mcp", " ".repeat(5_000_000), page)],
  ];
  for (const [what, status, text] of rows) {
    test(`${what}: ${status}`, async () => {
      const raw = await exchange(proxy.port, text);
      expect(raw.status).toBe(status);
      expect(raw.headers.get("access-control-allow-origin")).toBe(page.Origin);
      expect(raw.headers.get("access-control-expose-headers")?.toLowerCase()).toContain("www-authenticate");
    });
  }
});

describe("Host, where the caller is anonymous", () => {
  const fine = [
    "127.0.0.1",
    "127.0.0.1:9090",
    "192.168.1.7:9090",
    "8.8.8.8",
    "[::1]:9090",
    "[2001:db8::1]",
    "localhost",
    "LOCALHOST:1",
    "mcp-proxy",
    "mcp-proxy:9090",
    "mcp.example.com",
    "MCP.Example.COM:443",
    "alias.example.org",
    "alias.example.org:1234",
    "other.example.org",
  ];
  for (const host of fine) {
    test(`${host} passes`, async () => {
      expect((await initialize("/open/mcp", { Host: host })).status).toBe(200);
      expect((await exchange(proxy.port, request("GET /health", { Host: host }))).status).toBe(200);
    });
  }
  const foreign = [
    "evil.example",
    "evil.example:9090",
    "mcp.example.com.evil.example",
    "xalias.example.org",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "1.2.3.4.5",
    "evil.example.",
    "127.0.0.1@evil.example",
    "evil.example#localhost",
  ];
  for (const host of foreign) {
    test(`${host} is refused, on pages too`, async () => {
      const raw = await initialize("/open/mcp", { Host: host });
      expect([403, 400]).toContain(raw.status);
      for (const page of ["/health", "/status", "/livez", "/readyz", "/", "/nothing"]) {
        const answer = await exchange(
          proxy.port,
          request(`GET ${page}`, { Host: host, Authorization: "Bearer wrong" }),
        );
        expect([page, [403, 400].includes(answer.status)]).toEqual([page, true]);
        expect(answer.body).not.toContain("healthy");
      }
    });
  }
  test("an accepted credential skips the rule, a wrong one is 401 whatever the name", async () => {
    const host = { Host: "evil.example" };
    expect((await initialize("/shut/mcp", { ...host, Authorization: `Bearer ${TOKEN}` })).status).toBe(200);
    expect((await initialize("/shut/mcp", { ...host, Authorization: "Bearer wrong" })).status).toBe(401);
    expect((await initialize("/open/mcp", { ...host, Authorization: "Bearer wrong" })).status).toBeOneOf([401, 403]);
  });
  test("X-Forwarded-Host changes nothing", async () => {
    expect((await initialize("/open/mcp", { Host: "evil.example", "X-Forwarded-Host": "localhost" })).status).toBe(403);
    expect((await initialize("/open/mcp", { Host: "localhost", "X-Forwarded-Host": "evil.example" })).status).toBe(200);
  });
});
