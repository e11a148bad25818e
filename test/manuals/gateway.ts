import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { listenTo } from "./spoken.ts";
import type { Spoken } from "./spoken.ts";

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
export interface Gateway extends Spoken, AsyncDisposable {
  readonly url: string;
  readonly directory: string;
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
  const spoken = listenTo(child);
  const url = silent ? "" : (/listening on (http:\/\/[^/"\s]+)/.exec(await spoken.logged("listening on "))?.[1] ?? "");
  return {
    url,
    directory,
    ...spoken,
    [Symbol.asyncDispose]: async () => {
      await spoken.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
