import { homedir } from "node:os";
import { isatty } from "node:tty";
import type { RequestLimit } from "./cli/request-limit.ts";
import type { RunIo } from "./cli/run.ts";

/** Set when the binary is built; the sources themselves are nobody's release. */
declare const MCP_PROXY_VERSION: string | undefined;

const REQUEST_LIMIT = "BUN_CONFIG_MAX_HTTP_REQUESTS";

/**
 * The runtime lets 256 outgoing requests be under way and queues the rest without end: 256 event streams from HTTP
 * upstreams would stop them all. It reads the limit only when a process starts, so this one starts again in its place.
 */
function requestLimit(): RequestLimit {
  const lifted = process.env[REQUEST_LIMIT] !== undefined;
  return {
    lifted,
    lift: () => {
      if (lifted || process.execve === undefined) return;
      const compiled = Bun.main.startsWith("/$bunfs/");
      const args = [process.execPath, ...process.argv.slice(compiled ? 2 : 1)];
      process.execve(process.execPath, args, { ...process.env, [REQUEST_LIMIT]: "65535" });
    },
  };
}

/**
 * Tells the two meanings of SIGHUP apart: services are asked to reload by it, and programs in a terminal hear by it that
 * the terminal was closed. Who closes it wants the program gone, not a proxy that nobody sees any more.
 */
function watchTerminals(): () => boolean {
  const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor));
  return () => terminals.some((descriptor) => !isatty(descriptor));
}

/** The world as the commands see it; nothing else looks at the process. */
function world(): RunIo {
  const hungUp = watchTerminals();
  const { stdout, stderr, env } = process;
  // Whoever reads them may be gone; what cannot be said is no reason to fall.
  for (const stream of [stdout, stderr]) stream.on("error", () => undefined);
  const isTerminal = (descriptor: 1 | 2): boolean => (descriptor === 1 ? stdout : stderr).isTTY;
  return {
    stdout: (text) => void stdout.write(text),
    stderr: (text) => void stderr.write(text),
    env,
    cwd: process.cwd(),
    home: homedir(),
    fetch: globalThis.fetch,
    version: typeof MCP_PROXY_VERSION === "string" ? MCP_PROXY_VERSION : "0.0.0-dev",
    terminal: (descriptor) => isTerminal(descriptor),
    colour: (descriptor) => isTerminal(descriptor) && !env["NO_COLOR"] && env["TERM"] !== "dumb",
    live: (descriptor) => isTerminal(descriptor) && env["TERM"] !== "dumb",
    size: (descriptor) => {
      const { columns, rows } = descriptor === 1 ? stdout : stderr;
      return { columns: columns || 80, rows: rows || 24 };
    },
    onStop: (call) => {
      process.on("SIGINT", call);
      process.on("SIGTERM", call);
      process.on("SIGHUP", () => {
        if (hungUp()) call();
      });
    },
    onReload: (call) =>
      process.on("SIGHUP", () => {
        if (!hungUp()) call();
      }),
    readSecret: async (prompt) => {
      const { readSecret } = await import("./cli/read-secret.ts");
      return await readSecret(prompt, process.stdin, (text) => void stderr.write(text));
    },
    requestLimit: requestLimit(),
    // The binary begins with a patient compiler (Makefile): most of what runs at a start runs once.
    started: () => Bun.unsafe.setJITPolicy(1),
    pipes: () => ({ input: process.stdin, output: stdout }),
  };
}

async function main(): Promise<number> {
  const { run } = await import("./cli/run.ts");
  return await run(process.argv.slice(2), world());
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`mcp-proxy: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
