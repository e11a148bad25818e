import { describe, expect, test } from "bun:test";
import type { StdioTarget } from "../../src/config/config.ts";
import { GO_EXAMPLE } from "../manuals/go-example.ts";
import { directory, good, lines, load, loadText, server } from "./helpers.ts";

/** Configurations as the manuals of the older programs print them; people have exactly these in their files. */

describe("the Go program", () => {
  test("its example is accepted as it is", async () => {
    const loaded = await loadText(GO_EXAMPLE);
    const config = good(loaded);
    expect(config).toMatchObject({
      flavour: "go",
      listen: { kind: "tcp", host: "0.0.0.0", port: 9090 },
      baseURL: "https://mcp.example.com",
      serves: { streamableHttp: true, sse: false },
      stateless: true,
      persistenceDir: "/custom/path/oauth",
      oauth: { tokenExpirationMs: 3_600_000, templateDir: "/custom/templates" },
    });
    expect([...config.users].map(([name, user]) => [name, user.password])).toEqual([
      ["admin", "password123"],
      ["user", "mypassword"],
    ]);
    expect(server(loaded, "github")).toMatchObject({
      authTokens: [],
      panicIfInvalid: false,
      logEnabled: true,
      oauth: true,
      toolFilter: { mode: "block" },
    });
    expect(server(loaded, "fetch")).toMatchObject({
      authTokens: [],
      panicIfInvalid: true,
      logEnabled: false,
      toolFilter: undefined,
    });
    expect(server(loaded, "amap").target).toMatchObject({
      kind: "sse",
      url: "https://mcp.amap.com/sse?key=<YOUR_TOKEN>",
      headers: {},
    });
    expect(
      lines(loaded).filter((line) => !/printed in a manual|plain-text password|no longer uses/.test(line)),
    ).toEqual([]);
  });

  test("comments and trailing commas, which people add to it", async () => {
    const loaded = await loadText(
      '{"mcpServers": { // ours\n "a": {"command": "x", "args": ["y",],}, /* no more */ },}',
    );
    expect(lines(loaded)).toEqual([]);
    expect(server(loaded, "a").target).toMatchObject({ kind: "stdio", args: ["y"] });
  });

  test("its smallest OAuth example, without address and servers", async () => {
    const loaded = await loadText({
      mcpProxy: {
        type: "streamable-http",
        options: { oauth2: { enabled: true, users: { developer: "dev-password" } } },
      },
    });
    expect(good(loaded)).toMatchObject({
      listen: { host: "0.0.0.0", port: 9090 },
      persistenceDir: "/home/me/.mcpproxy",
      oauth: { allowedIPs: [] },
    });
    expect(lines(loaded)).toEqual([
      "warning 1:1 : no server is configured",
      expect.stringContaining("users.developer: this is a plain-text password"),
    ]);
  });

  test("its other OAuth examples", async () => {
    for (const oauth2 of [
      { enabled: true, users: { test: "test123" }, allowedIPs: [], tokenExpirationMinutes: 60 },
      { enabled: true, users: { admin: "password123" }, persistenceDir: "/var/lib/mcpproxy" },
      {
        enabled: true,
        users: { admin: "a", user: "b" },
        persistenceDir: "/var/lib/mcpproxy/oauth",
        allowedIPs: ["34.162.46.92"],
      },
    ]) {
      good(await loadText({ mcpProxy: { options: { oauth2 } } }));
    }
  });

  test("a token in a server's name", async () => {
    const loaded = await loadText({ mcpProxy: { addr: ":1" }, mcpServers: { "fetch/my-token": { command: "uvx" } } });
    expect(server(loaded, "fetch/my-token").displayName).toBe("fetch");
    expect(JSON.stringify(loaded.problems)).not.toContain("my-token");
  });
});

test("the Python programs' examples", async () => {
  const file = {
    mcpServers: {
      filesystem: { command: "npx", args: ["-y", "@modelcontextprotocol/server-filesystem", "/data"] },
      time: { command: "uvx", args: ["mcp-server-time"] },
      "remote-sse": { url: "https://other-server.com/sse", transport: "sse", headers: { "X-API-Key": "your-api-key" } },
      "remote-http": {
        url: "https://api.example.com/mcp",
        transport: "http",
        headers: { Authorization: "Bearer token" },
      },
      example: { url: "${API_URL}", headers: { "api-key": "${API_KEY}" } },
    },
  };
  using dir = directory({ "mcp_config.json": file });
  const env = { MCP_API_KEYS: "sk-4f1c:letta", API_URL: "https://x/mcp", API_KEY: "k" };
  const loaded = await load({ kind: "discover" }, { cwd: dir.path, env });
  expect(loaded.problems).toEqual([]);
  expect([...good(loaded).servers.values()].map((one) => one.target.kind)).toEqual([
    "stdio",
    "stdio",
    "sse",
    "http",
    "detect",
  ]);
  expect(server(loaded, "example").target).toMatchObject({ url: "https://x/mcp", headers: { "api-key": "k" } });
});

test("the bridge's examples of named servers", async () => {
  const file = {
    mcpServers: {
      fetch: { disabled: false, timeout: 60, command: "uvx", args: ["mcp-server-fetch"], transportType: "stdio" },
      github: {
        timeout: 60,
        command: "npx",
        args: ["-y", "@modelcontextprotocol/server-github"],
        env: { GITHUB_PERSONAL_ACCESS_TOKEN: "<YOUR_TOKEN>" },
        transportType: "stdio",
        headerToEnv: { Authorization: "GITHUB_PERSONAL_ACCESS_TOKEN" },
      },
      bitrix: {
        command: "python3",
        args: ["server.py"],
        headerToEnv: { Authorization: "BITRIX_WEBHOOK_URL", "X-Bitrix-Signature": "BITRIX_ACCESS_TOKEN" },
      },
    },
  };
  using dir = directory({ "servers.json": file });
  const loaded = await load({ kind: "named-servers", location: "servers.json" }, { cwd: dir.path });
  expect(loaded.problems).toEqual([]);
  expect((server(loaded, "github").target as StdioTarget).headerToEnv).toEqual(
    new Map([["authorization", "GITHUB_PERSONAL_ACCESS_TOKEN"]]),
  );
});
