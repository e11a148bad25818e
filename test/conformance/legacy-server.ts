#!/usr/bin/env bun
/**
 * Reference server of the legacy era (SDK 1.x): the same server object on stdio (default) or Streamable HTTP.
 *
 *   bun test/conformance/legacy-server.ts [--http PORT] [--exit-with-stdin]
 *
 * With `--http` its URL is the first line on stdout; port 0 takes a free one. `--exit-with-stdin` ends it when its
 * stdin closes, so that it cannot outlive whoever started it.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import type { EventStore } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import type {
  CallToolResult,
  ElicitRequestFormParams,
  JSONRPCMessage,
  LoggingLevel,
  ServerNotification,
  ServerRequest,
} from "@modelcontextprotocol/sdk/types.js";
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  CreateMessageResultSchema,
  ElicitResultSchema,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListRootsResultSchema,
  ListToolsRequestSchema,
  LoggingLevelSchema,
  McpError,
  ReadResourceRequestSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import {
  ASKING_PROMPT,
  CONTACT_FORM,
  DEFAULTS_FORM,
  ENUMS_FORM,
  HEADER_SCHEMA,
  NO_ARGUMENTS,
  PROMPTS,
  RESOURCES,
  RESOURCE_TEMPLATES,
  RICH_SCHEMA,
  STATIC_TOOLS,
  form,
  readResource,
  stringArgument,
  text,
} from "./fixtures.ts";
import type { ObjectSchema } from "./fixtures.ts";
import { exitWithStdin, isLocal, serverArguments } from "./serving.ts";

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** A code of our own for the legacy era; the modern one uses -32602. */
const RESOURCE_NOT_FOUND = -32002;
/** Long enough for separate events, short enough for a run of the suite. */
const STEP_MS = 50;
/** How soon a client that was cut off should come back. */
const RETRY_MS = 200;

interface Session {
  readonly server: Server;
  level: LoggingLevel;
}

interface Tool {
  readonly description: string;
  readonly inputSchema: ObjectSchema;
  run(session: Session, args: Readonly<Record<string, unknown>>, extra: Extra): Promise<CallToolResult>;
}

const TOOLS: ReadonlyMap<string, Tool> = new Map<string, Tool>([
  ...[...STATIC_TOOLS].map(([name, { description, content, isError }]): [string, Tool] => [
    name,
    { description, inputSchema: NO_ARGUMENTS, run: async () => ({ content, ...(isError && { isError }) }) },
  ]),
  [
    "test_tool_with_logging",
    { description: "Logs three times at info while it runs", inputSchema: NO_ARGUMENTS, run: logThrice },
  ],
  ["test_logging_tool", { description: "The same again", inputSchema: NO_ARGUMENTS, run: logThrice }],
  [
    "test_tool_with_progress",
    { description: "Reports progress three times while it runs", inputSchema: NO_ARGUMENTS, run: reportProgress },
  ],
  [
    "test_sampling",
    { description: "Asks the client's model", inputSchema: stringArgument("prompt", "What to ask"), run: askModel },
  ],
  [
    "test_elicitation",
    {
      description: "Asks the user for a name and an address",
      inputSchema: stringArgument("message", "What to show"),
      run: (session, args, extra) => askUser(session, extra, "User response", String(args.message), CONTACT_FORM),
    },
  ],
  [
    "test_elicitation_sep1034_defaults",
    {
      description: "Asks the user with a default for each primitive type",
      inputSchema: NO_ARGUMENTS,
      run: (session, _args, extra) => askUser(session, extra, "Elicitation completed", "Please review", DEFAULTS_FORM),
    },
  ],
  [
    "test_elicitation_sep1330_enums",
    {
      description: "Asks the user with each form of an enumeration",
      inputSchema: NO_ARGUMENTS,
      run: (session, _args, extra) => askUser(session, extra, "Elicitation completed", "Please choose", ENUMS_FORM),
    },
  ],
  ["test_missing_capability", asking("Needs sampling", askCapital)],
  ["test_streaming_elicitation", asking("Asks the user", askName)],
  ["test_input_required_result_elicitation", asking("Asks the user", askName)],
  ["test_input_required_result_sampling", asking("Asks the client's model", askCapital)],
  ["test_input_required_result_list_roots", asking("Asks for roots", askRoots)],
  ["test_input_required_result_request_state", asking("Asks to confirm", confirm)],
  ["test_input_required_result_tampered_state", asking("Asks to confirm", confirm)],
  [
    "test_input_required_result_multiple_inputs",
    asking("Asks three things at once", async (session, extra) => {
      const all = [askName(session, extra), askCapital(session, extra), askRoots(session, extra)];
      return { content: (await Promise.all(all)).flatMap(({ content }) => content) };
    }),
  ],
  [
    "test_input_required_result_multi_round",
    asking("Asks twice", async (session, extra) => {
      await askUser(session, extra, "Step 1", "Step 1: What is your name?", form("name"));
      return await askUser(session, extra, "Step 2", "Step 2: What is your favorite color?", form("color"));
    }),
  ],
  [
    "test_input_required_result_capabilities",
    asking("Asks only what the client can answer", async (session, extra) => {
      const { sampling, elicitation } = session.server.getClientCapabilities() ?? {};
      const asked = [...(sampling ? [askCapital] : []), ...(elicitation ? [askName] : [])];
      return {
        content: (await Promise.all(asked.map((one) => one(session, extra)))).flatMap(({ content }) => content),
      };
    }),
  ],
  [
    "test_trigger_tool_change",
    asking("Says that the tools have changed", async ({ server }) => {
      await server.sendToolListChanged();
      return { content: [text("done")] };
    }),
  ],
  [
    "test_trigger_prompt_change",
    asking("Says that the prompts have changed", async ({ server }) => {
      await server.sendPromptListChanged();
      return { content: [text("done")] };
    }),
  ],
  [
    "test_header_parameter",
    {
      description: "Has a parameter that is mirrored in a header",
      inputSchema: HEADER_SCHEMA,
      run: async (_session, args) => ({ content: [text(`region: ${String(args.region)}`)] }),
    },
  ],
  [
    "test_reconnection",
    { description: "Hangs up in the middle and answers later", inputSchema: NO_ARGUMENTS, run: hangUp },
  ],
  [
    "json_schema_2020_12_tool",
    {
      description: "Has a schema with the keywords of 2020-12",
      inputSchema: RICH_SCHEMA,
      run: async (_session, args) => ({ content: [text(JSON.stringify(args))] }),
    },
  ],
]);

/** A tool without arguments that needs its client. */
function asking(description: string, ask: (session: Session, extra: Extra) => Promise<CallToolResult>): Tool {
  return { description, inputSchema: NO_ARGUMENTS, run: (session, _args, extra) => ask(session, extra) };
}

async function logThrice(session: Session, _args: unknown, extra: Extra): Promise<CallToolResult> {
  const levels = LoggingLevelSchema.options;
  const log = async (data: string): Promise<void> => {
    if (levels.indexOf("info") < levels.indexOf(session.level)) return;
    const params = { level: "info" as const, logger: "reference", data };
    await extra.sendNotification({ method: "notifications/message", params });
  };
  await log("Tool execution started");
  await pause(STEP_MS);
  await log("Tool processing data");
  await pause(STEP_MS);
  await log("Tool execution completed");
  return { content: [text("Tool with logging executed successfully")] };
}

async function reportProgress(_session: Session, _args: unknown, extra: Extra): Promise<CallToolResult> {
  const progressToken = extra._meta?.progressToken;
  for (const progress of [0, 50, 100]) {
    if (progress > 0) await pause(STEP_MS);
    if (progressToken === undefined) continue;
    const params = { progressToken, progress, total: 100, message: `Completed ${progress} of 100` };
    await extra.sendNotification({ method: "notifications/progress", params });
  }
  return { content: [text("Tool with progress executed successfully")] };
}

function askName(session: Session, extra: Extra): Promise<CallToolResult> {
  return askUser(session, extra, "Hello", "What is your name?", form("name"));
}

function askCapital(session: Session, extra: Extra): Promise<CallToolResult> {
  return askModel(session, { prompt: "What is the capital of France?" }, extra);
}

function confirm(session: Session, extra: Extra): Promise<CallToolResult> {
  return askUser(session, extra, "state-ok", "Please confirm", form("ok", "yes or no"));
}

async function askRoots(session: Session, extra: Extra): Promise<CallToolResult> {
  if (!session.server.getClientCapabilities()?.roots) return refuse("roots");
  const { roots } = await extra.sendRequest({ method: "roots/list" }, ListRootsResultSchema);
  return { content: [text(`Roots: ${JSON.stringify(roots)}`)] };
}

async function askModel(
  session: Session,
  args: Readonly<Record<string, unknown>>,
  extra: Extra,
): Promise<CallToolResult> {
  if (!session.server.getClientCapabilities()?.sampling) return refuse("sampling");
  const messages = [{ role: "user" as const, content: { type: "text" as const, text: String(args.prompt) } }];
  const request = { method: "sampling/createMessage" as const, params: { messages, maxTokens: 100 } };
  const { content } = await extra.sendRequest(request, CreateMessageResultSchema);
  return {
    content: [text(`LLM response: ${content.type === "text" ? content.text : `a part of type ${content.type}`}`)],
  };
}

async function askUser(
  session: Session,
  extra: Extra,
  label: string,
  message: string,
  requestedSchema: ElicitRequestFormParams["requestedSchema"],
): Promise<CallToolResult> {
  if (!session.server.getClientCapabilities()?.elicitation) return refuse("elicitation");
  const request = { method: "elicitation/create" as const, params: { message, requestedSchema } };
  const answer = await extra.sendRequest(request, ElicitResultSchema);
  return { content: [text(`${label}: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`)] };
}

/** Over stdio there is no stream of one call to close, so the call merely takes a little longer. */
async function hangUp(_session: Session, _args: unknown, extra: Extra): Promise<CallToolResult> {
  extra.closeSSEStream?.();
  await pause(STEP_MS);
  return { content: [text("Reconnection test completed")] };
}

function refuse(capability: string): CallToolResult {
  return { content: [text(`The client did not declare the capability "${capability}"`)], isError: true };
}

function reference(): Server {
  const capabilities = {
    tools: { listChanged: true },
    resources: { subscribe: true },
    prompts: { listChanged: true },
    logging: {},
    completions: {},
  };
  const server = new Server({ name: "reference-legacy", version: "1.0.0" }, { capabilities });
  const session: Session = { server, level: "debug" };
  const watched = new Set<string>();

  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [...TOOLS].map(([name, { description, inputSchema }]) => ({ name, description, inputSchema })),
  }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) => {
    const tool = TOOLS.get(params.name);
    if (tool === undefined) throw new McpError(ErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
    return tool.run(session, params.arguments ?? {}, extra);
  });
  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: RESOURCES }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: RESOURCE_TEMPLATES }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => {
    const contents = readResource(params.uri);
    if (contents === undefined) throw new McpError(RESOURCE_NOT_FOUND, "Resource not found", { uri: params.uri });
    return { contents: [contents] };
  });
  server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    watched.add(params.uri);
    return {};
  });
  server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    watched.delete(params.uri);
    return {};
  });
  server.setRequestHandler(ListPromptsRequestSchema, () => ({
    prompts: [
      ...PROMPTS.map(({ name, description, arguments: args }) => ({ name, description, arguments: args })),
      ASKING_PROMPT,
    ],
  }));
  server.setRequestHandler(GetPromptRequestSchema, async ({ params }, extra) => {
    if (params.name === ASKING_PROMPT.name) {
      const message = "What context should the prompt use?";
      const { content } = await askUser(session, extra, "Context", message, form("context"));
      return { messages: content.map((part) => ({ role: "user" as const, content: part })) };
    }
    const prompt = PROMPTS.find(({ name }) => name === params.name);
    if (prompt === undefined) throw new McpError(ErrorCode.InvalidParams, `Unknown prompt: ${params.name}`);
    return { messages: prompt.messages(params.arguments ?? {}) };
  });
  server.setRequestHandler(CompleteRequestSchema, ({ params }) => {
    const values = ["paris", "park", "party", "test"].filter((value) => value.startsWith(params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
  server.setRequestHandler(SetLevelRequestSchema, ({ params }) => {
    session.level = params.level;
    return {};
  });
  return server;
}

/** Everything one session ever sent, in order; a session of a test is short. */
class Events implements EventStore {
  readonly #sent: { streamId: string; message: JSONRPCMessage }[] = [];

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return String(this.#sent.push({ streamId, message }) - 1);
  }

  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    return this.#sent[Number(eventId)]?.streamId;
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const last = Number(lastEventId);
    const streamId = this.#sent[last]?.streamId ?? "";
    for (const [index, event] of this.#sent.entries()) {
      if (index > last && event.streamId === streamId) await send(String(index), event.message);
    }
    return streamId;
  }
}

function serveHttp(port: number): string {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();

  async function open(request: Request): Promise<Response> {
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: new Events(),
      retryInterval: RETRY_MS,
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await reference().connect(transport);
    const response = await transport.handleRequest(request);
    if (transport.sessionId === undefined) await transport.close();
    return response;
  }

  const http = Bun.serve({
    hostname: "127.0.0.1",
    port,
    idleTimeout: 0,
    async fetch(request) {
      // A page whose name was rebound to this address must not reach a server that asks for no credential.
      if (!isLocal(request)) return Response.json({ error: "Host or Origin is not local" }, { status: 403 });
      if (new URL(request.url).pathname !== "/mcp") return new Response(null, { status: 404 });
      const id = request.headers.get("mcp-session-id");
      if (id === null) return await open(request);
      const transport = sessions.get(id);
      return transport === undefined ? new Response(null, { status: 404 }) : await transport.handleRequest(request);
    },
  });
  return new URL("/mcp", http.url).href;
}

const options = serverArguments(process.argv.slice(2));
if (options.exitWithStdin) exitWithStdin();
if (options.port === undefined) await reference().connect(new StdioServerTransport());
else console.log(serveHttp(options.port));
