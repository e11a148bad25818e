import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as Stdio2 } from "@modelcontextprotocol/client/stdio";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
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

/** Real clients of both generations in front of real servers of both, over all transports. */

const SERVERS = join(import.meta.dir, "../conformance");
const CAPABILITIES = { sampling: {}, elicitation: { form: {} }, roots: {} };
const SAMPLE = { role: "assistant" as const, model: "m", content: { type: "text" as const, text: "Paris" } };
const NAME = { action: "accept" as const, content: { name: "Ada", step1: "Ada", color: "blue", ok: true } };
const ROOTS = { roots: [{ uri: "file:///somewhere", name: "somewhere" }] };

/** A URL, or what the program is started with to be reached over stdio. */
type Way = string | readonly string[];

interface Spawned {
  readonly command: string;
  readonly args: string[];
  readonly env: Record<string, string>;
  readonly stderr: "ignore";
}

function stdio(args: readonly string[]): Spawned {
  const [command = "", ...main] = PROGRAM;
  const { PATH = "", HOME = "" } = process.env;
  return { command, args: [...main, ...args], env: { PATH, HOME }, stderr: "ignore" };
}

interface AnyClient {
  call(name: string, onprogress?: (progress: number) => void): Promise<string>;
  tools(): Promise<string[]>;
  prompt(name: string): Promise<unknown>;
  read(uri: string): Promise<unknown>;
  /** Resolves at the next change of the list of tools. */
  changed(): Promise<void>;
  close(): Promise<void>;
}

async function first(way: Way): Promise<AnyClient> {
  const client = new Client1({ name: "one", version: "1" }, { capabilities: CAPABILITIES });
  client.setRequestHandler(CreateMessageRequestSchema, () => SAMPLE);
  client.setRequestHandler(ElicitRequestSchema, () => NAME);
  client.setRequestHandler(ListRootsRequestSchema, () => ROOTS);
  const transport = typeof way === "string" ? new Transport1(new URL(way)) : new Stdio1(stdio(way));
  await client.connect(transport);
  const heard = Promise.withResolvers<undefined>();
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => heard.resolve(undefined));
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
    changed: () => heard.promise,
    close: async () => {
      if (transport instanceof Transport1) await transport.terminateSession();
      await client.close();
    },
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
  await client.connect(typeof way === "string" ? new Transport2(new URL(way)) : new Stdio2(stdio(way)));
  expect(client.getNegotiatedProtocolVersion()).toBe(mode === "auto" ? "2026-07-28" : "2025-11-25");
  const heard = Promise.withResolvers<undefined>();
  client.setNotificationHandler("notifications/tools/list_changed", () => heard.resolve(undefined));
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
    changed: async () => {
      if (mode === "auto") await client.listen({ toolsListChanged: true });
      await client.callTool({ name: "test_trigger_tool_change", arguments: {} });
      await heard.promise;
    },
    close: () => client.close(),
  };
}

const CLIENTS: readonly (readonly [string, (way: Way) => Promise<AnyClient>])[] = [
  ["SDK 1.x", first],
  ["SDK 2.x, with sessions", (way) => second(way, "legacy")],
  ["SDK 2.x, stateless", (way) => second(way, "auto")],
];

for (const era of ["legacy", "modern"] as const) {
  for (const transport of ["stdio", "http"] as const) {
    describe(`a ${era} server over ${transport}`, () => {
      const clean = new AsyncDisposableStack();
      let proxy: RunningProxy;
      const url = (): string => `${proxy.url}/it/mcp`;
      const command = [process.execPath, join(SERVERS, `${era}-server.ts`)];
      const ways: (readonly [string, () => Way])[] = [
        ["", url],
        [" over a bridge", () => [url()]],
        ...(transport === "stdio" ? [[" with --stdio", () => ["--stdio", "--", ...command]] as const] : []),
      ];

      beforeAll(async () => {
        if (transport === "stdio") {
          proxy = clean.use(await startProxy({ it: { command: command[0], args: command.slice(1), roots: true } }));
          return;
        }
        const child = Bun.spawn([...command, "--http", "0", "--exit-with-stdin"], { stdin: "pipe", stdout: "pipe" });
        clean.defer(async () => {
          child.kill();
          await child.exited;
        });
        const reader = child.stdout.getReader();
        const line = new TextDecoder().decode((await reader.read()).value).trim();
        proxy = clean.use(await startProxy({ it: { url: line, transportType: "streamable-http" } }));
      });
      afterAll(() => clean.disposeAsync());

      for (const [name, connect] of CLIENTS) {
        test(`${name}: lists, calls, prompts, reads and sees progress`, async () => {
          const client = await connect(url());
          expect(await client.tools()).toContain("test_elicitation");
          expect(await client.call("test_simple_text")).toContain("text");
          expect(await client.prompt("test_simple_prompt")).toHaveProperty("messages");
          expect(await client.read("test://static-text")).toHaveProperty("contents");
          const seen: number[] = [];
          await client.call("test_tool_with_progress", (progress) => seen.push(progress));
          // A client of the SDK that reads some together with the answer drops them, also without a proxy.
          expect(seen.length).toBeGreaterThan(0);
          expect(seen).toEqual([0, 50, 100].slice(0, seen.length));
          await client.close();
        });

        for (const [how, way] of ways)
          test(`${name}${how}: is asked by elicitation, sampling and for roots, several times in one call`, async () => {
            const client = await connect(way());
            expect(await client.call("test_input_required_result_elicitation")).toContain("Ada");
            expect(await client.call("test_input_required_result_sampling")).toContain("Paris");
            expect(await client.call("test_input_required_result_list_roots")).toContain("file:///somewhere");
            expect(await client.call("test_input_required_result_multi_round")).not.toContain('"isError":true');
            await client.close();
          });

        for (const [how, way] of ways)
          test(`${name}${how}: hears that the tools have changed`, async () => {
            const client = await connect(way());
            const changed = client.changed();
            if (name === "SDK 1.x") await client.call("test_trigger_tool_change");
            await changed;
            await client.close();
          });
      }
    });
  }
}
