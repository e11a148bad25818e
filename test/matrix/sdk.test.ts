import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EventSource } from "eventsource";
import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import type * as sdkTypes from "@modelcontextprotocol/sdk/types.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { program, testWith } from "../support/programs.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";

type Types = typeof sdkTypes;

const OLD = "sdk-1.0";
const MIDDLE = "sdk-1.10";
const NEW = "@modelcontextprotocol/sdk";
const PYTHON_SDK = ["--with", "mcp==1.12.4", "--with", "pydantic==2.11.7"];
const PYTHON = "python";
const UVX = program("uvx");
const SERVER = join(import.meta.dir, "../fixtures/sdk-server.ts");

/** The first version has no Streamable HTTP. */
const CLIENTS = [
  [OLD, "sse"],
  [MIDDLE, "sse"],
  [MIDDLE, "http"],
  [NEW, "sse"],
  [NEW, "http"],
] as const;
const SERVERS = [
  [OLD, "stdio"],
  [OLD, "sse"],
  [MIDDLE, "stdio"],
  [MIDDLE, "sse"],
  [MIDDLE, "http"],
  [NEW, "stdio"],
  [NEW, "sse"],
  [NEW, "http"],
] as const;
const PYTHON_SERVERS = [
  [PYTHON, "stdio"],
  [PYTHON, "sse"],
  [PYTHON, "http"],
] as const;

const clean = new AsyncDisposableStack();
let proxy: RunningProxy;

beforeAll(async () => {
  // The first version wants one from the outside.
  Object.assign(globalThis, { EventSource });
  const entries: Record<string, unknown> = {};
  for (const [sdk, transport] of UVX.path === undefined ? SERVERS : [...SERVERS, ...PYTHON_SERVERS]) {
    const command = sdk === PYTHON ? python("server", transport) : [process.execPath, SERVER, sdk, transport];
    // No transport is declared: what an URL means is found out.
    if (transport !== "stdio") entries[nameOf(sdk, transport)] = { url: await startServer(command) };
    else entries[nameOf(sdk, transport)] = { command: command[0], args: command.slice(1) };
  }
  // uv finds there where it keeps what it has downloaded, and whom to trust.
  proxy = await startProxy(entries, { env: process.env as Record<string, string> });
  clean.use(proxy);
}, 120_000);
afterAll(() => clean.disposeAsync());

function nameOf(sdk: string, transport: string): string {
  return `${sdk.replace(/^@.*/, "sdk-new")}-${transport}`;
}

/** Runs one of the Python programs. */
function python(what: "client" | "server", ...args: string[]): string[] {
  const script = join(import.meta.dir, `../fixtures/python-${what}.py`);
  return [UVX.path ?? "", ...PYTHON_SDK, "python", script, ...args];
}

async function startServer(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "ignore" });
  clean.defer(async () => {
    child.kill();
    await child.exited;
  });
  const { value } = await child.stdout.getReader().read();
  return new TextDecoder().decode(value).trim();
}

async function open(sdk: string, transport: "sse" | "http", url: string): Promise<{ client: Client; types: Types }> {
  const load = async <T>(path: string): Promise<T> => (await import(`${sdk}/${path}`)) as T;
  const types = await load<Types>("types.js");
  const { Client: Made } = await load<{ Client: typeof Client }>("client/index.js");
  const client = new Made({ name: sdk, version: "1" }, { capabilities: { sampling: {} } });
  client.setRequestHandler(types.CreateMessageRequestSchema, () => ({
    model: "m",
    role: "assistant" as const,
    content: { type: "text" as const, text: `sampled by ${sdk}` },
  }));
  const kind = transport === "sse" ? "SSEClientTransport" : "StreamableHTTPClientTransport";
  const module = await load<Record<string, new (url: URL) => Transport>>(
    transport === "sse" ? "client/sse.js" : "client/streamableHttp.js",
  );
  const Carrier = module[kind];
  if (Carrier === undefined) throw new Error(`${sdk} has no ${kind}`);
  await client.connect(new Carrier(new URL(url)));
  return { client, types };
}

/** What every client has to be able to do at every server. */
async function suite(client: Client, types: Types, sdk: string, server: string): Promise<void> {
  expect(client.getServerVersion()?.name).toBe(server);
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual([
    "echo",
    "progress",
    "release",
    "sample",
    "wait",
  ]);
  const call = async (name: string, args: Record<string, unknown>, options = {}): Promise<unknown> => {
    const params = { name, arguments: args };
    const result = await client.request({ method: "tools/call", params }, types.CallToolResultSchema, options);
    return (result.content as { text: string }[])[0]?.text;
  };
  expect(await Promise.all([1, 2, 3].map((n) => call("echo", { n })))).toEqual(['{"n":1}', '{"n":2}', '{"n":3}']);
  const heard = Promise.withResolvers<unknown>();
  const progressing = call("progress", {}, { onprogress: heard.resolve });
  expect(await heard.promise).toEqual({ progress: 1, total: 2 });
  await call("release", {});
  expect(await progressing).toBe("{}");
  expect(await call("sample", {})).toContain(`sampled by ${sdk}`);
  const abort = new AbortController();
  const waiting = call("wait", {}, { signal: abort.signal });
  await call("echo", {});
  abort.abort();
  expect(await waiting.catch(() => "taken back")).toBe("taken back");
  expect(await call("echo", { after: true })).toBe('{"after":true}');
}

for (const front of ["sse", "http"] as const) {
  testWith(
    UVX,
    `a client of the Python SDK over ${front} at every server`,
    async () => {
      const servers = [...SERVERS, ...PYTHON_SERVERS];
      const path = front === "sse" ? "sse" : "mcp";
      const urls = servers.map(([sdk, transport]) => `${proxy.url}/${nameOf(sdk, transport)}/${path}`);
      const child = Bun.spawn(python("client", front, ...urls), { stdout: "pipe", stderr: "pipe" });
      const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
      if ((await child.exited) !== 0) throw new Error(errors);
      const answers = out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown);
      const expected = servers.map(([sdk, transport]) => ({
        server: `${sdk} ${transport}`,
        tools: ["echo", "progress", "release", "sample", "wait"],
        echo: '{"n":1}',
        sample: expect.stringContaining("sampled in Python") as string,
      }));
      expect(answers).toEqual(expected);
    },
    120_000,
  );
}

for (const [clientSdk, front] of CLIENTS) {
  describe(`a client of ${clientSdk} over ${front}`, () => {
    const visit = async (serverSdk: string, transport: string): Promise<void> => {
      const url = `${proxy.url}/${nameOf(serverSdk, transport)}/${front === "sse" ? "sse" : "mcp"}`;
      const { client, types } = await open(clientSdk, front, url);
      try {
        await suite(client, types, clientSdk, `${serverSdk} ${transport}`);
      } finally {
        await client.close();
      }
    };
    for (const [sdk, transport] of SERVERS) {
      test(`at a server of ${sdk} over ${transport}`, () => visit(sdk, transport));
    }
    for (const [sdk, transport] of PYTHON_SERVERS) {
      testWith(UVX, `at a server of the Python SDK over ${transport}`, () => visit(sdk, transport));
    }
  });
}
