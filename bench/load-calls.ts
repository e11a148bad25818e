import { callBody, closeSession, type Destination, fault, openSession, postHead, type Tool } from "./client.ts";
import { HttpConnection } from "./http-connection.ts";
import { cpuSeconds } from "./proc.ts";
import { percentile } from "./statistics.ts";

export interface CallsJob {
  kind: "calls";
  destination: Destination;
  /** The process whose CPU time is read at both ends of the measured window. */
  pid: number;
  tool: Tool;
  connections: number;
  /** For the tool `sized`: how long the text of the result is. */
  bytes?: number;
  warmSeconds: number;
  /** Calls before the measured window, at least: on a busy machine no time is long enough to have a program compiled. */
  warmCalls?: number;
  seconds: number;
}

export interface CallsResult {
  calls: number;
  seconds: number;
  cpu: number | undefined;
}

export interface LatencyJob {
  kind: "latency";
  destination: Destination;
  warmCalls: number;
  calls: number;
}

/** Milliseconds from the request's first byte to the answer's last. */
export interface LatencyResult {
  median: number;
  p99: number;
}

// Seven digits always, so that every request has the same length.
const FIRST_ID = 1_000_000;

async function caller(destination: Destination, tool: Tool, text?: string) {
  const connection = await HttpConnection.open(destination.port);
  const session = await openSession(connection, destination);
  const prefix = `${postHead(destination, session)}${callBody(tool, FIRST_ID, text).length}\r\n\r\n`;
  const leave = async (): Promise<void> => {
    await closeSession(connection, destination, session);
    connection.close();
  };
  return { connection, prefix, leave };
}

/**
 * Keeps `connections` connections busy, each with a session of its own and one call at a time.
 *
 * @throws Error at the first wrong answer: a number from a broken server says nothing.
 */
export async function runCalls(job: CallsJob): Promise<CallsResult> {
  const text = job.bytes === undefined ? undefined : String(job.bytes);
  const open = () => caller(job.destination, job.tool, text);
  const callers = await Promise.all(Array.from({ length: job.connections }, open));
  let calls = 0;
  let nextId = FIRST_ID;
  let running = true;
  const ended = callers.map(
    ({ connection, prefix }) =>
      new Promise<void>((resolve, reject) => {
        let id = 0;
        const call = (): void => {
          if (!running) return resolve();
          id = nextId++;
          connection.send(prefix + callBody(job.tool, id, text));
        };
        connection.onFailure = reject;
        connection.onAnswer = (answer) => {
          const wrong = fault(answer, job.tool, id, leastBytes(job));
          if (wrong !== undefined) return reject(new Error(wrong));
          calls++;
          call();
        };
        call();
      }),
  );
  const failed = Promise.all(ended);
  try {
    await Promise.race([warm(job, () => calls), failed]);
    const before = { calls, cpu: cpuSeconds(job.pid), at: performance.now() };
    await Promise.race([Bun.sleep(job.seconds * 1000), failed]);
    const after = { calls, cpu: cpuSeconds(job.pid), at: performance.now() };
    running = false;
    await failed;
    const cpu = before.cpu === undefined || after.cpu === undefined ? undefined : after.cpu - before.cpu;
    return { calls: after.calls - before.calls, seconds: (after.at - before.at) / 1000, cpu };
  } finally {
    running = false;
    await Promise.all(callers.map(({ leave }) => leave()));
  }
}

const WARM_LIMIT_MS = 8_000;

async function warm({ warmSeconds, warmCalls = 0 }: CallsJob, calls: () => number): Promise<void> {
  const limit = performance.now() + WARM_LIMIT_MS;
  await Bun.sleep(warmSeconds * 1000);
  while (calls() < warmCalls && performance.now() < limit) await Bun.sleep(50);
}

/** Below that an answer cannot be whole. */
function leastBytes({ tool, bytes }: CallsJob): number {
  if (tool === "list") return 100;
  return bytes ?? 1_000_000;
}

/** One client that sends its next call when it has the answer to the last. */
export async function runLatency(job: LatencyJob): Promise<LatencyResult> {
  const { connection, prefix, leave } = await caller(job.destination, "echo");
  const samples: number[] = [];
  try {
    for (let count = 0; count < job.warmCalls + job.calls; count++) {
      const id = FIRST_ID + count;
      const request = prefix + callBody("echo", id);
      const start = performance.now();
      const answer = await connection.request(request);
      const took = performance.now() - start;
      const wrong = fault(answer, "echo", id);
      if (wrong !== undefined) throw new Error(wrong);
      if (count >= job.warmCalls) samples.push(took);
    }
  } finally {
    await leave();
  }
  return { median: percentile(samples, 0.5), p99: percentile(samples, 0.99) };
}
