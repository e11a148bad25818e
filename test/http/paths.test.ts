import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { exchange } from "./raw.ts";
import { named, reached } from "./reached.ts";

const TOKEN_A = "token-of-server-a-0123456789";
const TOKEN_B = "token-of-server-b-0123456789";
const TOKEN_SECRET = "token-of-the-secret-one-012345";

describe("with different tokens on each server", () => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    proxy = await startProxy({
      a: named("a", TOKEN_A),
      b: named("b", TOKEN_B),
      open: named("open"),
      fetch: named("fetch"),
      "fetch/secret": named("fetch/secret", TOKEN_SECRET),
      "name with blank": named("name with blank"),
      prüfung: named("prüfung"),
      "100%": named("100%"),
      servers: named("servers"),
      "servers/a": named("servers/a"),
      health: named("health"),
    });
  });
  afterAll(() => proxy[Symbol.asyncDispose]());

  const rows: [target: string, token: string | undefined, expected: string | number][] = [
    ["/a/mcp", TOKEN_A, "a"],
    ["/a/mcp/", TOKEN_A, "a"],
    ["/a", TOKEN_A, "a"],
    ["/a/", TOKEN_A, "a"],
    ["/a/mcp?x=1", TOKEN_A, "a"],
    ["/servers/b/mcp", TOKEN_B, "b"],
    ["/servers/b/mcp/", TOKEN_B, "b"],
    ["/servers/b", TOKEN_B, "b"],
    ["/servers/b/", TOKEN_B, "b"],
    ["/a/mcp", undefined, 401],
    ["/a/mcp", TOKEN_B, 401],
    ["/a", TOKEN_B, 401],
    ["/a/", TOKEN_B, 401],
    ["/a/mcp/", TOKEN_B, 401],
    ["/servers/b/mcp", TOKEN_A, 401],
    ["/servers/b/", undefined, 401],
    ["/open/mcp", undefined, "open"],
    ["/open", undefined, "open"],
    ["/none/mcp", undefined, 404],
    ["/a/mcp/mcp", TOKEN_A, 404],
    ["/a/other", TOKEN_A, 404],
    ["/A/mcp", TOKEN_A, 404],
    ["/a/MCP", TOKEN_A, 404],
    ["/fetch/mcp", undefined, "fetch"],
    ["/fetch/secret/mcp", TOKEN_SECRET, "fetch/secret"],
    ["/fetch/secret", TOKEN_SECRET, "fetch/secret"],
    ["/servers/fetch/secret/mcp/", TOKEN_SECRET, "fetch/secret"],
    ["/fetch/secret/mcp", undefined, 401],
    ["/fetch/secret/mcp", TOKEN_A, 401],
    ["/name%20with%20blank/mcp", undefined, "name with blank"],
    ["/pr%C3%BCfung/mcp", undefined, "prüfung"],
    ["/100%25/mcp", undefined, "100%"],
    // A configured name wins over the word `servers`.
    ["/servers/mcp", undefined, "servers"],
    ["/servers/a/mcp", undefined, "servers/a"],
    ["/servers/a", undefined, "servers/a"],
    // A name like a path of ours is not served bare.
    ["/health/mcp", undefined, "health"],
    ["/servers/health", undefined, "health"],
    ["/health", undefined, 404],
  ];
  for (const [target, token, expected] of rows) {
    const whose =
      token === undefined
        ? "no token"
        : token === TOKEN_A
          ? "the token of a"
          : token === TOKEN_B
            ? "the token of b"
            : "the token of the secret one";
    test(`${target} with ${whose} is ${expected}`, async () => {
      expect(await reached(proxy.port, target, token)).toBe(expected);
    });
  }

  const spellings = [
    "/%61/mcp",
    "/a/%6dcp",
    "/a/%6Dcp/",
    "/%2561/mcp",
    "/b/../a/mcp",
    "/open/../a/mcp",
    "/open/mcp/../../a/mcp",
    "/./a/mcp",
    "/a/./mcp",
    "//a/mcp",
    "/a//mcp",
    "///a/mcp",
    "/open//../a/mcp",
    "/open/%2e%2e/a/mcp",
    "/open/%2E%2E/a/mcp",
    "/open/.%2e/a/mcp",
    "/open/..%2fa/mcp",
    "/open%2f..%2fa/mcp",
    "/open/..%5ca/mcp",
    "/open\\..\\a/mcp",
    "/\\a/mcp",
    "\\a\\mcp",
    "/a\\mcp",
    "/a%2fmcp",
    "/a%2Fmcp",
    "/a%5cmcp",
    "/a/mcp%00",
    "/a/mcp%20",
    "/a/mcp;x=1",
    "/a;x=1/mcp",
    "/a/mcp%3fx",
    "/a/mcp#x",
    "/a/mcp%",
    "/a/mcp%zz",
    "/a/mcp%ff",
    "/%c0%ae%c0%ae/a/mcp",
    "/a/mcp/.",
    "/a/mcp/..",
    "/a/mcp/../mcp",
    "/a/mcp\t",
    "/servers/%61/mcp",
    "/servers/../a/mcp",
    "/servers//b/mcp",
    "/open?/../a/mcp",
    "/open#/../a/mcp",
    "http://127.0.0.1/a/mcp",
    "http://127.0.0.1/open/../a/mcp",
    "http://open/a/mcp",
    "http://user@127.0.0.1/a/mcp",
    "HTTP://127.0.0.1/a/mcp",
    "a/mcp",
    "*",
    "/a/mcp HTTP/1.1\r\nHost: x\r\nX:",
  ];
  for (const target of spellings) {
    test(`${JSON.stringify(target)} reaches neither a nor b without their token`, async () => {
      const outcomes = await Promise.all(
        [undefined, TOKEN_SECRET, TOKEN_B].map((token) => reached(proxy.port, target, token)),
      );
      expect(outcomes).not.toContain("a");
      const anonymous = outcomes.slice(0, 2);
      expect(anonymous).not.toContain("b");
      expect(anonymous).not.toContain("fetch/secret");
    });
  }

  const hosts = [
    "127.0.0.1/open/..",
    "127.0.0.1/open/mcp?",
    "127.0.0.1/open/mcp#",
    "127.0.0.1\\open\\mcp?",
    "open/mcp?x=@127.0.0.1",
    "127.0.0.1/open?",
  ];
  for (const host of hosts) {
    test(`Host: ${host} does not take the path's place`, async () => {
      const outcomes = await Promise.all([
        reached(proxy.port, "/a/mcp", undefined, host),
        reached(proxy.port, "/a/mcp", TOKEN_B, host),
      ]);
      for (const outcome of outcomes) expect(outcome).toBeNumber();
      expect(await reached(proxy.port, "/a/mcp", TOKEN_A, host)).not.toBe("open");
    });
  }

  test("a name that needs percent-encoding is reached by every plain spelling of it", async () => {
    for (const target of ["/%61/mcp", "/a/%6dcp", "/servers/%62/mcp"]) {
      const token = target.includes("servers") ? TOKEN_B : TOKEN_A;
      expect([await reached(proxy.port, target, token), target]).toEqual([
        target.includes("servers") ? "b" : "a",
        target,
      ]);
    }
  });

  test("nothing is answered with a redirect", async () => {
    for (const target of ["/a/mcp/", "//a/mcp", "/a", "/health/", "/status/", "/nothing/"]) {
      const raw = await exchange(proxy.port, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      expect([target, raw.status >= 300 && raw.status < 400]).toEqual([target, false]);
    }
  });
});
