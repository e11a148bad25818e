/**
 * The second reference: the least a relay must do. One child, one counter for ids, one Map; no session, no
 * authorization, no filter, no error handling. Written as one would write it by hand, but with the one trick that
 * matters most here: one write to the child per turn of the event loop.
 *
 * Takes the child's script as its argument. Prints its port on the first line; ends when its stdin does.
 */

interface Message {
  id?: number | string;
  params?: { progressToken?: number | string; _meta?: { progressToken?: number | string } };
}

interface Waiting {
  id: number | string;
  token: number | string | undefined;
  resolve: (response: Response) => void;
  stream: ReadableStreamDefaultController<string> | undefined;
}

const child = Bun.spawn([process.execPath, process.argv[2] ?? ""], {
  stdin: "pipe",
  stdout: "pipe",
  stderr: "inherit",
});
const waiting = new Map<number, Waiting>();
let nextId = 1;
let outgoing = "";

function flush(): void {
  void child.stdin.write(outgoing);
  outgoing = "";
  void child.stdin.flush();
}

function send(message: Message): void {
  if (outgoing === "") setImmediate(flush);
  outgoing += JSON.stringify(message) + "\n";
}

function openStream(call: Waiting): ReadableStreamDefaultController<string> {
  const body = new ReadableStream<string>({ start: (controller) => void (call.stream = controller) });
  call.resolve(new Response(body, { headers: { "content-type": "text/event-stream" } }));
  return call.stream as unknown as ReadableStreamDefaultController<string>;
}

function receive(message: Message): void {
  const progressToken = message.params?.progressToken;
  const id = (progressToken ?? message.id) as number;
  const call = waiting.get(id);
  if (call === undefined) return;
  if (progressToken !== undefined) {
    message.params!.progressToken = call.token!;
    (call.stream ?? openStream(call)).enqueue(`data: ${JSON.stringify(message)}\n\n`);
    return;
  }
  waiting.delete(id);
  message.id = call.id;
  if (call.stream === undefined) return call.resolve(Response.json(message));
  call.stream.enqueue(`data: ${JSON.stringify(message)}\n\n`);
  call.stream.close();
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    if (request.method === "GET") return new Response("ok");
    const message = (await request.json()) as Message;
    const { id } = message;
    if (id === undefined) return new Response(null, { status: 202 });
    return new Promise<Response>((resolve) => {
      const meta = message.params?._meta;
      message.id = nextId++;
      waiting.set(message.id, { id, token: meta?.progressToken, resolve, stream: undefined });
      if (meta?.progressToken !== undefined) meta.progressToken = message.id;
      send(message);
    });
  },
});

console.log(server.port);
process.stdin.on("end", () => process.exit(0)).resume();

const decoder = new TextDecoder();
let rest = "";
for await (const chunk of child.stdout) {
  const text = decoder.decode(chunk, { stream: true });
  const end = text.lastIndexOf("\n");
  if (end < 0) {
    rest += text;
    continue;
  }
  for (const line of (rest + text.slice(0, end)).split("\n")) receive(JSON.parse(line) as Message);
  rest = text.slice(end + 1);
}

export {};
