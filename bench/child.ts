/**
 * A very light MCP server over stdio. It stands behind the minimal relay and behind the proxy, so it must never be what
 * a measurement measures: whatever one chunk of input asks for is answered by one write.
 *
 * Tools: `echo` (its text again), `big` (1 MB of text), `progress` (100 notifications, then the result),
 * `touch` (says that the list of tools changed), `sized` (as much text as its argument says, in bytes). BENCH_TOOLS adds
 * tools with a description and a schema as real ones have, up to that number.
 */

interface Incoming {
  id?: number | string;
  method?: string;
  params?: {
    protocolVersion?: string;
    name?: string;
    arguments?: { text?: string };
    _meta?: { progressToken?: number | string };
  };
}

const PROGRESS_STEPS = 100;

const property = { type: "string", description: "What a model reads to know what stands here, in one sentence." };
const tools: object[] = ["echo", "big", "progress", "touch", "sized"].map((name) => ({
  name,
  inputSchema: { type: "object" },
}));
for (let n = tools.length; n < Number(process.env["BENCH_TOOLS"] ?? 0); n++) {
  tools.push({
    name: `tool_${n}`,
    description: "Does one thing to one object and says what has become of it. ".repeat(4),
    inputSchema: {
      type: "object",
      properties: { path: property, mode: property, query: property },
      required: ["path"],
    },
  });
}

// Plain text with an escape at each line's end: the cheapest 1 MB for a relay that parses, so the hardest to beat.
const bigLine = "The quick brown fox jumps over the lazy dog, 0123456789.\\n";
/** Made once for each size: repeating costs more than relaying. */
const sized = new Map<number, string>();

function sizedText(bytes: number): string {
  let made = sized.get(bytes);
  if (made === undefined) sized.set(bytes, (made = bigLine.repeat(Math.ceil(bytes / bigLine.length))));
  return made;
}

const bigText = bigLine.repeat(Math.ceil((1 << 20) / bigLine.length));
const bigResult = `"result":{"content":[{"type":"text","text":"${bigText}"}]}}\n`;

function answer(id: number | string, result: unknown): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${JSON.stringify(result)}}\n`;
}

function text(value: string): unknown {
  return { content: [{ type: "text", text: value }] };
}

function progress(id: number | string, token: number | string | undefined): string {
  let out = "";
  for (let step = 1; token !== undefined && step <= PROGRESS_STEPS; step++) {
    out += `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${JSON.stringify(token)},"progress":${step},"total":${PROGRESS_STEPS}}}\n`;
  }
  return out + answer(id, text("done"));
}

function callTool(id: number | string, params: NonNullable<Incoming["params"]>): string {
  switch (params.name) {
    case "echo":
      return answer(id, text(params.arguments?.text ?? ""));
    case "big":
      return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},${bigResult}`;
    case "sized": {
      const content = `[{"type":"text","text":"${sizedText(Number(params.arguments?.text))}"}]`;
      return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":${content}}}\n`;
    }
    case "progress":
      return progress(id, params._meta?.progressToken);
    case "touch":
      return `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n${answer(id, text("touched"))}`;
    default:
      return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":{"code":-32602,"message":"Unknown tool"}}\n`;
  }
}

function respond(line: string): string {
  const { id, method, params = {} } = JSON.parse(line) as Incoming;
  if (id === undefined || method === undefined) return "";
  switch (method) {
    case "tools/call":
      return callTool(id, params);
    case "tools/list":
      return answer(id, { tools });
    case "ping":
      return answer(id, {});
    case "initialize":
      return answer(id, {
        protocolVersion: params.protocolVersion ?? "2025-11-25",
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: "bench-child", version: "1.0.0" },
      });
    default:
      return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":{"code":-32601,"message":"Method not found"}}\n`;
  }
}

const output = Bun.stdout.writer();
const decoder = new TextDecoder();
let rest = "";
for await (const chunk of Bun.stdin.stream()) {
  const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
  rest = lines.pop() ?? "";
  let out = "";
  for (const line of lines) if (line !== "") out += respond(line);
  if (out === "") continue;
  void output.write(out);
  await output.flush();
}

export {};
