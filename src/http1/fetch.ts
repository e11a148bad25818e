import { Answer, AnswerHeaders } from "./answer.ts";
import type { Incoming } from "./incoming.ts";

/** Said by the connection itself. */
const FRAMING = new Set(["connection", "content-length", "date", "keep-alive", "transfer-encoding"]);

/** A request in the form of the Fetch standard, for what is built on that. */
export function toRequest(incoming: Incoming): Request {
  const { method, url, body } = incoming;
  const headers = new Headers([...incoming.headers] as [string, string][]);
  const bare = method === "GET" || method === "HEAD" || incoming.declaredLength === 0;
  const init = bare ? { method, headers } : { method, headers, body: body.whole ?? streamOf(incoming) };
  const request = new Request(url, init);
  if (request.method === method) return request;
  // Bun 1.4 takes methods that it does not know for GET, and would have them answered as that. This one nobody serves.
  return new Request(url, { method: "TRACE", headers });
}

function streamOf({ body }: Incoming): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      async pull(controller) {
        const part = await body.next();
        if (part === undefined) controller.close();
        else controller.enqueue(part);
      },
    },
    // Nothing before somebody asks: who was not told to go on need not send what nobody wants.
    { highWaterMark: 0 },
  );
}

/** An answer that was given in the form of the Fetch standard. Its body is read to its end first. */
export async function toAnswer(response: Response): Promise<Answer> {
  const fields = [...response.headers].filter(([name]) => !FRAMING.has(name));
  const closes = response.headers.get("connection")?.toLowerCase() === "close";
  const body = response.body === null ? "" : new Uint8Array(await response.arrayBuffer());
  return new Answer(response.status, new AnswerHeaders(fields), body, { closes });
}
