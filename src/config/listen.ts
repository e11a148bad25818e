import type { Flavour, ListenAddress } from "./config.ts";

export interface HostPort {
  readonly host: string | undefined;
  readonly port: number;
}

/** `:9090`, `host:port`, `[::1]:9090`, `unix:/path`; undefined when it is none of them. */
export function parseAddress(text: string): HostPort | { readonly unix: string } | undefined {
  const trimmed = text.trim();
  if (trimmed.startsWith("unix:")) return trimmed.length > 5 ? { unix: trimmed.slice(5) } : undefined;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^[\]:/\s]*)):(\d{1,5})$/.exec(trimmed);
  const port = match === null ? undefined : parsePort(match[3] ?? "");
  if (match === null || port === undefined) return undefined;
  return { host: (match[1] ?? match[2]) || undefined, port };
}

/** 0 asks the system for a free port. */
export function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text.trim()) ? Number(text.trim()) : Number.NaN;
  return port <= 65_535 ? port : undefined;
}

/** What Go means by `:9090`. */
const EVERYWHERE = "0.0.0.0";

/** Where each of the older programs listened when nothing was said; nobody's own default is this machine only. */
export function defaultAddress(flavour: Flavour, inImage: boolean): { host: string; port: number } {
  if (flavour === "go") return { host: EVERYWHERE, port: 9090 };
  if (flavour === "env") return { host: EVERYWHERE, port: 8080 };
  if (flavour === "bridge") return { host: "127.0.0.1", port: 0 };
  return { host: inImage ? EVERYWHERE : "127.0.0.1", port: 9090 };
}

export interface ListenChoice {
  readonly flags: { readonly host?: string | undefined; readonly port?: number | undefined };
  readonly file: HostPort | { readonly unix: string } | undefined;
  readonly environment: { readonly host?: string | undefined; readonly port?: number | undefined };
  readonly fallback: { readonly host: string; readonly port: number };
  readonly socketMode: number;
}

/** Flags beat the file, the file beats the environment. */
export function chooseAddress(choice: ListenChoice): ListenAddress {
  const { flags, file, environment, fallback } = choice;
  const flagged = flags.host !== undefined || flags.port !== undefined;
  if (file !== undefined && "unix" in file && !flagged)
    return { kind: "unix", path: file.unix, mode: choice.socketMode };
  const named = file !== undefined && "port" in file ? file : undefined;
  // A file's ":9090" speaks of the host too: everywhere.
  const host = flags.host ?? (named === undefined ? environment.host : (named.host ?? EVERYWHERE)) ?? fallback.host;
  const port = flags.port ?? named?.port ?? environment.port ?? fallback.port;
  return { kind: "tcp", host, port };
}

/** Whether only this machine can reach the address. Behind a socket there usually is a reverse proxy with the world in front. */
export function isLoopback(listen: ListenAddress): boolean {
  if (listen.kind === "unix") return false;
  return listen.host === "localhost" || listen.host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(listen.host);
}
