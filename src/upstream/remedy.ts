import { basename } from "node:path";
import type { ServerConfig } from "../config/config.ts";
import type { Fault } from "./fault.ts";

/** Programs that start servers, and what brings them. */
const BRINGS: Readonly<Record<string, string>> = {
  npx: "it comes with Node.js: install that",
  npm: "it comes with Node.js: install that",
  node: "install Node.js",
  uvx: "it comes with uv: install that",
  uv: "install uv",
  python: "install Python; on many systems the command is python3",
  docker: "install Docker, or name the program itself instead of a container",
  bunx: "it comes with Bun: install that",
  deno: "install Deno",
};

/**
 * What to do about a fault, in one sentence without a full stop. By its code and by what is configured, never by words
 * in what a server said.
 */
export function remedyOf(fault: Fault, server: ServerConfig): string {
  const { target } = server;
  switch (fault.code) {
    case "upstream.invalid":
      return "correct its entry in the configuration";
    case "upstream.not_found": {
      const program = target.kind === "stdio" ? basename(target.command) : "";
      return (
        (Object.hasOwn(BRINGS, program) ? BRINGS[program] : undefined) ??
        "install the program, or write its full path as the command"
      );
    }
    case "upstream.spawn_failed":
      return "see that the file may be executed, and that cwd exists";
    case "upstream.exited":
      return "its last words above say why; run the same command by itself to see all of it";
    case "upstream.connecting":
      return "wait: a first start downloads packages. connectTimeout is how long clients wait";
    case "upstream.unreachable":
      return "see that the server runs, and that its url is right";
    case "upstream.session_lost":
      return "nothing: the connection is opened anew";
    case "upstream.unauthorized":
      return "set or renew the server's credentials (headers, or oauth with clientId and tokenUrl)";
    case "upstream.http_status":
      return "see that the url is that of the server's MCP endpoint";
    case "upstream.protocol":
      return target.kind === "stdio"
        ? "see that the command starts an MCP server that speaks over stdio"
        : "see that the url is that of an MCP server, and that its transport is right";
    case "upstream.timeout":
      return "raise the server's timeout, or see what keeps it busy";
    case "upstream.too_large":
      return "raise maxMessageBytes, or ask for less";
    case "upstream.overloaded":
      return "send fewer calls at once, or see what keeps the server busy";
    case "upstream.at_capacity":
      return "raise the server's maxConnections, or choose another isolation";
    case "upstream.stopped":
      return "try again; if it stays away, see the log";
  }
}
