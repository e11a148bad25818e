/**
 * The first reference: what this runtime can do at all. A bare `Bun.serve` that parses a JSON POST and answers as an MCP
 * server's echo tool would, with nothing behind it. GET opens an event stream, which is the floor of what an open
 * session can cost; the tool `touch` writes a notification to all of them.
 *
 * Prints its port on the first line; ends when its stdin does.
 */

interface Call {
  id?: number | string;
  params?: { name?: string; arguments?: { text?: string } };
}

const encoder = new TextEncoder();
const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();

function openStream(): Response {
  let own: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      own = controller;
      streams.add(controller);
      controller.enqueue(encoder.encode(": open\n\n"));
    },
    cancel() {
      streams.delete(own);
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

function touchAll(): void {
  const event = encoder.encode('data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n');
  for (const stream of streams) stream.enqueue(event);
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  async fetch(request) {
    if (request.method === "GET") return request.url.endsWith("/livez") ? new Response("ok") : openStream();
    const { id, params } = (await request.json()) as Call;
    if (params?.name === "touch") touchAll();
    const text = params?.arguments?.text ?? "";
    return Response.json({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text }] } });
  },
});

console.log(server.port);
process.stdin.on("end", () => process.exit(0)).resume();

export {};
