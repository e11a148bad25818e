/** Reaches the server of the suite's client scenarios through a proxy of its own. Argument: that server's URL. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { startProxy } from "../support/proxy.ts";

const url = process.argv.at(-1) ?? "";
await using proxy = await startProxy({ suite: { url, transportType: "streamable-http" } });
const client = new Client({ name: "driver", version: "1" }, { capabilities: {} });
await client.connect(new StreamableHTTPClientTransport(new URL(`${proxy.url}/suite/mcp`)));
for (const { name } of (await client.listTools()).tools) await client.callTool({ name, arguments: { a: 5, b: 3 } });
await client.close();
