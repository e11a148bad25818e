import { describe, expect, test } from "bun:test";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelaySse } from "../fixtures/relay-sse.ts";
import { RawClient } from "../relay/raw-client.ts";
import { bearer, replaceFile } from "../auth/office.ts";
import { replaced, startGateway } from "./gateway.ts";

/** What the manual of the Python gateway with API keys promises, shown with its own files and variables. */

const QUICK_START = `{
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/data"]
    },
    "time": {
      "command": "uvx",
      "args": ["mcp-server-time"]
    },
    "remote-server": {
      "url": "https://other-server.com/sse",
      "transport": "sse",
      "headers": {
        "Authorization": "Bearer your-token"
      }
    }
  }
}`;

const MIXED = `{
  "mcpServers": {
    "local-filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/data"]
    },
    "remote-api": {
      "url": "https://api.example.com/mcp",
      "transport": "http",
      "headers": {
        "Authorization": "Bearer token"
      }
    },
    "time": {
      "command": "uvx",
      "args": ["mcp-server-time"]
    }
  }
}`;

const KEY_FILE = `{
  "sk-abc123def456": {
    "client_id": "letta-cloud",
    "scopes": ["*"]
  },
  "sk-xyz789uvw012": {
    "client_id": "local-development",
    "scopes": ["*"]
  },
  "sk-ci-bot-key": {
    "client_id": "ci-pipeline",
    "scopes": ["*"]
  }
}`;

const health = async (url: string, headers: Record<string, string> = {}): Promise<Record<string, unknown>> => {
  const response = await fetch(`${url}/health`, { headers });
  expect(response.status).toBe(200);
  return (await response.json()) as Record<string, unknown>;
};

async function status(url: string, headers: Record<string, string>): Promise<number> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream", ...headers },
    body: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}',
  });
  await response.text();
  return response.status;
}

const calls = async (url: string, token: string): Promise<string> => {
  const client = await RawClient.open(url, { headers: bearer(token) });
  return (await client.call("read").answer()).text;
};

async function listed(client: RawClient, kind: "tools" | "prompts"): Promise<string[]> {
  const { message } = await client.request(`${kind}/list`).answer();
  return (message.result as Record<typeof kind, { name: string }[]>)[kind].map(({ name }) => name);
}

describe("the quick start", () => {
  test("keys of the variable open every server, /health says who asks what, and no key goes anywhere", async () => {
    const remote = new RelayServer();
    await using far = new RelaySse(remote);
    await using gateway = await startGateway({
      files: {
        "mcp_config.json": replaced(QUICK_START, { '"https://other-server.com/sse"': JSON.stringify(far.entry.url) }),
      },
      env: { MCP_API_KEYS: " sk-1:letta:cloud , nocolon,sk-22:local-dev" },
    });
    const { url } = gateway;
    await gateway.logged("entry 2 of MCP_API_KEYS is skipped");
    for (const server of ["filesystem", "time"]) {
      for (const path of ["mcp", "mcp/", "sse"]) {
        expect(await calls(`${url}/${server}/${path}`, "sk-1")).toContain("read ran");
      }
      for (const wrong of [
        {},
        bearer("sk-"),
        bearer("letta:cloud"),
        bearer("letta"),
        bearer("sk-11"),
        bearer("nocolon"),
      ])
        expect(await status(`${url}/${server}/mcp`, wrong)).toBe(401);
      expect(await status(`${url}/${server}/mcp?key=sk-1`, {})).toBe(401);
    }
    for (const path of ["mcp", "mcp/", "sse"]) {
      const all = await RawClient.open(`${url}/${path}`, { headers: bearer("sk-1") });
      // As the manual's programs list them, and as its examples call them.
      const tools = await listed(all, "tools");
      for (const name of ["filesystem_read", "time_read"]) expect(tools).toContain(name);
      for (const name of ["filesystem_read", "filesystem:read", "filesystem__read"])
        expect((await all.call(name).answer()).text).toContain("read ran");
      expect(await listed(all, "prompts")).toEqual(["filesystem_greet", "time_greet"]);
      const { text } = await all.request("resources/list").answer();
      for (const uri of ["memo://filesystem/one", "memo://time/one"]) expect(text).toContain(`"${uri}"`);
      const memo = all.request("resources/read", '{"uri":"memo://time/one"}');
      expect((await memo.answer()).text).toMatch(/"uri":"memo:\/\/time\/one","text":"\w+ memo"/);
      all.vanish();
    }
    for (const wrong of [{}, bearer("sk-11"), bearer("letta"), bearer("nocolon")]) {
      expect(await status(`${url}/mcp`, wrong)).toBe(401);
      expect((await fetch(`${url}/sse`, { headers: { ...wrong, Accept: "text/event-stream" } })).status).toBe(401);
    }
    expect(await status(`${url}/mcp?api_key=sk-1`, {})).toBe(401);
    const client = await RawClient.open(`${url}/remote-server/mcp`, { headers: bearer("sk-22") });
    const inbox = client.call("echo");
    const call = await remote.call("echo");
    expect(call.headers?.get("authorization")).toBe("Bearer your-token");
    call.result('{"content":[]}');
    await inbox.answer();

    const names = ["filesystem", "time", "remote-server"];
    expect(await health(url)).toMatchObject({ status: "healthy", service: "mcp-proxy", servers: names });
    expect((await health(url, bearer("sk-1")))["servers"]).toEqual(names);
    const outside = { "CF-Ray": "8f", "X-Forwarded-For": "203.0.113.7" };
    expect(await health(url, outside)).not.toHaveProperty("servers");
    expect(await health(url, { ...outside, ...bearer("sk-wrong") })).not.toHaveProperty("servers");
    expect((await health(url, { ...outside, ...bearer("sk-22") }))["servers"]).toEqual(names);

    const refused = await fetch(`${url}/time/mcp`, { method: "POST" });
    expect(refused.headers.get("www-authenticate")).not.toContain("resource_metadata");
    for (const kind of ["oauth-protected-resource", "oauth-authorization-server"])
      for (const path of ["", "/mcp", "/time/mcp"])
        expect((await fetch(`${url}/.well-known/${kind}${path}`)).status).toBe(404);

    await gateway.logged("called by letta:cloud");
    await gateway.logged("called by local-dev");
    expect(await gateway.stop()).toBe(0);
    expect(gateway.log.filter((line) => line.includes("sk-1") || line.includes("sk-22"))).toEqual([]);
  });
});

describe("the key file", () => {
  test("as printed opens a gateway on loopback, and a session of one client is nothing to another", async () => {
    const remote = new RelayServer();
    await using far = new RelayHttp(remote);
    await using gateway = await startGateway({
      files: {
        "mcp_config.json": replaced(MIXED, { '"https://api.example.com/mcp"': JSON.stringify(far.entry.url) }),
        "data/api_keys.json": KEY_FILE,
      },
      env: { MCP_API_KEYS_PATH: "data/api_keys.json" },
    });
    const url = `${gateway.url}/local-filesystem/mcp`;
    const letta = await RawClient.open(url, { headers: bearer("sk-abc123def456") });
    expect(await calls(url, "sk-ci-bot-key")).toContain("read ran");
    expect(await status(url, { ...bearer("sk-ci-bot-key"), "Mcp-Session-Id": letta.session })).toBe(200);
    const foreign = await fetch(url, {
      method: "POST",
      headers: {
        ...bearer("sk-ci-bot-key"),
        "Mcp-Session-Id": letta.session,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
      },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
    });
    expect(foreign.status).toBe(404);
    const later = KEY_FILE.replace("sk-ci-bot-key", "sk-of-a-new-bot");
    replaceFile(join(gateway.directory, "data/api_keys.json"), later);
    await gateway.logged("the file of API keys was taken over");
    expect(await status(url, bearer("sk-of-a-new-bot"))).toBe(200);
    expect(await status(url, bearer("sk-ci-bot-key"))).toBe(401);
    expect((await letta.call("read").answer()).text).toContain("read ran");
  });

  test("the variable wins over it", async () => {
    await using gateway = await startGateway({
      files: { "mcp_config.json": replaced(MIXED), "keys.json": KEY_FILE },
      env: { MCP_API_KEYS_PATH: "keys.json", MCP_API_KEYS: "sk-of-the-variable:v" },
    });
    expect(await status(`${gateway.url}/time/mcp`, bearer("sk-of-the-variable"))).toBe(200);
    expect(await status(`${gateway.url}/time/mcp`, bearer("sk-ci-bot-key"))).toBe(401);
  });

  test.each([
    ["is missing", undefined, "the file does not exist"],
    ["is broken", "{ nope", "keys.json:1"],
  ])("that %s ends the start with exit code 1", async (_, content, message) => {
    await using gateway = await startGateway({
      files: { "mcp_config.json": replaced(MIXED), ...(content === undefined ? {} : { "keys.json": content }) },
      env: { MCP_API_KEYS_PATH: "keys.json" },
      silent: true,
    });
    expect(await gateway.exited).toBe(1);
    expect(gateway.log.join("\n")).toContain(message);
    expect(gateway.log.join("\n")).toContain("keys.json");
  });
});

describe("without keys", () => {
  test("it does not start, and says what to set", async () => {
    await using gateway = await startGateway({ files: { "mcp_config.json": replaced(MIXED) }, silent: true });
    expect(await gateway.exited).toBe(1);
    expect(gateway.log.join("\n")).toMatch(/MCP_API_KEYS=key:client or MCP_API_KEYS_PATH/);
  });

  test("MCP_DISABLE_AUTH opens it with a loud warning, and says that keys have no effect then", async () => {
    await using gateway = await startGateway({
      files: { "mcp_config.json": replaced(MIXED) },
      env: { MCP_DISABLE_AUTH: "YES", MCP_API_KEYS: "sk-1:x" },
    });
    expect(await status(`${gateway.url}/time/mcp`, {})).toBe(200);
    await gateway.logged("authentication is OFF");
    await gateway.logged("MCP_API_KEYS have no effect");
  });
});

test("MCP_PATH_PREFIX hides everything but /health", async () => {
  await using gateway = await startGateway({
    files: {
      "mcp_config.json": replaced(MIXED),
      ".env": "MCP_PATH_PREFIX=/abc-123-def/\nMCP_API_KEYS=sk-of-dotenv:d\n",
    },
  });
  const { url } = gateway;
  expect(await status(`${url}/abc-123-def/time/mcp`, bearer("sk-of-dotenv"))).toBe(200);
  for (const path of ["mcp", "mcp/"]) {
    const all = await RawClient.open(`${url}/abc-123-def/${path}`, { headers: bearer("sk-of-dotenv") });
    expect((await all.call("time_read").answer()).text).toContain("read ran");
    expect(await status(`${url}/${path}`, bearer("sk-of-dotenv"))).toBe(404);
  }
  const stream = await RawClient.open(`${url}/abc-123-def/sse`, { headers: bearer("sk-of-dotenv") });
  expect((await stream.call("local-filesystem:read").answer()).text).toContain("read ran");
  stream.vanish();
  expect((await fetch(`${url}/sse`, { headers: bearer("sk-of-dotenv") })).status).toBe(404);
  expect(await status(`${url}/`, bearer("sk-of-dotenv"))).toBe(404);
  await gateway.logged("/abc-123-def/mcp");
  expect(await status(`${url}/time/mcp`, bearer("sk-of-dotenv"))).toBe(404);
  await gateway.logged("/abc-123-def/time/mcp");
  expect(await health(url)).toMatchObject({ path_prefix: null });
  expect(await health(`${url}/abc-123-def`)).toMatchObject({ path_prefix: "/abc-123-def" });
});

test("MCP_LIVE_RELOAD: a server added to the file appears, one taken out goes, keys stay", async () => {
  const one = (name: string): string =>
    replaced(`{"mcpServers":{"${name}":{"command":"uvx","args":["mcp-server-time"]}}}`);
  await using gateway = await startGateway({
    files: { "mcp_config.json": one("first") },
    env: { MCP_LIVE_RELOAD: "true", MCP_API_KEYS: "sk-of-mine:m" },
  });
  const client = await RawClient.open(`${gateway.url}/mcp`, { headers: bearer("sk-of-mine") });
  // One server alone has bare names there.
  expect((await client.call("read").answer()).text).toContain("read ran");
  expect(await listed(client, "tools")).toContain("read");
  const stream = await client.listen();
  replaceFile(join(gateway.directory, "mcp_config.json"), one("second"));
  await gateway.logged("the configuration was taken over");
  await stream.method("notifications/tools/list_changed");
  expect((await client.call("second:read").answer()).text).toContain("read ran");
  const two = `{"mcpServers":{"x":{"command":"uvx","args":["mcp-server-time"]},"y":{"command":"uvx","args":["mcp-server-time"]}}}`;
  replaceFile(join(gateway.directory, "mcp_config.json"), replaced(two));
  while (!(await listed(client, "tools")).includes("y_read")) await stream.method("notifications/tools/list_changed");
  expect((await client.call("x_read").answer()).text).toContain("read ran");
  replaceFile(join(gateway.directory, "mcp_config.json"), one("second"));
  while ((await listed(client, "tools")).includes("y_read")) await stream.method("notifications/tools/list_changed");
  expect(await status(`${gateway.url}/second/mcp`, bearer("sk-of-mine"))).toBe(200);
  expect(await status(`${gateway.url}/first/mcp`, bearer("sk-of-mine"))).toBe(404);
});

describe("MCP_MAX_RETRIES", () => {
  test("a configuration that comes a moment after the start is served", async () => {
    await using gateway = await startGateway({
      env: { MCP_CONFIG_PATH: "late.json", MCP_API_KEYS: "sk-of-mine:m", MCP_MAX_RETRIES: "5" },
      silent: true,
    });
    await gateway.logged("trying again in 1 s (1 of 5");
    const path = join(gateway.directory, "late.json");
    writeFileSync(`${path}.new`, replaced(MIXED));
    renameSync(`${path}.new`, path);
    await gateway.logged("listening on ");
  });

  test("of 1 means that a missing one ends the start at once", async () => {
    await using gateway = await startGateway({
      env: { MCP_CONFIG_PATH: "never.json", MCP_API_KEYS: "sk-of-mine:m", MCP_MAX_RETRIES: "1" },
      silent: true,
    });
    expect(await gateway.exited).toBe(1);
    expect(gateway.log.join("\n")).toContain("never.json");
    expect(gateway.log.join("\n")).not.toContain("trying again");
  });
});
