#!/usr/bin/env bun
/**
 * Reference server of the modern era (SDK 2.x), which knows nothing of the legacy one: on stdio (default) or HTTP.
 *
 *   bun test/conformance/modern-server.ts [--http PORT] [--exit-with-stdin]
 *
 * With `--http` its URL is the first line on stdout; port 0 takes a free one. `--exit-with-stdin` ends it when its
 * stdin closes, so that it cannot outlive whoever started it.
 */
import { setTimeout as pause } from "node:timers/promises";
import type {
  CallToolResult,
  ElicitRequestFormParams,
  InputRequiredResult,
  RequestStateCodec,
  ServerContext,
} from "@modelcontextprotocol/server";
import {
  CLIENT_CAPABILITIES_META_KEY,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  createMcpHandler,
  createRequestStateCodec,
  fromJsonSchema,
  inputRequired,
} from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
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

/** Long enough for separate events, short enough for a run of the suite. */
const STEP_MS = 50;

type Questions = NonNullable<InputRequiredResult["inputRequests"]>;
type Arguments = Readonly<Record<string, unknown>>;
type Answer = CallToolResult | InputRequiredResult;

interface Tool {
  readonly description: string;
  readonly inputSchema?: ObjectSchema;
  run(args: Arguments, ctx: ServerContext): Answer | Promise<Answer>;
}

/** Seals which of several rounds of questions was asked. */
type States = RequestStateCodec<{ round: number }>;

/** How listeners are told; it depends on the transport. */
interface Changed {
  readonly tools: () => void | Promise<void>;
  readonly prompts: () => void | Promise<void>;
}

function question(message: string, requestedSchema: ElicitRequestFormParams["requestedSchema"]): Questions[string] {
  return inputRequired.elicit({ message, requestedSchema });
}

function prompt(value: string): Questions[string] {
  const messages = [{ role: "user" as const, content: { type: "text" as const, text: value } }];
  return inputRequired.createMessage({ messages, maxTokens: 100 });
}

const NAME: Questions = { user_name: question("What is your name?", form("name")) };
const CAPITAL: Questions = { capital_question: prompt("What is the capital of France?") };
const ROOTS: Questions = { client_roots: inputRequired.listRoots() };
const CONFIRM: Questions = { confirm: question("Please confirm", form("ok", "yes or no")) };

/** @returns the answers once all are there; until then what to tell the client. */
function answers(ctx: ServerContext, questions: Questions): Record<string, unknown> | undefined {
  const given = ctx.mcpReq.inputResponses ?? {};
  return Object.keys(questions).every((key) => given[key] !== undefined) ? given : undefined;
}

function say(value: string): CallToolResult {
  return { content: [text(value)] };
}

function ask(questions: Questions, label: string): Tool["run"] {
  return (_args, ctx) => {
    const given = answers(ctx, questions);
    return given === undefined
      ? inputRequired({ inputRequests: questions })
      : say(`${label}: ${JSON.stringify(given)}`);
  };
}

/** Asks `rounds[0]`, then `rounds[1]`, and so on; the sealed state says which one was asked. */
function askInRounds(states: States, rounds: readonly Questions[]): Tool["run"] {
  return async (_args, ctx) => {
    const asked = ctx.mcpReq.requestState<{ round: number }>()?.round;
    const done = asked !== undefined && answers(ctx, rounds[asked] ?? {}) !== undefined;
    const round = asked === undefined ? 0 : done ? asked + 1 : asked;
    const questions = rounds[round];
    if (questions === undefined) return say("state-ok");
    return inputRequired({ inputRequests: questions, requestState: await states.mint({ round }) });
  };
}

function fill(label: string, requestedSchema: ElicitRequestFormParams["requestedSchema"]): Tool["run"] {
  return (args, ctx) => {
    const message = typeof args.message === "string" ? args.message : "Please fill in";
    return ask({ answer: question(message, requestedSchema) }, label)(args, ctx);
  };
}

async function logThrice(_args: Arguments, ctx: ServerContext): Promise<CallToolResult> {
  await ctx.mcpReq.log("info", "Tool execution started", "reference");
  await pause(STEP_MS);
  await ctx.mcpReq.log("info", "Tool processing data", "reference");
  await pause(STEP_MS);
  await ctx.mcpReq.log("info", "Tool execution completed", "reference");
  return say("Tool with logging executed successfully");
}

async function reportProgress(_args: Arguments, ctx: ServerContext): Promise<CallToolResult> {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  for (const progress of [0, 50, 100]) {
    if (progress > 0) await pause(STEP_MS);
    if (progressToken === undefined) continue;
    const params = { progressToken, progress, total: 100, message: `Completed ${progress} of 100` };
    await ctx.mcpReq.notify({ method: "notifications/progress", params });
  }
  return say("Tool with progress executed successfully");
}

function askWithinCapabilities(args: Arguments, ctx: ServerContext): Answer | Promise<Answer> {
  const envelope: Readonly<Record<string, unknown>> = ctx.mcpReq.envelope ?? {};
  const declared = Object.keys(envelope[CLIENT_CAPABILITIES_META_KEY] ?? {});
  const questions = { ...(declared.includes("sampling") && CAPITAL), ...(declared.includes("elicitation") && NAME) };
  return Object.keys(questions).length === 0 ? say("Nothing can be asked") : ask(questions, "Answers")(args, ctx);
}

function toolsOf(states: States, changed: Changed): Record<string, Tool> {
  return {
    test_tool_with_logging: { description: "Logs three times at info while it runs", run: logThrice },
    test_logging_tool: { description: "Logs only where a level was asked for", run: logThrice },
    test_tool_with_progress: { description: "Reports progress three times while it runs", run: reportProgress },
    test_sampling: {
      description: "Asks the client's model",
      inputSchema: stringArgument("prompt", "What to ask"),
      run: (args, ctx) => ask({ answer: prompt(String(args.prompt)) }, "LLM response")(args, ctx),
    },
    test_elicitation: {
      description: "Asks the user for a name and an address",
      inputSchema: stringArgument("message", "What to show"),
      run: fill("User response", CONTACT_FORM),
    },
    test_elicitation_sep1034_defaults: {
      description: "Asks the user with a default for each primitive type",
      run: fill("Elicitation completed", DEFAULTS_FORM),
    },
    test_elicitation_sep1330_enums: {
      description: "Asks the user with each form of an enumeration",
      run: fill("Elicitation completed", ENUMS_FORM),
    },
    test_missing_capability: { description: "Needs sampling", run: ask(CAPITAL, "Answer") },
    test_streaming_elicitation: { description: "Asks the user, never by a request", run: ask(NAME, "Hello") },
    test_input_required_result_elicitation: { description: "Asks the user", run: ask(NAME, "Hello") },
    test_input_required_result_sampling: { description: "Asks the client's model", run: ask(CAPITAL, "Answer") },
    test_input_required_result_list_roots: { description: "Asks for roots", run: ask(ROOTS, "Roots") },
    test_input_required_result_request_state: {
      description: "Asks with a state",
      run: askInRounds(states, [CONFIRM]),
    },
    test_input_required_result_tampered_state: {
      description: "Asks with a state that cannot be forged",
      run: askInRounds(states, [CONFIRM]),
    },
    test_input_required_result_multiple_inputs: {
      description: "Asks three things at once",
      run: askInRounds(states, [{ ...NAME, greeting: prompt("Generate a greeting"), ...ROOTS }]),
    },
    test_input_required_result_multi_round: {
      description: "Asks twice",
      run: askInRounds(states, [
        { step1: question("Step 1: What is your name?", form("name")) },
        { step2: question("Step 2: What is your favorite color?", form("color")) },
      ]),
    },
    test_input_required_result_capabilities: {
      description: "Asks only what the client can answer",
      run: askWithinCapabilities,
    },
    test_trigger_tool_change: {
      description: "Says that the tools have changed",
      run: async () => {
        await changed.tools();
        return say("done");
      },
    },
    test_trigger_prompt_change: {
      description: "Says that the prompts have changed",
      run: async () => {
        await changed.prompts();
        return say("done");
      },
    },
    test_header_parameter: {
      description: "Has a parameter that is mirrored in a header",
      inputSchema: HEADER_SCHEMA,
      run: (args) => say(`region: ${String(args.region)}`),
    },
    json_schema_2020_12_tool: {
      description: "Has a schema with the keywords of 2020-12",
      inputSchema: RICH_SCHEMA,
      run: (args) => say(JSON.stringify(args)),
    },
  };
}

const CONTEXT: Questions = { user_context: question("What context should the prompt use?", form("context")) };
function reference(states: States, changed: (server: McpServer) => Changed): McpServer {
  const capabilities = { tools: { listChanged: true }, logging: {} };
  const requestState = { verify: (state: string, ctx: ServerContext) => states.verify(state, ctx) };
  const mcp = new McpServer({ name: "reference-modern", version: "1.0.0" }, { capabilities, requestState });
  for (const [name, { description, content, isError }] of STATIC_TOOLS) {
    const inputSchema = fromJsonSchema(NO_ARGUMENTS);
    mcp.registerTool(name, { description, inputSchema }, () => ({ content, ...(isError && { isError }) }));
  }
  for (const [name, tool] of Object.entries(toolsOf(states, changed(mcp)))) {
    const inputSchema = fromJsonSchema<Arguments>(tool.inputSchema ?? NO_ARGUMENTS);
    mcp.registerTool(name, { description: tool.description, inputSchema }, (args, ctx) => tool.run(args, ctx));
  }

  const { server } = mcp;
  server.registerCapabilities({
    resources: { subscribe: true, listChanged: true },
    prompts: { listChanged: true },
    completions: {},
  });
  server.setRequestHandler("resources/list", () => ({ resources: RESOURCES }));
  server.setRequestHandler("resources/templates/list", () => ({ resourceTemplates: RESOURCE_TEMPLATES }));
  server.setRequestHandler("resources/read", ({ params }) => {
    const contents = readResource(params.uri);
    if (contents !== undefined) return { contents: [contents] };
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, "Resource not found", { uri: params.uri });
  });
  server.setRequestHandler("prompts/list", () => ({
    prompts: [
      ...PROMPTS.map(({ name, description, arguments: args }) => ({ name, description, arguments: args })),
      ASKING_PROMPT,
    ],
  }));
  server.setRequestHandler("prompts/get", ({ params }, ctx) => {
    if (params.name === ASKING_PROMPT.name) {
      const given = answers(ctx, CONTEXT);
      if (given === undefined) return inputRequired({ inputRequests: CONTEXT });
      return { messages: [{ role: "user", content: text(`Context: ${JSON.stringify(given.user_context)}`) }] };
    }
    const found = PROMPTS.find(({ name }) => name === params.name);
    if (found !== undefined) return { messages: found.messages(params.arguments ?? {}) };
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown prompt: ${params.name}`);
  });
  server.setRequestHandler("completion/complete", ({ params }) => {
    const values = ["paris", "park", "party", "test"].filter((value) => value.startsWith(params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
  return mcp;
}

const options = serverArguments(process.argv.slice(2));
if (options.exitWithStdin) exitWithStdin();
const states = createRequestStateCodec<{ round: number }>({ key: crypto.getRandomValues(new Uint8Array(32)) });

if (options.port === undefined) {
  const changed = ({ server }: McpServer): Changed => ({
    tools: () => server.sendToolListChanged(),
    prompts: () => server.sendPromptListChanged(),
  });
  serveStdio(() => reference(states, changed), { legacy: "reject" });
} else {
  const changed = (): Changed => ({
    tools: () => handler.notify.toolsChanged(),
    prompts: () => handler.notify.promptsChanged(),
  });
  const handler = createMcpHandler(() => reference(states, changed), { legacy: "reject" });
  const http = Bun.serve({
    hostname: "127.0.0.1",
    port: options.port,
    idleTimeout: 0,
    async fetch(request) {
      // A page whose name was rebound to this address must not reach a server that asks for no credential.
      if (!isLocal(request)) return Response.json({ error: "Host or Origin is not local" }, { status: 403 });
      return new URL(request.url).pathname === "/mcp"
        ? await handler.fetch(request)
        : new Response(null, { status: 404 });
    },
  });
  console.log(new URL("/mcp", http.url).href);
}
