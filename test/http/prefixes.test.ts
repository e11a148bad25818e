import { describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import { INITIALIZE } from "./client.ts";
import { exchange, post } from "./raw.ts";
import { named, reached } from "./reached.ts";

const TOKEN_B = "token-of-server-b-0123456789";

describe("below a path", () => {
  const both: [target: string, expected: string | number][] = [
    ["/below/path/a/mcp", "a"],
    ["/below/path/a/mcp/", "a"],
    ["/below/path/a", "a"],
    ["/below/path/servers/a/mcp", "a"],
    ["/below/path/fetch/x/mcp", "fetch/x"],
    ["/a/mcp", "a"],
    ["/a/", "a"],
    ["/servers/a/mcp", "a"],
    ["/fetch/x/mcp", "fetch/x"],
    ["/below/a/mcp", 404],
    // The bare base URL is all servers together, which call themselves so.
    ["/below/path", "mcp-proxy"],
    ["/below/path/mcp", "mcp-proxy"],
    ["/below/path/below/path/a/mcp", 404],
    ["/below/pathological/a/mcp", 404],
  ];
  test("of baseURL everything works with it and without it", async () => {
    await using proxy = await startProxy(
      { a: named("a"), "fetch/x": named("fetch/x") },
      { mcpProxy: { baseURL: "https://mcp.example.com/below/path/" } },
    );
    for (const [target, expected] of both)
      expect([target, await reached(proxy.port, target)]).toEqual([target, expected]);
    for (const page of ["/health", "/below/path/health", "/below/path/livez/", "/livez/"]) {
      const { status } = await exchange(
        proxy.port,
        `GET ${page} HTTP/1.1\r\nHost: mcp.example.com\r\nConnection: close\r\n\r\n`,
      );
      expect([page, status]).toEqual([page, 200]);
    }
    await proxy.logged((line) => String(line["msg"]).includes("https://mcp.example.com/below/path/a/mcp"));
  });

  test("of pathPrefix everything works, and nothing outside of it", async () => {
    await using proxy = await startProxy(
      { a: named("a"), b: named("b", TOKEN_B) },
      { mcpProxy: { pathPrefix: "/hidden" } },
    );
    const rows: [string, string | undefined, string | number][] = [
      ["/hidden/a/mcp", undefined, "a"],
      ["/hidden/a/", undefined, "a"],
      ["/hidden/servers/a/mcp", undefined, "a"],
      ["/%68idden/a/mcp", undefined, "a"],
      ["/hidden/b/mcp", undefined, 401],
      ["/hidden/b/mcp", TOKEN_B, "b"],
      ["/a/mcp", undefined, 404],
      ["/a", undefined, 404],
      ["/servers/a/mcp", undefined, 404],
      ["/b/mcp", undefined, 404],
      ["/hiddena/mcp", undefined, 404],
      ["/hidden/../a/mcp", undefined, 404],
    ];
    for (const [target, token, expected] of rows) {
      expect([target, await reached(proxy.port, target, token)]).toEqual([target, expected]);
    }
    const outside = await exchange(proxy.port, post("/a/mcp", INITIALIZE));
    expect(outside.whole).not.toContain("hidden");
  });
});
