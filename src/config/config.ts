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
  /** The server at the root `/mcp` and `/sse`, which has no URL by its name; undefined: none. */
  readonly defaultServer?: string | undefined;
  /** Response headers that web pages may read, beside those of MCP. */
  readonly exposeHeaders?: readonly string[];
  /** Where the sealing key (and, with OAuth, the state) lives. */
  readonly persistenceDir: string;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** What strangers see at `/`; `off` is 404. */
  readonly startPage: "private" | "public" | "off";
  readonly limits: Limits;
  readonly auditFile: string | undefined;
  readonly aggregate: AggregateConfig;
  readonly groups: ReadonlyMap<string, GroupConfig>;
  /** Local logins, `mcpProxy.users` and `options.oauth2.users` together. */
  readonly users: ReadonlyMap<string, UserConfig>;
  readonly usersFile: string | undefined;
  /** Key to who it is. Placeholder keys are already taken out; undefined: no API keys are configured. */
  readonly apiKeys: ReadonlyMap<string, ApiKeyConfig> | undefined;
  readonly apiKeysFile: string | undefined;
  readonly identityProvider: IdentityProviderConfig | undefined;
  /** The authorization server's settings where at least one endpoint enables it. */
  readonly oauth: OAuthConfig | undefined;
  /** `MCP_DISABLE_AUTH`: the operator wants env mode open. */
  readonly authDisabled: boolean;
  /** First delay before a server that ended is started again. */
  readonly restartDelayMs: number;
}

/** 0: no limit. */
export interface Limits {
  readonly requestsPerMinute: number;
  readonly concurrent: number;
}

export interface AggregateConfig {
  readonly enabled: boolean;
  readonly separator: string;
  /** Names get a prefix also where only one server is configured. */
  readonly prefixSingle: boolean;
  /** Resources are listed as `scheme://server/rest` instead of with their own URI. */
  readonly resourcesByServer: boolean;
}

export interface GroupConfig {
  readonly name: string;
  readonly servers: readonly string[];
  /** Patterns `server:tool`; undefined: all tools of its servers. */
  readonly tools: readonly string[] | undefined;
  /** Undefined: a caller reaches those servers whose own endpoint would accept the same credential. */
  readonly options: { readonly authTokens: readonly string[] | undefined; readonly oauth: boolean } | undefined;
}

export interface UserConfig {
  /** Plain text or a bcrypt hash; undefined: only a provider can log this user in. */
  readonly password: string | undefined;
  /** Patterns `server:tool`; undefined: everything. */
  readonly allowedTools: readonly string[] | undefined;
  readonly deniedTools: readonly string[];
  readonly roles: readonly string[];
  readonly email: string | undefined;
  readonly limits: Limits | undefined;
}

export interface ApiKeyConfig {
  readonly clientId: string;
  /** Patterns `server:tool`. */
  readonly scopes: readonly string[];
}

export interface IdentityProviderConfig {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string | undefined;
  readonly audience: string | undefined;
  readonly scopes: readonly string[];
  readonly jwksUri: string | undefined;
  /** Which provider it is, where its address does not tell: `auth0`, `google`, `keycloak`, `okta`, `microsoft`. */
  readonly kind?: string | undefined;
}

export interface OAuthConfig {
  /** Addresses and CIDR ranges that may register clients, or the preset `claude`; empty: any. */
  readonly allowedIPs: readonly string[];
  readonly tokenExpirationMs: number;
  readonly refreshTokenExpirationMs: number;
  readonly registrationsPerMinute: number;
  readonly templateDir: string;
  /** Beside the official callbacks and loopback. */
  readonly allowedRedirectURIs: readonly string[];
  readonly clientIdMetadata: {
    readonly enabled: boolean;
    readonly allowedHosts: readonly string[];
    readonly allowPrivateNetwork: boolean;
  };
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
  /** The operator said in so many words that calls are not logged. */
  readonly logSilenced?: boolean;
  /** Absent or placeholders-only rules are already applied; undefined: no token protects it. An empty list lets nobody in. */
  readonly authTokens: readonly string[] | undefined;
  readonly toolFilter: ToolFilter | undefined;
  /** Any name with a slash: the part after the first slash is a secret and never shown. */
  readonly displayName: string;
  /** First part of its names on an aggregate; undefined: the server's name. */
  readonly prefix?: string | undefined;
  /** OAuth protects this server's own endpoint. */
  readonly oauth?: boolean;
  readonly limits?: Limits | undefined;
  /** It cannot be started as configured: its endpoint exists and answers with this reason, `target` is meaningless. */
  readonly invalid?: { readonly message: string } | undefined;
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
  /** Certificates of authorities (PEM) that count instead of those this machine trusts. */
  readonly ca?: string | undefined;
  /** The proxy itself gets tokens for this upstream (RFC 6749 section 4.4). */
  readonly oauth?: ClientCredentials | undefined;
  /** The proxy answers this upstream's challenges (RFC 7616), instead of `oauth`. */
  readonly digest?: { readonly username: string; readonly password: string } | undefined;
}

export interface ClientCredentials {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly tokenUrl: string;
  readonly scope: string | undefined;
}

export interface ToolFilter {
  readonly mode: "allow" | "block";
  readonly names: ReadonlySet<string>;
}
