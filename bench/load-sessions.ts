import { callBody, type Destination, fault, openSession, postHead, streamRequest } from "./client.ts";
import { HttpConnection } from "./http-connection.ts";
import { residentKb } from "./proc.ts";

export interface SessionsJob {
  kind: "sessions";
  destination: Destination;
  pid: number;
  /** Sessions opened before memory is read the first time, so that code and pools are not counted. */
  warm: number;
  count: number;
  touches: number;
  settleMs: number;
}

export interface SessionsResult {
  kbPerSession: number | undefined;
  openedPerSecond: number;
  /** Milliseconds from sending `touch` until the last stream has its notification; one per touch. */
  reachedAllMs: number[];
  /** Why not every stream was told; what was measured before stays of use. */
  reachProblem?: string;
}

const OPENERS = 32;
const REACH_DEADLINE_MS = 15_000;
const NOTIFICATION = "list_changed";

interface StreamState {
  status: string;
  tail: string;
  seen: boolean;
  opened: () => void;
  failed: (error: Error) => void;
}

/** All the open streams, and how many of them have seen the notification since the last touch. */
class Streams {
  readonly #sockets: Bun.Socket<StreamState>[] = [];
  #reached = 0;
  #allReached = (): void => {};
  #lost: Error | undefined;

  async open(destination: Destination, request: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = await Bun.connect<StreamState>({
      hostname: "127.0.0.1",
      port: destination.port,
      data: { status: "", tail: "", seen: false, opened: resolve, failed: reject },
      socket: {
        data: (from, data) => this.#read(from.data, data),
        close: (from) => this.#close(from.data, new Error("the server closed a stream")),
        error: (from, error) => this.#close(from.data, error),
      },
    });
    this.#sockets.push(socket);
    socket.write(request);
    await promise;
  }

  /** Forgets what was seen; the promise is kept when every stream has seen the next notification. */
  expect(): Promise<void> {
    this.#reached = 0;
    for (const socket of this.#sockets) socket.data.seen = false;
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        const reason = this.#lost === undefined ? "" : ` (${this.#lost.message})`;
        reject(new Error(`${this.#reached} of ${this.#sockets.length} streams were told${reason}`));
      }, REACH_DEADLINE_MS);
      this.#allReached = () => {
        clearTimeout(deadline);
        resolve();
      };
    });
  }

  close(): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  #read(state: StreamState, data: Buffer): void {
    const text = state.tail + data.toString("latin1");
    if (state.status === "") {
      state.status = text.slice(9, 12);
      if (state.status !== "200") return state.failed(new Error(`a stream was answered ${text.slice(0, 300)}`));
      state.opened();
    }
    if (!state.seen && text.includes(NOTIFICATION)) {
      state.seen = true;
      state.tail = "";
      if (++this.#reached === this.#sockets.length) this.#allReached();
      return;
    }
    state.tail = state.seen ? "" : text.slice(-NOTIFICATION.length);
  }

  #close(state: StreamState, error: Error): void {
    this.#lost = error;
    state.failed(error);
  }
}

async function openMany(streams: Streams, destination: Destination, count: number): Promise<void> {
  let left = count;
  const opener = async (): Promise<void> => {
    const connection = await HttpConnection.open(destination.port);
    while (left-- > 0) {
      const sessionId = await openSession(connection, destination);
      await streams.open(destination, streamRequest(destination, sessionId));
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: Math.min(OPENERS, count) }, opener));
}

async function reachAll(job: SessionsJob, streams: Streams, times: number[]): Promise<void> {
  const connection = await HttpConnection.open(job.destination.port);
  try {
    const head = postHead(job.destination, await openSession(connection, job.destination));
    for (let id = 1; id <= job.touches; id++) {
      const body = callBody("touch", id);
      const all = streams.expect().then(() => performance.now());
      const start = performance.now();
      const [answer, reached] = await Promise.all([connection.request(`${head}${body.length}\r\n\r\n${body}`), all]);
      times.push(reached - start);
      const wrong = fault(answer, "touch", id);
      if (wrong !== undefined) throw new Error(wrong);
      await Bun.sleep(job.settleMs / 2);
    }
  } finally {
    connection.close();
  }
}

/** @throws Error when a session or a stream is refused. */
export async function runSessions(job: SessionsJob): Promise<SessionsResult> {
  const streams = new Streams();
  try {
    await openMany(streams, job.destination, job.warm);
    await Bun.sleep(job.settleMs);
    const before = residentKb(job.pid);
    const start = performance.now();
    await openMany(streams, job.destination, job.count);
    const openedPerSecond = job.count / ((performance.now() - start) / 1000);
    await Bun.sleep(job.settleMs);
    const after = residentKb(job.pid);
    const kbPerSession = before === undefined || after === undefined ? undefined : (after - before) / job.count;
    const result: SessionsResult = { kbPerSession, openedPerSecond, reachedAllMs: [] };
    await reachAll(job, streams, result.reachedAllMs).catch((error: unknown) => {
      result.reachProblem = (error as Error).message;
    });
    return result;
  } finally {
    streams.close();
  }
}
