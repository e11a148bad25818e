// A server of its own process, so that what it keeps can be counted. Says its port, then what it is asked.
import { heapStats } from "bun:jsc";
import { Answer } from "../../src/http1/answer.ts";
import { TEXT, TurnedClock, bodyOf, serve } from "./server.ts";

const clock = new TurnedClock();
const streams = new Set<object>();
const { port } = serve(async (request) => {
  if (request.url.endsWith("/stream")) {
    await bodyOf(request);
    const body = {
      open: () => {
        streams.add(body);
        return "begin";
      },
      drained() {},
      left: () => void streams.delete(body),
    };
    return new Answer(200, TEXT, body);
  }
  if (request.url.endsWith("/pass")) {
    clock.turn(5_000);
    return new Answer(200, TEXT, "passed");
  }
  if (request.url.endsWith("/count")) {
    Bun.gc(true);
    const { heapSize, extraMemorySize, objectTypeCounts } = heapStats();
    const buffers = process.memoryUsage().arrayBuffers;
    return new Answer(
      200,
      TEXT,
      JSON.stringify({ bytes: heapSize + extraMemorySize + buffers, counts: objectTypeCounts }),
    );
  }
  return new Answer(200, TEXT, String((await bodyOf(request)).length));
}, clock);
process.stdout.write(`${port}\n`);
