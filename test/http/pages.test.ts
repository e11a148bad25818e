import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { connect, tools } from "./client.ts";
import { exchange, request } from "./raw.ts";

const TOKEN = "the-token-of-this-test-0123";
const OTHER = "another-token-of-this-test";
const SECRET = "very-secret-part-of-a-name";
const NAME = `hook/${SECRET}/deep`;

type Json = Record<string, unknown>;

async function page(
  proxy: RunningProxy,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; json: Json; text: string; headers: ReadonlyMap<string, string> }> {
  const raw = await exchange(proxy.port, request(`GET ${path}`, headers));
  expect(raw.headers.get("content-type")).toStartWith("application/json");
  return { status: raw.status, json: JSON.parse(raw.body) as Json, text: raw.body, headers: raw.headers };
}

const FORWARDED: Record<string, string>[] = [
  { "X-Forwarded-For": "203.0.113.9" },
  { Forwarded: "for=203.0.113.9" },
  { "X-Real-IP": "203.0.113.9" },
  { "CF-Connecting-IP": "203.0.113.9" },
];

describe("where some servers are protected", () => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    proxy = await startProxy(
      {
        shut: tools({ options: { authTokens: [TOKEN] } }),
        other: tools({ options: { authTokens: [OTHER] } }),
        open: tools(),
        [NAME]: tools({ options: { authTokens: [TOKEN] } }),
      },
      { mcpProxy: { pathPrefix: "/px" } },
    );
    const client = await connect(`${proxy.url}/px/shut/mcp`, { Authorization: `Bearer ${TOKEN}` });
    await client.call("echo", { text: "counted" });
    const secret = await connect(`${proxy.url}/px/${NAME}/mcp`, { Authorization: `Bearer ${TOKEN}` });
    await secret.call("echo");
  });
  afterAll(() => proxy[Symbol.asyncDispose]());

  test("/health always says who it is, and strangers learn nothing more", async () => {
    for (const headers of FORWARDED) {
      const { status, json } = await page(proxy, "/px/health", headers);
      expect(status).toBe(200);
      expect(json).toEqual({ status: "healthy", service: "mcp-proxy", version: expect.any(String), path_prefix: null });
    }
  });
  test("/health names servers and prefix to direct callers on this machine", async () => {
    const { json, text } = await page(proxy, "/px/health");
    expect(json).toMatchObject({ status: "healthy", service: "mcp-proxy", path_prefix: "/px" });
    expect(JSON.stringify(json["servers"])).toContain("shut");
    expect(JSON.stringify(json["servers"])).toContain("other");
    expect(text).not.toContain(SECRET);
  });
  test("/health names a caller's own servers to one with a credential, wherever from", async () => {
    for (const forwarded of FORWARDED) {
      const { json, text } = await page(proxy, "/px/health", { ...forwarded, Authorization: `Bearer ${TOKEN}` });
      expect(json["path_prefix"]).toBe("/px");
      expect(text).toContain('"shut"');
      expect(text).not.toContain('"other"');
      expect(text).not.toContain(SECRET);
    }
  });
  test("/health tells a wrong credential no more than none", async () => {
    const { status, json } = await page(proxy, "/px/health", {
      "X-Forwarded-For": "203.0.113.9",
      Authorization: "Bearer wrong",
    });
    expect(status).toBe(200);
    expect(json["path_prefix"]).toBeNull();
    expect(json).not.toHaveProperty("servers");
  });
  test("/status wants a credential, on this machine too", async () => {
    for (const headers of [{}, ...FORWARDED, { Authorization: "Bearer wrong" }]) {
      const { status, text, headers: answered } = await page(proxy, "/px/status", headers);
      expect(status).toBe(401);
      expect(answered.get("www-authenticate")).toStartWith("Bearer");
      expect(text).not.toContain("shut");
    }
  });
  test("/status shows each caller its servers, with their requests counted", async () => {
    const mine = await page(proxy, "/px/status", { Authorization: `Bearer ${TOKEN}` });
    expect(mine.status).toBe(200);
    const servers = mine.json["servers"] as Record<string, { requests: number }>;
    expect(servers["shut"]?.requests).toBe(1);
    expect(servers).toHaveProperty("open");
    expect(servers).not.toHaveProperty("other");
    const others = await page(proxy, "/px/status", { Authorization: OTHER });
    expect(others.json["servers"]).toHaveProperty("other");
    expect(others.json["servers"]).not.toHaveProperty("shut");
  });
  test("/status has the fields that the older programs documented", async () => {
    const { json } = await page(proxy, "/px/status", { Authorization: `Bearer ${TOKEN}` });
    expect(Date.parse(String(json["api_last_activity"]))).not.toBeNaN();
    expect(json["server_instances"]).toMatchObject({ shut: expect.any(String) });
    expect(json["active_sse_connections"]).toBe(0);
  });
  test("a secret in a server's name is shown nowhere", async () => {
    for (const path of ["/px/health", "/px/status", "/px/readyz", "/px/livez", "/px/"]) {
      expect((await page(proxy, path, { Authorization: `Bearer ${TOKEN}` })).text).not.toContain(SECRET);
    }
    await proxy.logged((line) => line["server"] === "hook");
    expect(JSON.stringify(proxy.log)).not.toContain(SECRET);
  });
  test("/livez and /readyz are public, and name nothing to strangers", async () => {
    for (const server of ["shut", "other", "open", "hook"])
      await proxy.logged((line) => line["msg"] === "upstream ready" && line["server"] === server);
    for (const path of ["/px/livez", "/px/readyz", "/px/livez/", "/px/readyz/"]) {
      const { status, text } = await page(proxy, path, { "X-Forwarded-For": "203.0.113.9" });
      expect([path, status]).toEqual([path, 200]);
      expect(text).not.toContain("shut");
    }
  });
  test("/health answers outside the prefix too, and tells it only to who has a credential", async () => {
    const bare = await page(proxy, "/health");
    expect(bare.json).toMatchObject({ status: "healthy", path_prefix: null });
    expect(JSON.stringify(bare.json)).not.toContain("px");
    const mine = await page(proxy, "/health", { Authorization: `Bearer ${TOKEN}` });
    expect(mine.json["path_prefix"]).toBe("/px");
    const away = await page(proxy, "/health", { "X-Forwarded-For": "203.0.113.9" });
    expect(away.json).toEqual({
      status: "healthy",
      service: "mcp-proxy",
      version: expect.any(String),
      path_prefix: null,
    });
  });
  test("who forgets the prefix is told nothing, and the log names the right URL", async () => {
    expect((await page(proxy, "/shut/mcp")).text).not.toContain("px");
    await proxy.logged((line) => String(line["msg"]).includes("with the path prefix it is /px/shut/mcp"));
  });
  test("nothing else is served outside the prefix, and the answer does not name it", async () => {
    for (const path of ["/status", "/livez", "/"]) {
      const { status, text } = await page(proxy, path);
      expect([path, status]).toEqual([path, 404]);
      expect(text).not.toContain("px");
    }
  });
});

describe("where no server is protected", () => {
  test("/status is for everybody, /readyz waits for what still starts, /health has no prefix to show", async () => {
    await using proxy = await startProxy({
      slow: { command: "sh", args: ["-c", "exec sleep 1000"], connectTimeout: "60s" },
      a: tools(),
    });
    const ready = await page(proxy, "/readyz", { "X-Forwarded-For": "203.0.113.9" });
    expect([ready.status, ready.text.includes("slow")]).toEqual([503, false]);
    expect((await page(proxy, "/livez")).status).toBe(200);
    const { status, json } = await page(proxy, "/status", { "X-Forwarded-For": "203.0.113.9" });
    expect(status).toBe(200);
    expect(json["servers"]).toMatchObject({ a: {}, slow: { state: "connecting" } });
    expect((await page(proxy, "/health")).json["path_prefix"]).toBeNull();
  });
  test("a server that failed does not keep the proxy from being ready, and /status says why", async () => {
    await using proxy = await startProxy({ broken: { command: "no-such-command-here" }, a: tools() });
    const client = await connect(`${proxy.url}/a/mcp`);
    expect(await client.call("echo", { text: "works" })).toBe("works");
    // A direct look at the state: it is failed once the attempt to start has ended, which an answer tells.
    const refused = await exchange(
      proxy.port,
      request(
        "POST /broken/mcp",
        { "Content-Type": "application/json", Accept: "*/*" },
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}',
      ),
    );
    expect(refused.status).toBe(503);
    expect(refused.body).toContain("no-such-command-here");
    expect((await page(proxy, "/readyz")).status).toBe(200);
    expect(JSON.stringify((await page(proxy, "/status")).json["servers"])).toContain("no-such-command-here");
  });
});
