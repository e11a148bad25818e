/**
 * The one internal form of a configuration. Every shape a file may have (docs/configuration.md) becomes this before
 * anything else sees it, so no other folder knows which program's format a user came with.
 */

/** Whose habits the start chose: it selects defaults and nothing else. */
export type Flavour = "go" | "env" | "bridge" | "plain";

export interface Config {
  /** Path or URL it was read from, for messages. */
  readonly source: string;
  readonly flavour: Flavour;
  readonly listen: ListenAddress;
  /** Public URL without a trailing slash, if one is configured. */
  readonly baseURL: string | undefined;
  /** `""`, or a path such as `/secret` under which, and only under which, everything is served. */
  readonly pathPrefix: string;
  readonly name: string;
  readonly version: string;
  /** Which kinds of endpoint are served to clients. */
  readonly serves: { readonly streamableHttp: boolean; readonly sse: boolean };
  /** A legacy request without a session is answered on the shared connection instead of with 400. */
  readonly stateless: boolean;
  readonly liveReload: boolean;
  /** Beside `baseURL` and loopback. */
  readonly allowedHosts: readonly string[];
  /** Beside `baseURL` and loopback; `*` allows every origin. */
  readonly allowedOrigins: readonly string[];
  /** Addresses and CIDR ranges; undefined selects the default rule, an empty list trusts nobody. */
  readonly trustedProxies: readonly string[] | undefined;
  readonly clientAddressHeader: string | undefined;
  /** Bytes of one request body. */
  readonly maxRequestBytes: number;
  /** Bytes of one message from an upstream. */
  readonly maxMessageBytes: number;
  readonly replayEvents: number;
  readonly replayBytes: number;
  readonly sessionIdleMs: number;
  readonly sessionMaxAgeMs: number;
  readonly drainMs: number;
  readonly log: LogConfig;
  /** In the order of the file. Servers that are switched off are not in here. */
  readonly servers: ReadonlyMap<string, ServerConfig>;
  /** Where the sealing key (and, with OAuth, the state) lives. */
  readonly persistenceDir: string;
}

export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string; readonly mode: number };

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";

export interface LogConfig {
  readonly level: LogLevel;
  readonly format: "auto" | "pretty" | "json";
}

export type Isolation = "shared" | "user" | "session" | "auto";

export interface ServerConfig {
  readonly name: string;
  readonly target: StdioTarget | HttpTarget;
  readonly isolation: Isolation;
  /** Cap on child processes of this server. */
  readonly maxConnections: number;
  /** Relay `roots` to a stdio child (servers take roots as permission, so it is off by default). */
  readonly roots: boolean;
  /** How long a request waits for a server that is still connecting. It never ends the child. */
  readonly connectTimeoutMs: number;
  /** How long one request may stay without an answer or progress; 0: without end. */
  readonly timeoutMs: number;
  readonly panicIfInvalid: boolean;
  readonly logEnabled: boolean;
  /** Absent or placeholders-only rules are already applied; undefined: no token protects it. An empty list lets nobody in. */
  readonly authTokens: readonly string[] | undefined;
  readonly toolFilter: ToolFilter | undefined;
  /** Any name with a slash: the part after the first slash is a secret and never shown. */
  readonly displayName: string;
}

export interface StdioTarget {
  readonly kind: "stdio";
  readonly command: string;
  readonly args: readonly string[];
  /** Undefined inherits the proxy's working directory. */
  readonly cwd: string | undefined;
  /** The whole environment of a child, before `headerToEnv`. */
  readonly env: Readonly<Record<string, string>>;
  /** HTTP header of the client (lower case) to variable of the child. */
  readonly headerToEnv: ReadonlyMap<string, string>;
}

export interface HttpTarget {
  /** `detect`: no transport was declared; Streamable HTTP is tried first, SSE where that answers 4xx. */
  readonly kind: "http" | "sse" | "detect";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Headers of the client (lower case) that travel to this upstream. */
  readonly forwardHeaders: readonly string[];
  readonly verifyTls: boolean;
}

export interface ToolFilter {
  readonly mode: "allow" | "block";
  readonly names: ReadonlySet<string>;
}
