import { homedir } from "node:os";
import { check } from "./cli/check.ts";
import type { CheckIo } from "./cli/check.ts";
import { HELP, helpAll } from "./cli/help.ts";
import { parseOptions, UsageError } from "./cli/options.ts";
import { serve } from "./cli/serve.ts";

/** Set when the binary is built; the sources themselves are nobody's release. */
declare const MCP_PROXY_VERSION: string | undefined;
const VERSION = typeof MCP_PROXY_VERSION === "string" ? MCP_PROXY_VERSION : "0.0.0-dev";

const REQUEST_LIMIT = "BUN_CONFIG_MAX_HTTP_REQUESTS";

/**
 * The runtime lets 256 outgoing requests be under way and queues the rest without end: 256 event streams from HTTP
 * upstreams would stop them all. It reads the limit only when a process starts, so this one starts again in its place.
 */
function liftRequestLimit(): void {
  if (process.env[REQUEST_LIMIT] !== undefined || process.execve === undefined) return;
  const compiled = Bun.main.startsWith("/$bunfs/");
  const args = [process.execPath, ...process.argv.slice(compiled ? 2 : 1)];
  process.execve(process.execPath, args, { ...process.env, [REQUEST_LIMIT]: "65535" });
}

/** Turns a command line into a command and its exit code. */
async function run(argv: readonly string[]): Promise<number> {
  const io: CheckIo = {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
    fetch: globalThis.fetch,
  };
  const command = parseOptions(argv);
  switch (command.kind) {
    case "help":
      io.stdout(command.all ? helpAll() : HELP);
      return 0;
    case "version":
      io.stdout(`mcp-proxy ${VERSION}\n`);
      return 0;
    case "check":
      return await check(command, io);
    case "serve":
      liftRequestLimit();
      return await serve(command, {
        ...io,
        version: VERSION,
        terminal: process.stdout.isTTY,
        colour: process.stdout.isTTY && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb",
        onStop: (call) => {
          process.on("SIGINT", call);
          process.on("SIGTERM", call);
        },
        onReload: (call) => process.on("SIGHUP", call),
      });
    default:
      io.stderr(`mcp-proxy: this version has no command for that (${command.kind})\n  Try: mcp-proxy --help\n`);
      return 2;
  }
}

run(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    if (error instanceof UsageError) {
      process.stderr.write(`mcp-proxy: ${error.message}\n`);
      if (error.hint !== undefined) process.stderr.write(`  Try: ${error.hint}\n`);
      process.exit(2);
    }
    process.stderr.write(`mcp-proxy: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
