import type { ListenAddress } from "../config/config.ts";

/** Why the address cannot be listened on, and what to do. */
export function listenFailure(listen: ListenAddress, error: unknown): string {
  const where = listen.kind === "unix" ? listen.path : `${listen.host}:${listen.port}`;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "EADDRINUSE":
      return `cannot listen on ${where}: the address is in use by another program. End it, or choose another port (--port)`;
    case "EACCES":
      return `cannot listen on ${where}: not allowed. Ports below 1024 need privileges; choose another port (--port)`;
    case "EADDRNOTAVAIL":
      return `cannot listen on ${where}: this machine has no such address (--host)`;
    default:
      return `cannot listen on ${where}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
