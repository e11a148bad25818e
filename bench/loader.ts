import { join } from "node:path";

import type { Job, Reply, Results } from "./load.ts";
import { type Child, commandFor, type Processes } from "./processes.ts";

/** The process that makes the load, seen from the one that plans it. One job at a time. */
export class Loader {
  readonly #processes: Processes;
  readonly #child: Child;
  readonly #replies: AsyncIterator<string, void>;

  constructor(processes: Processes) {
    this.#processes = processes;
    this.#child = processes.start(commandFor(join(import.meta.dir, "load.ts")));
    this.#replies = lines(this.#child.stdout);
  }

  get ended(): boolean {
    return this.#child.killed || this.#child.exitCode !== null;
  }

  /** @throws Error with what the load met, or when it did not end in time (the loader is then of no use any more). */
  async run<K extends Job["kind"]>(job: Extract<Job, { kind: K }>, deadlineSeconds = 30): Promise<Results[K]> {
    void this.#child.stdin.write(`${JSON.stringify(job)}\n`);
    void this.#child.stdin.flush();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), deadlineSeconds * 1000);
    const next = await this.#replies.next();
    clearTimeout(timer);
    if (next.done === true) throw new Error(`the load did not end within ${deadlineSeconds} s, or its process died`);
    const reply = JSON.parse(next.value) as Reply;
    if ("error" in reply) throw new Error(reply.error);
    return reply.result as Results[K];
  }

  stop(): Promise<void> {
    return this.#processes.stop(this.#child);
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
