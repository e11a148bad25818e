import type { ListenAddress } from "../config/config.ts";

/** Why the address cannot be listened on, what to do, and the code of docs/troubleshooting.md. */
export function listenFailure(listen: ListenAddress, error: unknown): string {
  const where = listen.kind === "unix" ? listen.path : `${listen.host}:${listen.port}`;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "EADDRINUSE":
      return `cannot listen on ${where}: the address is in use by another program. End it, or choose another port (--port)   listen.in_use`;
    case "EACCES":
      return `cannot listen on ${where}: not allowed. Ports below 1024 need privileges; choose another port (--port)   listen.not_allowed`;
    case "EADDRNOTAVAIL":
      return `cannot listen on ${where}: this machine has no such address (--host)   listen.no_address`;
    default:
      return `cannot listen on ${where}: ${error instanceof Error ? error.message : String(error)}   listen.failed`;
  }
}
