/**
 * Reaches the server of the suite's client scenarios through a proxy of its own, as a client of SDK 2.x; with `bridged`
 * as its first argument through a bridge in front of that proxy. Last argument: that server's URL. The suite says in the
 * environment which scenario and version it is, and what to call.
 */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { PROGRAM } from "../support/bridge.ts";
import { startProxy } from "../support/proxy.ts";

interface ToolCall {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
}

const url = process.argv.at(-1) ?? "";
const modern = process.env["MCP_CONFORMANCE_PROTOCOL_VERSION"] === "2026-07-28";
const context = JSON.parse(process.env["MCP_CONFORMANCE_CONTEXT"] ?? "{}") as {
  readonly toolCalls?: readonly ToolCall[];
};

await using proxy = await startProxy({ suite: { url, transportType: "streamable-http" } });
const client = new Client(
  { name: "driver", version: "1" },
  {
    capabilities: { elicitation: { form: { applyDefaults: true } } },
    versionNegotiation: { mode: modern ? "auto" : "legacy" },
  },
);
client.setRequestHandler("elicitation/create", () => ({
  action: "accept",
  content: modern ? { confirmed: true } : {},
}));
const endpoint = `${proxy.url}/suite/mcp`;
const [command = "", ...main] = PROGRAM;
const env = { PATH: process.env["PATH"] ?? "", HOME: proxy.directory };
await client.connect(
  process.argv[2] === "bridged"
    ? new StdioClientTransport({ command, args: [...main, endpoint], env, stderr: "ignore" })
    : new StreamableHTTPClientTransport(new URL(endpoint)),
);
const { tools } = await client.listTools();
const seen = tools.find(({ name }) => name === "json_schema_2020_12_tool")?.inputSchema;
const calls =
  context.toolCalls ??
  tools.map(({ name }) => ({
    name,
    arguments: name === "json_schema_echo" ? { schema: seen, inputSchema: seen } : { a: 5, b: 3 },
  }));
// One that fails must not keep the others from being seen.
for (const call of calls)
  await client.callTool(call).catch((error: unknown) => console.error(call.name, String(error)));
const capabilities = client.getServerCapabilities();
if (capabilities?.prompts !== undefined) {
  for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name }).catch(() => undefined);
}
if (capabilities?.resources !== undefined) {
  for (const { uri } of (await client.listResources()).resources)
    await client.readResource({ uri }).catch(() => undefined);
}
await client.close();
