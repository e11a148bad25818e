import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { PROGRAM, start, urlOf } from "../support/bridge.ts";
import type { Run } from "../support/bridge.ts";

const EVERYTHING = join(import.meta.dir, "../../node_modules/@modelcontextprotocol/server-everything/dist/index.js");

let proxy: Run;
let url: string;

beforeAll(async () => {
  proxy = start(["--", process.execPath, EVERYTHING, "stdio"]);
  url = await urlOf(proxy);
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
});

interface Chained extends AsyncDisposable {
  readonly client: Client;
  readonly asked: string[];
}

/** A client, the program as a bridge (or with `--stdio`), and behind it what the arguments name. */
async function chain(args: readonly string[]): Promise<Chained> {
  const capabilities = { sampling: {}, elicitation: {}, roots: { listChanged: true } };
  const client = new Client({ name: "chain", version: "1" }, { capabilities });
  const asked: string[] = [];
  client.setRequestHandler(CreateMessageRequestSchema, () => {
    asked.push("sampling");
    return { model: "m", role: "assistant" as const, content: { type: "text" as const, text: "a poem" } };
  });
  client.setRequestHandler(ElicitRequestSchema, () => {
    asked.push("elicitation");
    return { action: "accept" as const, content: { name: "Ada" } };
  });
  client.setRequestHandler(ListRootsRequestSchema, () => {
    asked.push("roots");
    return { roots: [{ uri: "file:///chain", name: "chain" }] };
  });
  const [command = "", ...main] = PROGRAM;
  const env = { PATH: process.env["PATH"] ?? "", HOME: proxy.home };
  await client.connect(new StdioClientTransport({ command, args: [...main, ...args], env, stderr: "ignore" }));
  return { client, asked, [Symbol.asyncDispose]: () => client.close() };
}

const WAYS: readonly (readonly [string, () => readonly string[]])[] = [
  ["Streamable HTTP", () => ["--transport", "streamablehttp", `${url}/mcp`]],
  ["HTTP+SSE", () => [`${url}/sse`]],
  ["a detected transport", () => [`${url}/mcp`]],
  ["no network at all", () => ["--stdio", "--", process.execPath, EVERYTHING, "stdio"]],
];

for (const [name, args] of WAYS) {
  test(`client, bridge, proxy, server over ${name}: calls, progress, cancellation, sampling, elicitation`, async () => {
    await using chained = await chain(args());
    const { client, asked } = chained;
    const { tools } = await client.listTools();
    expect(tools.length).toBeGreaterThan(5);
    const echo = await client.callTool({ name: "echo", arguments: { message: "hello" } });
    expect(JSON.stringify(echo.content)).toContain("hello");

    const seen: number[] = [];
    await client.callTool(
      { name: "trigger-long-running-operation", arguments: { duration: 0.4, steps: 4 } },
      undefined,
      { onprogress: ({ progress }) => void seen.push(progress) },
    );
    // The client of the SDK loses a progress that arrives together with the answer; the next test looks at the text.
    expect(seen.slice(0, 3)).toEqual([1, 2, 3]);

    const stop = new AbortController();
    const long = client.callTool(
      { name: "trigger-long-running-operation", arguments: { duration: 60, steps: 600 } },
      undefined,
      { signal: stop.signal, onprogress: () => stop.abort("enough") },
    );
    expect(
      await long.then(
        () => "answered",
        () => "cancelled",
      ),
    ).toBe("cancelled");

    const sampled = await client.callTool({ name: "trigger-sampling-request", arguments: { prompt: "p" } });
    expect(JSON.stringify(sampled.content)).toContain("a poem");
    await client.callTool({ name: "trigger-elicitation-request", arguments: {} });
    expect(asked).toContain("sampling");
    expect(asked).toContain("elicitation");
  }, 60_000);
}

test("every progress stands in front of its answer, also when both come at once", async () => {
  await using run = start([`${url}/sse`]);
  run.write(
    '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}',
    '{"jsonrpc":"2.0","method":"notifications/initialized"}',
    '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"trigger-long-running-operation","arguments":{"duration":0.1,"steps":4},"_meta":{"progressToken":"p"}}}',
  );
  await run.said(/"id":7/);
  const lines = run.out().trim().split("\n");
  const texts = lines.map(
    (line) => JSON.parse(line) as { method?: string; id?: unknown; params?: { progress?: number } },
  );
  expect(
    texts.flatMap(({ method, params }) => (method === "notifications/progress" ? [params?.progress] : [])),
  ).toEqual([1, 2, 3, 4]);
  expect(texts.at(-1)?.id).toBe(7);
}, 30_000);

test("with --stdio the folders of the client reach the server, which is its own child", async () => {
  await using chained = await chain(["--stdio", "--", process.execPath, EVERYTHING, "stdio"]);
  const roots = await chained.client.callTool({ name: "get-roots-list", arguments: {} });
  expect(JSON.stringify(roots.content)).toContain("file:///chain");
  expect(chained.asked).toContain("roots");
}, 30_000);

test("three bridges side by side in one home directory", async () => {
  const all = await Promise.all([0, 1, 2].map(() => chain([`${url}/mcp`])));
  const answers = await Promise.all(
    all.map(({ client }, index) => client.callTool({ name: "echo", arguments: { message: `number ${index}` } })),
  );
  answers.forEach((answer, index) => expect(JSON.stringify(answer.content)).toContain(`number ${index}`));
  await Promise.all(all.map((chained) => chained[Symbol.asyncDispose]()));
}, 30_000);
