import { systemClock } from "../telemetry/clock.ts";
import type { PasswordIo } from "./hash-password.ts";
import { HELP, helpAll } from "./help.ts";
import { parseOptions, UsageError } from "./options.ts";
import type { ServeIo } from "./serve.ts";

export interface RunIo extends ServeIo, PasswordIo {}

/**
 * Turns a command line into a command.
 * @returns its exit code: 0 good, 2 wrong usage, 1 everything else
 */
export async function run(argv: readonly string[], io: RunIo): Promise<number> {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.stderr(`mcp-proxy: ${error.message}\n`);
    if (error.hint !== undefined) io.stderr(`  Try: ${error.hint}\n`);
    return error.exitCode;
  }
}

/** What is no URL would be started as a program. @throws UsageError */
function webUrl(url: string): string {
  if (/^https?:\/\//i.test(url)) return url;
  throw new UsageError("SSE_URL is not the URL of a server", "SSE_URL=https://mcp.example.com/sse");
}

/** Each command loads what it needs itself: a start waits for nothing that belongs to another one. */
async function dispatch(argv: readonly string[], io: RunIo): Promise<number> {
  const command = parseOptions(argv);
  switch (command.kind) {
    case "help":
      io.stdout(command.all ? helpAll() : HELP);
      return 0;
    case "version":
      io.stdout(`mcp-proxy ${io.version}\n`);
      return 0;
    case "check": {
      if (command.live) {
        const { checkLive } = await import("./check-live.ts");
        return await checkLive(command, io, systemClock);
      }
      const { check } = await import("./check.ts");
      return await check(command, io);
    }
    case "check-public": {
      const { checkPublic } = await import("./check-public.ts");
      return await checkPublic(command, io);
    }
    case "hash-password": {
      const { hashPassword } = await import("./hash-password.ts");
      return await hashPassword(io);
    }
    case "eject-templates": {
      const { ejectTemplates } = await import("./eject-templates.ts");
      return await ejectTemplates(command, io);
    }
    case "serve": {
      const { serve } = await import("./serve.ts");
      return await serve(command, io, (url) => dispatch([...argv, webUrl(url)], io));
    }
    case "bridge": {
      // Before anything else is loaded: this process may start once more.
      io.requestLimit.lift();
      const { bridge } = await import("./bridge.ts");
      return await bridge(command, io);
    }
    case "command": {
      const { command: serveCommand } = await import("./command.ts");
      return await serveCommand(command, io);
    }
    case "connect": {
      const { connect } = await import("./connect.ts");
      return await connect(command, io);
    }
    default:
      return command satisfies never;
  }
}
