import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dir, "../../src/main.ts");

/** The command line that starts the program of the project. */
export const PROGRAM: readonly string[] = [process.execPath, MAIN];

/** One message on standard output. */
export interface Spoken {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

/** A run of the program with arguments of its own, as a client or a shell starts it. */
export interface Run extends AsyncDisposable {
  readonly process: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly home: string;
  /** Everything on standard output and on standard error so far. */
  readonly out: () => string;
  readonly err: () => string;
  /** Resolves with the first match in what it has said or will say, on either; throws when it ends without. */
  said(pattern: RegExp): Promise<RegExpMatchArray>;
  /** Resolves with the first message on standard output that fits, past or future; throws when it ends without. */
  message(fits: (message: Spoken) => boolean): Promise<Spoken>;
  /** Writes lines, one message each. */
  write(...lines: string[]): void;
  /** Closes its input and waits for its end. */
  finish(): Promise<number>;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A home directory to share; by default a new one that is removed at the end. */
  readonly home?: string;
}

export function start(args: readonly string[], options: RunOptions = {}): Run {
  const home = options.home ?? mkdtempSync(join(tmpdir(), "mcp-proxy-run-"));
  const child = Bun.spawn([...PROGRAM, ...args], {
    cwd: home,
    env: { PATH: process.env["PATH"], HOME: home, ...options.env },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  let out = "";
  let err = "";
  const waiting = new Set<() => void>();
  const collect = async (stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      add(decoder.decode(chunk, { stream: true }));
      for (const look of waiting) look();
    }
  };
  const read = Promise.all([
    collect(child.stdout, (text) => (out += text)),
    collect(child.stderr, (text) => (err += text)),
  ]);
  const until = <T>(what: string, find: () => T | null | undefined): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const look = (): void => {
      const found = find();
      if (found === null || found === undefined) return;
      waiting.delete(look);
      resolve(found);
    };
    waiting.add(look);
    look();
    void read.then(() => reject(new Error(`it ended without ${what}:\n${out}\n${err}`)));
    return promise;
  };
  const said = (pattern: RegExp): Promise<RegExpMatchArray> =>
    until(`saying ${String(pattern)}`, () => pattern.exec(out) ?? pattern.exec(err));
  const message = (fits: (message: Spoken) => boolean): Promise<Spoken> =>
    until(`a message for which ${fits.toString()}`, () =>
      out
        .slice(0, out.lastIndexOf("\n") + 1)
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Spoken)
        .find(fits),
    );
  return {
    process: child,
    home,
    out: () => out,
    err: () => err,
    said,
    message,
    write: (...lines) => {
      for (const line of lines) void child.stdin.write(`${line}\n`);
      void child.stdin.flush();
    },
    finish: async () => {
      await child.stdin.end();
      const code = await child.exited;
      await read;
      return code;
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
      await read;
      if (options.home === undefined) rmSync(home, { recursive: true, force: true });
    },
  };
}

/** The full URL that a server of the command line prints. */
export async function urlOf(run: Run): Promise<string> {
  const [, url] = await run.said(/listening on (http:\/\/[^/\s]+)/);
  return url ?? "";
}
