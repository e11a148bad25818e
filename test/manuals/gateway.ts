import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const OFFICE = join(import.meta.dir, "../fixtures/office.ts");

/** What stands in the manuals for packages, addresses and paths, and what is there on a test's machine. */
const TABLE: readonly (readonly [printed: string, here: string])[] = [
  ['"npx"', JSON.stringify(process.execPath)],
  ['"uvx"', JSON.stringify(process.execPath)],
  ['"-y"', '"run"'],
  ['"@modelcontextprotocol/server-filesystem"', JSON.stringify(OFFICE)],
  ['"@modelcontextprotocol/server-time"', JSON.stringify(OFFICE)],
  ['"mcp-server-time"', JSON.stringify(OFFICE)],
  ['"mcp-server-sqlite"', JSON.stringify(OFFICE)],
];

export function replaced(text: string, more: Readonly<Record<string, string>> = {}): string {
  let result = text;
  for (const [printed, here] of [...TABLE, ...Object.entries(more)]) result = result.replaceAll(printed, here);
  return result;
}

/** A gateway that was started as the Python programs are: in a directory with files, by variables, without an argument. */
export interface Gateway extends AsyncDisposable {
  readonly url: string;
  readonly directory: string;
  readonly log: readonly string[];
  readonly exited: Promise<number>;
  /** Resolves with the first line, past or future, that holds a text. */
  logged(text: string): Promise<string>;
  stop(): Promise<number>;
}

export interface GatewayOptions {
  /** Name to content. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Not to be waited for: it is not meant to listen, or not yet. */
  readonly silent?: boolean;
}

export async function startGateway({ files = {}, env = {}, silent = false }: GatewayOptions): Promise<Gateway> {
  const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-gateway-"));
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  const child = Bun.spawn([process.execPath, MAIN], {
    cwd: directory,
    env: { PATH: process.env["PATH"], HOME: directory, MCP_HOST: "127.0.0.1", MCP_PORT: "0", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const log: string[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const each of waiting) each();
  };
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      log.push(...lines);
      wake();
    }
  };
  const done = Promise.all([read(child.stdout), read(child.stderr), child.exited]).then(wake);
  const logged = async (wanted: string): Promise<string> => {
    for (;;) {
      const line = log.find((each) => each.includes(wanted));
      if (line !== undefined) return line;
      if (child.exitCode !== null)
        throw new Error(`it ended with ${child.exitCode} before "${wanted}":\n${log.join("\n")}`);
      await new Promise<void>((resolve) => waiting.add(resolve));
    }
  };
  const stop = async (): Promise<number> => {
    child.kill("SIGTERM");
    await done;
    return await child.exited;
  };
  const url = silent ? "" : (/listening on (http:\/\/[^/"\s]+)/.exec(await logged("listening on "))?.[1] ?? "");
  return {
    url,
    directory,
    log,
    exited: done.then(() => child.exited),
    logged,
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
