import { expect } from "bun:test";
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as Stdio2 } from "@modelcontextprotocol/client/stdio";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport as Sse1 } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport as Stdio1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as Http1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { PROGRAM } from "./bridge.ts";

/** A URL, or what the program is started with to be reached over stdio. */
export type Way = string | readonly string[];

/** What tests need of a client, whichever generation of the SDK it is. It answers what it is asked. */
export interface SdkClient {
  /** @returns the result as text */
  call(tool: string, onprogress?: (progress: number) => void): Promise<string>;
  tools(): Promise<string[]>;
  prompt(name: string): Promise<unknown>;
  read(uri: string): Promise<unknown>;
  /** From here on `heard` waits for a change of the list of tools. */
  listening(): Promise<{ readonly heard: Promise<unknown> }>;
  close(): Promise<void>;
}

/** Both generations, the second one in either era. */
export const SDK_CLIENTS: readonly (readonly [name: string, connect: (way: Way) => Promise<SdkClient>])[] = [
  ["SDK 1.x", first],
  ["SDK 2.x, with sessions", (way) => second(way, "legacy")],
  ["SDK 2.x, stateless", (way) => second(way, "auto")],
];

const CAPABILITIES = { sampling: {}, elicitation: { form: {} }, roots: {} };
const SAMPLE = { role: "assistant" as const, model: "m", content: { type: "text" as const, text: "Paris" } };
const NAME = { action: "accept" as const, content: { name: "Ada", step1: "Ada", color: "blue", ok: true } };
const ROOTS = { roots: [{ uri: "file:///somewhere", name: "somewhere" }] };

interface Started {
  readonly command: string;
  readonly args: string[];
  readonly env: Record<string, string>;
  readonly stderr: "ignore";
}

function stdio(args: readonly string[]): Started {
  const [command = "", ...main] = PROGRAM;
  const { PATH = "", HOME = "" } = process.env;
  return { command, args: [...main, ...args], env: { PATH, HOME }, stderr: "ignore" };
}

function transport1(way: Way): Http1 | Sse1 | Stdio1 {
  if (typeof way !== "string") return new Stdio1(stdio(way));
  return way.endsWith("/sse") ? new Sse1(new URL(way)) : new Http1(new URL(way));
}

async function first(way: Way): Promise<SdkClient> {
  const client = new Client1({ name: "one", version: "1" }, { capabilities: CAPABILITIES });
  client.setRequestHandler(CreateMessageRequestSchema, () => SAMPLE);
  client.setRequestHandler(ElicitRequestSchema, () => NAME);
  client.setRequestHandler(ListRootsRequestSchema, () => ROOTS);
  const transport = transport1(way);
  await client.connect(transport);
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
    close: async () => {
      if (transport instanceof Http1) await transport.terminateSession();
      await client.close();
    },
  };
}

async function second(way: Way, mode: "legacy" | "auto"): Promise<SdkClient> {
  const client = new Client2(
    { name: "two", version: "2" },
    { capabilities: CAPABILITIES, versionNegotiation: { mode } },
  );
  client.setRequestHandler("sampling/createMessage", () => SAMPLE);
  client.setRequestHandler("elicitation/create", () => NAME);
  client.setRequestHandler("roots/list", () => ROOTS);
  await client.connect(typeof way === "string" ? new Http2(new URL(way)) : new Stdio2(stdio(way)));
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
