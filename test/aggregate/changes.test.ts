import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { Client as ModernClient, StreamableHTTPClientTransport as ModernHttp } from "@modelcontextprotocol/client";
import { tools } from "../http/client.ts";
import { ModernClient as Stateless } from "../relay/modern-client.ts";
import { RawClient } from "../relay/raw-client.ts";
import type { Inbox } from "../relay/raw-client.ts";
import { PROGRAM } from "../support/bridge.ts";
import { startProxy } from "../support/proxy.ts";

const only = (name: string, more: Record<string, unknown> = {}): Record<string, unknown> =>
  tools({
    options: { toolFilter: { mode: "allow", list: ["echo", "change"] } },
    env: { HTTP_TOOLS_NAME: name },
    ...more,
  });

/** A client of the SDK that counts what it is told of tools. */
async function connected(transport: Transport): Promise<{ client: Client; changed: () => Promise<void> }> {
  const client = new Client({ name: "test", version: "1" });
  let told = Promise.withResolvers<void>();
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => told.resolve());
  await client.connect(transport);
  const changed = async (): Promise<void> => {
    await told.promise;
    told = Promise.withResolvers();
  };
  return { client, changed };
}

const listed = async (client: Client): Promise<string[]> => (await client.listTools()).tools.map(({ name }) => name);

for (const path of ["mcp", "sse"] as const) {
  test(`a reload brings servers to the clients at /${path} and takes them away`, async () => {
    await using proxy = await startProxy({ a: only("a") });
    const url = new URL(`${proxy.url}/${path}`);
    const transport = path === "mcp" ? new StreamableHTTPClientTransport(url) : new SSEClientTransport(url);
    const { client, changed } = await connected(transport);
    expect(await listed(client)).toEqual(["a__echo", "a__change"]);
    const reload = (mcpServers: Record<string, unknown>): void => {
      const mcpProxy = { addr: "127.0.0.1:0", options: { oauth2: { persistenceDir: join(proxy.directory, "state") } } };
      writeFileSync(join(proxy.directory, "config.json"), JSON.stringify({ mcpProxy, mcpServers }));
      proxy.process.kill("SIGHUP");
    };
    reload({ a: only("a"), b: only("b", { prefix: "" }) });
    while (!(await listed(client)).includes("echo")) await changed();
    expect(await client.callTool({ name: "echo", arguments: { text: "new" } })).toMatchObject({
      content: [{ text: "new" }],
    });
    reload({ b: only("b") });
    while ((await listed(client)).some((name) => name.startsWith("a__"))) await changed();
    expect(await listed(client)).toEqual(["b__echo", "b__change"]);
    await client.close();
  });
}

test("what a server says of its lists reaches every client at /mcp, whichever made it say so", async () => {
  await using proxy = await startProxy({ a: only("a"), b: only("b") });
  const url = new URL(`${proxy.url}/mcp`);
  const [one, other] = [
    await connected(new StreamableHTTPClientTransport(url)),
    await connected(new StreamableHTTPClientTransport(url)),
  ];
  await one.client.callTool({ name: "b__change" });
  await Promise.all([one.changed(), other.changed()]);
  await Promise.all([one.client.close(), other.client.close()]);
});

test("a client of the stateless era lists, calls and listens at /mcp", async () => {
  await using proxy = await startProxy({ a: only("a"), b: only("b") });
  const client = new ModernClient({ name: "test", version: "1" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(new ModernHttp(new URL(`${proxy.url}/mcp`)));
  const { tools: all } = await client.listTools();
  expect(all.map(({ name }) => name)).toEqual(["a__echo", "a__change", "b__echo", "b__change"]);
  expect(await client.callTool({ name: "b__echo", arguments: { text: "there" } })).toMatchObject({
    content: [{ text: "there" }],
  });
  await client.close();
});

test("--stdio serves several servers as one", async () => {
  await using proxy = await startProxy({ a: only("a"), b: only("b"), down: { command: "false" } });
  const [command = "", ...args] = PROGRAM;
  const { client } = await connected(
    new StdioClientTransport({
      command,
      args: [...args, "--config", join(proxy.directory, "config.json"), "--stdio"],
      env: { PATH: process.env["PATH"] ?? "", HOME: proxy.directory },
      stderr: "ignore",
    }),
  );
  expect(await listed(client)).toEqual(["a__echo", "a__change", "b__echo", "b__change"]);
  expect(await client.callTool({ name: "b:echo", arguments: { text: "piped" } })).toMatchObject({
    content: [{ text: "piped" }],
  });
  await client.close();
});

test("a reload that takes a token away ends all that it had opened, at every URL and in both eras", async () => {
  const config = (tokens: readonly string[]) => ({
    mcpServers: {
      a: only("a", { options: { authTokens: tokens } }),
      b: only("b", { options: { authTokens: tokens } }),
    },
    groups: {
      both: { servers: ["a", "b"] },
      own: { servers: ["a", "b"], options: { authTokens: tokens } },
    },
  });
  const [leaves, stays] = ["token-that-leaves-0123", "token-that-stays-0123"];
  const before = config([leaves, stays]);
  await using proxy = await startProxy(before.mcpServers, { groups: before.groups });
  const open = async (token: string, path: string): Promise<[Inbox, Inbox, Inbox]> => {
    const options = { headers: { authorization: `Bearer ${token}` } };
    const url = `${proxy.url}/${path}`;
    const legacy = await RawClient.open(`${url}/mcp`, options);
    const sse = await RawClient.open(`${url}/sse`, options);
    const params = '"notifications":{"toolsListChanged":true}';
    const listening = new Stateless(`${url}/mcp`, options).request("subscriptions/listen", params);
    await listening.method("notifications/subscriptions/acknowledged");
    return [await legacy.listen(), await sse.listen(), listening];
  };
  const paths = ["a", "both", "own", "."];
  const gone = (await Promise.all(paths.map((path) => open(leaves, path)))).flat();
  const there = (await Promise.all(paths.map((path) => open(stays, path)))).flat();
  const reload = (next: ReturnType<typeof config>): void => {
    const mcpProxy = { addr: "127.0.0.1:0", options: { oauth2: { persistenceDir: join(proxy.directory, "state") } } };
    writeFileSync(join(proxy.directory, "config.json"), JSON.stringify({ mcpProxy, ...next }));
    proxy.process.kill("SIGHUP");
  };
  reload(config([leaves, stays, "token-that-came-0123"]));
  await proxy.logged((line) => String(line["msg"]).includes("the configuration was taken over"));
  reload(config([stays]));
  await Promise.all(gone.map((stream) => stream.ended()));
  const client = await RawClient.open(`${proxy.url}/a/mcp`, { headers: { authorization: `Bearer ${stays}` } });
  await client.call("change").answer();
  await Promise.all(there.map((stream) => stream.method("notifications/tools/list_changed")));
});
