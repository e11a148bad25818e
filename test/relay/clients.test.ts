import { expect, test } from "bun:test";
import {
  Client as Client2,
  SSEClientTransport as Sse2,
  StreamableHTTPClientTransport as Http2,
} from "@modelcontextprotocol/client";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport as Sse1 } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport as Http1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { Call } from "../fixtures/relay-server.ts";
import { overBoth } from "./relay-contract.ts";
import type { ContractOptions, Subject } from "./relay-contract.ts";

/** What the tests need of a client, whichever generation it is. */
interface AnyClient {
  call(tool: string, progress?: (n: number) => void, signal?: AbortSignal): Promise<unknown>;
  subscribe(uri: string): Promise<unknown>;
  tools(): Promise<string[]>;
  /** Undefined in the stateless era, which has none. */
  ping?(): Promise<unknown>;
  /** Speaks the stateless revision. */
  readonly modern: boolean;
  instructions(): string | undefined;
  close(): Promise<void>;
  /** Methods of the notifications that came. */
  readonly heard: string[];
}

const CAPABILITIES = { sampling: {}, elicitation: { form: {}, url: {} } };
const SAMPLE = { role: "assistant" as const, model: "m", content: { type: "text" as const, text: "sampled" } };
const ELICITED = { action: "accept" as const, content: { name: "given" } };

async function generation1(url: string): Promise<AnyClient> {
  const client = new Client1({ name: "one", version: "1" }, { capabilities: CAPABILITIES });
  const heard: string[] = [];
  client.setRequestHandler(CreateMessageRequestSchema, () => SAMPLE);
  client.setRequestHandler(ElicitRequestSchema, () => ELICITED);
  const note = (notification: { method: string }): void => void heard.push(notification.method);
  for (const schema of [
    ToolListChangedNotificationSchema,
    ResourceUpdatedNotificationSchema,
    LoggingMessageNotificationSchema,
  ]) {
    client.setNotificationHandler(schema, note);
  }
  const transport = url.endsWith("/sse") ? new Sse1(new URL(url)) : new Http1(new URL(url));
  await client.connect(transport);
  return {
    call: (tool, progress, signal) =>
      client.callTool({ name: tool, arguments: {} }, undefined, {
        ...(progress === undefined ? {} : { onprogress: (each) => progress(each.progress) }),
        ...(signal === undefined ? {} : { signal }),
      }),
    subscribe: (uri) => client.subscribeResource({ uri }),
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    ping: () => client.ping(),
    instructions: () => client.getInstructions(),
    close: async () => {
      if ("terminateSession" in transport) await transport.terminateSession();
      await client.close();
    },
    heard,
    modern: false,
  };
}

async function generation2(url: string, versionNegotiation: { mode: "legacy" | "auto" }): Promise<AnyClient> {
  const client = new Client2({ name: "two", version: "2" }, { capabilities: CAPABILITIES, versionNegotiation });
  const heard: string[] = [];
  client.setRequestHandler("sampling/createMessage", () => SAMPLE);
  client.setRequestHandler("elicitation/create", () => ELICITED);
  const note = (notification: { method: string }): void => void heard.push(notification.method);
  client.setNotificationHandler("notifications/tools/list_changed", note);
  client.setNotificationHandler("notifications/resources/updated", note);
  client.setNotificationHandler("notifications/message", note);
  const transport = url.endsWith("/sse") ? new Sse2(new URL(url)) : new Http2(new URL(url));
  await client.connect(transport);
  // HTTP+SSE is a transport of the first era only.
  const modern = versionNegotiation.mode === "auto" && !url.endsWith("/sse");
  expect(client.getNegotiatedProtocolVersion()).toBe(modern ? "2026-07-28" : "2025-11-25");
  return {
    call: (tool, progress, signal) =>
      client.callTool(
        { name: tool, arguments: {} },
        {
          ...(progress === undefined ? {} : { onprogress: (each: { progress: number }) => progress(each.progress) }),
          ...(signal === undefined ? {} : { signal }),
        },
      ),
    subscribe: (uri) =>
      modern
        ? client.listen({ toolsListChanged: true, resourceSubscriptions: [uri] })
        : client.subscribeResource({ uri }),
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    ...(modern ? {} : { ping: () => client.ping() }),
    instructions: () => client.getInstructions(),
    close: async () => {
      if ("terminateSession" in transport) await transport.terminateSession();
      await client.close();
    },
    heard,
    modern,
  };
}

const GENERATIONS: readonly [string, (url: string) => Promise<AnyClient>][] = [
  ["SDK 1.x", generation1],
  ["SDK 2.x, legacy", (url) => generation2(url, { mode: "legacy" })],
  ["SDK 2.x, negotiating", (url) => generation2(url, { mode: "auto" })],
];

/** Asks until it is there: what is said on another stream may come a moment later. */
async function eventually(what: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !what(); await Bun.sleep(5)) {
    if (Date.now() > deadline) throw new Error(`never: ${what.toString()}`);
  }
}

const done = (call: Call): void => call.result('{"content":[{"type":"text","text":"done"}]}');

const OPTIONS: ContractOptions = {
  prepare: (server) => {
    server.introduce = ({ message }) =>
      `{"protocolVersion":${JSON.stringify(message.params?.["protocolVersion"])},"capabilities":${server.capabilities.replace('"tools":{}', '"tools":{"listChanged":true}')},` +
      '"serverInfo":{"name":"scripted","version":"7"},"instructions":"be kind"}';
  },
};

overBoth(
  "clients as people have them",
  (subject) => {
    for (const [name, connect] of GENERATIONS) suite(subject, name, connect);
  },
  OPTIONS,
);

function suite(subject: () => Subject, name: string, connect: (url: string) => Promise<AnyClient>): void {
  test(`${name}: connects, lists, calls, pings and leaves`, async () => {
    const client = await connect(subject().url);
    expect(await client.tools()).toEqual(["echo"]);
    expect(client.instructions()).toBe("be kind");
    expect(await client.call("echo")).toHaveProperty("content");
    await client.ping?.();
    await client.close();
  });

  test(`${name}: sees progress in order, then the result`, async () => {
    const client = await connect(subject().url);
    const seen: number[] = [];
    const called = client.call("steps", (n) => seen.push(n));
    const call = await subject().server.call("steps");
    for (const n of [1, 2, 3]) call.progress(`"progress":${n},"total":3`);
    // Over HTTP+SSE the SDK takes an answer before the notifications that came in the same packet.
    if (subject().front === "sse") await eventually(() => seen.length === 3);
    done(call);
    expect(await called).toMatchObject({ content: [{ type: "text", text: "done" }] });
    expect(seen).toEqual([1, 2, 3]);
    await client.close();
  });

  test(`${name}: answers sampling and elicitation in the middle of its call`, async () => {
    const client = await connect(subject().url);
    const called = client.call("asks");
    const call = await subject().server.call("asks");
    const sampled = await call.ask("sampling/createMessage", '{"messages":[],"maxTokens":5}', '"s"');
    expect(sampled.message.result).toMatchObject(SAMPLE);
    const form = '{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}';
    const elicited = await call.ask("elicitation/create", `{"message":"who?","requestedSchema":${form}}`, "8");
    expect(elicited.message.result).toMatchObject(ELICITED);
    done(call);
    await called;
    await client.close();
  });

  test(`${name}: an abort reaches the server as a cancellation`, async () => {
    const client = await connect(subject().url);
    const abort = new AbortController();
    const called = client.call("slow", undefined, abort.signal);
    called.catch(() => undefined);
    const call = await subject().server.call("slow");
    abort.abort("enough");
    await call.cancelled();
    expect(called).rejects.toThrow();
    await client.close();
  });

  test(`${name}: hears of changed lists, resources and logs outside its calls`, async () => {
    const client = await connect(subject().url);
    await client.subscribe("a://seen");
    const called = client.call("find-peer");
    const call = await subject().server.call("find-peer");
    done(call);
    await called;
    const { peer } = call;
    peer.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
    peer.say('{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a://seen"}}');
    peer.say('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"x"}}');
    // In the stateless era a log line belongs to a request that asked for it.
    const wanted = [
      "notifications/tools/list_changed",
      "notifications/resources/updated",
      ...(client.modern ? [] : ["notifications/message"]),
    ];
    await eventually(() => client.heard.length >= wanted.length);
    expect(client.heard).toEqual(wanted);
    await client.close();
  });

  test(`${name}: a server's error has its code and data`, async () => {
    const client = await connect(subject().url);
    const called = client.call("fails");
    (await subject().server.call("fails")).error('{"code":-32077,"message":"own","data":{"n":1}}');
    const error = await called.then(
      () => undefined,
      (reason: unknown) => reason as { code: number; data: unknown },
    );
    // The stateless era has taken these codes for itself, and a server of the other era means something else by them.
    expect(error).toMatchObject({ code: client.modern ? -32603 : -32077, data: { n: 1 } });
    await client.close();
  });
}
