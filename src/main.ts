import { homedir } from "node:os";
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

/** The world as the commands see it; nothing else looks at the process. */
function world(): RunIo {
  const { stdout, stderr, env } = process;
  return {
    stdout: (text) => void stdout.write(text),
    stderr: (text) => void stderr.write(text),
    env,
    cwd: process.cwd(),
    home: homedir(),
    fetch: globalThis.fetch,
    version: typeof MCP_PROXY_VERSION === "string" ? MCP_PROXY_VERSION : "0.0.0-dev",
    terminal: stdout.isTTY,
    colour: stdout.isTTY && !env["NO_COLOR"] && env["TERM"] !== "dumb",
    onStop: (call) => {
      process.on("SIGINT", call);
      process.on("SIGTERM", call);
    },
    onReload: (call) => process.on("SIGHUP", call),
    readSecret: async (prompt) => {
      const { readSecret } = await import("./cli/read-secret.ts");
      return await readSecret(prompt, process.stdin, (text) => void stderr.write(text));
    },
    requestLimit: requestLimit(),
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
