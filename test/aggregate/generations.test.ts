import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as Stdio2 } from "@modelcontextprotocol/client/stdio";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport as Stdio1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as Transport1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { PROGRAM } from "../support/bridge.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";

/** Real clients of both generations in front of servers of both eras and over both transports, served as one. */

const SERVERS = join(import.meta.dir, "../conformance");
const CAPABILITIES = { sampling: {}, elicitation: { form: {} }, roots: {} };
const SAMPLE = { role: "assistant" as const, model: "m", content: { type: "text" as const, text: "Paris" } };
const NAME = { action: "accept" as const, content: { name: "Ada", step1: "Ada", color: "blue", ok: true } };
const ROOTS = { roots: [{ uri: "file:///somewhere", name: "somewhere" }] };
const MEMBERS = ["old", "new", "old-http", "new-http"];

type Way = { readonly url: string } | { readonly args: readonly string[] };

interface AnyClient {
  call(name: string, onprogress?: (progress: number) => void): Promise<string>;
  tools(): Promise<string[]>;
  prompt(name: string): Promise<unknown>;
  read(uri: string): Promise<unknown>;
  /** Resolves at the next change of the list of tools, once somebody makes one. */
  listening(): Promise<{ readonly heard: Promise<unknown> }>;
  close(): Promise<void>;
}

function stdio(args: readonly string[]): {
  command: string;
  args: string[];
  env: Record<string, string>;
  stderr: "ignore";
} {
  const [command = "", ...main] = PROGRAM;
  const { PATH = "", HOME = "" } = process.env;
  return { command, args: [...main, ...args], env: { PATH, HOME }, stderr: "ignore" };
}

async function first(way: Way): Promise<AnyClient> {
  const client = new Client1({ name: "one", version: "1" }, { capabilities: CAPABILITIES });
  client.setRequestHandler(CreateMessageRequestSchema, () => SAMPLE);
  client.setRequestHandler(ElicitRequestSchema, () => NAME);
  client.setRequestHandler(ListRootsRequestSchema, () => ROOTS);
  if ("args" in way) await client.connect(new Stdio1(stdio(way.args)));
  else {
    const url = new URL(way.url);
    await client.connect(url.pathname.endsWith("/sse") ? new SSEClientTransport(url) : new Transport1(url));
  }
  return {
    call: async (name, onprogress) =>
      JSON.stringify(
        await client.callTool({ name, arguments: {} }, undefined, {
          ...(onprogress === undefined ? {} : { onprogress: ({ progress }) => onprogress(progress) }),
        }),
      ),
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    prompt: (name) => client.getPrompt({ name }),
    read: (uri) => client.readResource({ uri }),
    listening: async () => {
      const heard = Promise.withResolvers<undefined>();
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => heard.resolve(undefined));
      return { heard: heard.promise };
    },
    close: () => client.close(),
  };
}

async function second(way: Way, mode: "legacy" | "auto"): Promise<AnyClient> {
  const client = new Client2(
    { name: "two", version: "2" },
    { capabilities: CAPABILITIES, versionNegotiation: { mode } },
  );
  client.setRequestHandler("sampling/createMessage", () => SAMPLE);
  client.setRequestHandler("elicitation/create", () => NAME);
  client.setRequestHandler("roots/list", () => ROOTS);
  await client.connect("args" in way ? new Stdio2(stdio(way.args)) : new Transport2(new URL(way.url)));
  expect(client.getNegotiatedProtocolVersion()).toBe(mode === "auto" ? "2026-07-28" : "2025-11-25");
  return {
    call: async (name, onprogress) =>
      JSON.stringify(
        await client.callTool(
          { name, arguments: {} },
          onprogress === undefined ? {} : { onprogress: ({ progress }: { progress: number }) => onprogress(progress) },
        ),
      ),
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    prompt: (name) => client.getPrompt({ name }),
    read: (uri) => client.readResource({ uri }),
    listening: async () => {
      const heard = Promise.withResolvers<undefined>();
      client.setNotificationHandler("notifications/tools/list_changed", () => heard.resolve(undefined));
      if (mode === "auto") await client.listen({ toolsListChanged: true });
      return { heard: heard.promise };
    },
    close: () => client.close(),
  };
}

const CLIENTS: readonly (readonly [string, (way: Way) => Promise<AnyClient>])[] = [
  ["SDK 1.x", first],
  ["SDK 2.x, with sessions", (way) => second(way, "legacy")],
  ["SDK 2.x, stateless", (way) => second(way, "auto")],
];

describe("servers of both eras at one URL", () => {
  const clean = new AsyncDisposableStack();
  let proxy: RunningProxy;

  async function remote(era: "legacy" | "modern"): Promise<object> {
    const child = Bun.spawn([process.execPath, join(SERVERS, `${era}-server.ts`), "--http", "0", "--exit-with-stdin"], {
      stdin: "pipe",
      stdout: "pipe",
    });
    clean.defer(async () => {
      child.kill();
      await child.exited;
    });
    const { value } = await child.stdout.getReader().read();
    return { url: new TextDecoder().decode(value).trim(), transportType: "streamable-http" };
  }

  beforeAll(async () => {
    const child = (era: string): object => ({
      command: process.execPath,
      args: [join(SERVERS, `${era}-server.ts`)],
      roots: true,
    });
    proxy = clean.use(
      await startProxy(
        {
          old: child("legacy"),
          new: child("modern"),
          "old-http": await remote("legacy"),
          "new-http": await remote("modern"),
        },
        { groups: { some: { servers: MEMBERS } } },
      ),
    );
  });
  afterAll(() => clean.disposeAsync());

  const ways: readonly (readonly [string, () => Way])[] = [
    ["/mcp", () => ({ url: `${proxy.url}/mcp` })],
    ["a group", () => ({ url: `${proxy.url}/some/mcp` })],
    ["--stdio", () => ({ args: ["--config", join(proxy.directory, "config.json"), "--stdio"] })],
    ["/sse", () => ({ url: `${proxy.url}/sse` })],
    ["a bridge", () => ({ args: [`${proxy.url}/mcp`] })],
  ];
  for (const [how, way] of ways) {
    for (const [name, connect] of how === "/sse" ? CLIENTS.slice(0, 1) : CLIENTS) {
      test(`${name} at ${how}: lists, calls, prompts, reads, sees progress, is asked, hears of changes`, async () => {
        const client = await connect(way());
        const tools = await client.tools();
        for (const member of MEMBERS) {
          expect(tools).toContain(`${member}__test_elicitation`);
          const tool = (tool: string): string => `${member}__${tool}`;
          expect(await client.call(tool("test_simple_text"))).toContain("text");
          expect(await client.prompt(tool("test_simple_prompt"))).toHaveProperty("messages");
          const seen: number[] = [];
          await client.call(tool("test_tool_with_progress"), (progress) => seen.push(progress));
          // A client of the SDK that reads some together with the answer drops them, also without a proxy.
          expect(seen.length).toBeGreaterThan(0);
          expect(seen).toEqual([0, 50, 100].slice(0, seen.length));
          expect(await client.call(tool("test_input_required_result_elicitation"))).toContain("Ada");
          expect(await client.call(tool("test_input_required_result_sampling"))).toContain("Paris");
          expect(await client.call(tool("test_input_required_result_list_roots"))).toContain("file:///somewhere");
          expect(await client.call(tool("test_input_required_result_multi_round"))).not.toContain('"isError":true');
          const { heard } = await client.listening();
          await client.call(tool("test_trigger_tool_change"));
          await heard;
        }
        expect(await client.read("test://static-text")).toHaveProperty("contents");
        await client.close();
      });
    }
  }
});
