/** Child processes that cannot outlive the run, on whichever path it ends. */
import type { Subprocess } from "bun";

type Child = Subprocess<"pipe", "pipe", "pipe">;

/** How long a child may take to end by itself before it is killed. */
const GRACE_MS = 5_000;

export interface Running extends AsyncDisposable {
  /** @throws Error when the child ends without a whole line on stdout. */
  firstLine(): Promise<string>;
  /** The last lines of stderr. */
  complaints(): string;
  hasExited(): boolean;
}

export class Processes implements AsyncDisposable {
  readonly #running = new Set<Child>();

  /** @param cwd Working directory. @param env Added to our own environment. */
  start(command: string[], cwd: string, env: Readonly<Record<string, string>> = {}): Running {
    const child = this.#spawn(command, cwd, env);
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    return {
      firstLine: async () => {
        const line = await stdout.firstLine;
        if (line === undefined) throw new Error(`${command.join(" ")} ended without a word:\n${tail(stderr.text)}`);
        return line;
      },
      complaints: () => tail(stderr.text),
      hasExited: () => child.exitCode !== null || child.signalCode !== null,
      [Symbol.asyncDispose]: () => this.#stop(child),
    };
  }

  /** Runs a command to its end, or kills it after `timeoutMs`. @returns the last lines it wrote. */
  async run(command: string[], cwd: string, timeoutMs: number): Promise<string> {
    const child = this.#spawn(command, cwd, {});
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    await Promise.all([child.exited, stdout.ended, stderr.ended]);
    clearTimeout(timer);
    this.#running.delete(child);
    return tail(`${stdout.text}${stderr.text}`);
  }

  /** At once and without waiting, for a run that is itself about to end. */
  killAll(): void {
    for (const child of this.#running) child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running].map((child) => this.#stop(child)));
  }

  #spawn(command: string[], cwd: string, env: Readonly<Record<string, string>>): Child {
    const child = Bun.spawn(command, {
      cwd,
      env: { ...process.env, ...env },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#running.add(child);
    return child;
  }

  async #stop(child: Child): Promise<void> {
    const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
    child.kill("SIGTERM");
    await child.exited;
    clearTimeout(timer);
    this.#running.delete(child);
  }
}

interface Collected {
  text: string;
  readonly firstLine: Promise<string | undefined>;
  readonly ended: Promise<void>;
}

/** Reads to the end, so that a talkative child never blocks on a full pipe. */
function collect(stream: ReadableStream<Uint8Array>): Collected {
  const { promise: firstLine, resolve } = Promise.withResolvers<string | undefined>();
  const collected = { text: "", firstLine, ended: Promise.resolve() };
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      collected.text = (collected.text + decoder.decode(chunk, { stream: true })).slice(-65_536);
      const end = collected.text.indexOf("\n");
      if (end >= 0) resolve(collected.text.slice(0, end));
    }
    resolve(undefined);
  };
  collected.ended = read();
  return collected;
}

function tail(output: string): string {
  return output.trimEnd().split("\n").slice(-15).join("\n");
}
