import { childEnvironment } from "./child-environment.ts";
import type { Flavour, HttpTarget, ServerConfig, StdioTarget } from "./config.ts";
import { formatDuration, parseDuration, readTimeoutNumber } from "./duration.ts";
import type { Gap } from "./expand.ts";
import { displayName } from "./problem.ts";
import type { Path, Problems } from "./problem.ts";
import type { OptionsFile } from "./schema-options.ts";
import type { ServerFile } from "./schema-server.ts";
import { readTokens } from "./tokens.ts";
import type { TokenRule } from "./tokens.ts";
import { readToolFilter } from "./tool-filter.ts";

const DEFAULT_TIMEOUT_MS = 5 * 60_000;
/** npx and uvx download the first time. */
const DEFAULT_CONNECT_TIMEOUT_MS = 60_000;
const DEFAULT_MAX_CONNECTIONS = 32;

export interface ServerContext {
  readonly flavour: Flavour;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `--pass-environment`, `--no-pass-environment`; undefined when neither was given. */
  readonly passEnvironment: boolean | undefined;
  /** `mcpProxy.options`. */
  readonly defaults: OptionsFile;
  /** Tokens of `mcpProxy.options`, read once so that warnings about them come once. */
  readonly defaultTokens: readonly string[] | undefined;
  /** OAuth can protect: Streamable HTTP is served. */
  readonly oauthApplies: boolean;
  /** What is on where a server says nothing. */
  readonly oauthDefault: boolean;
  readonly loopback: boolean;
  readonly tokenRule: TokenRule;
  readonly problems: Problems;
  /** Variables and files of this server that gave nothing. */
  readonly gaps: readonly Gap[];
  /** The text of a value as written, for numbers among the arguments. */
  readonly raw: (path: Path) => string | undefined;
}

/** @returns undefined where the entry is no server at all; a problem then says so */
export function normalizeServer(name: string, file: ServerFile, context: ServerContext): ServerConfig | undefined {
  const { problems, defaults } = context;
  const path: Path = ["mcpServers", name];
  const options = file.options ?? {};
  const target = readTarget(name, file, path, context);
  if (target === undefined) return undefined;
  const ownTokens = readTokens(options.authTokens, [...path, "options", "authTokens"], context.tokenRule);
  const wantsOauth = options.oauth2?.enabled ?? context.oauthDefault;
  if (options.oauth2 && Object.keys(options.oauth2).some((key) => key !== "enabled")) {
    problems.warning([...path, "options", "oauth2"], 'of a server\'s "oauth2" only "enabled" counts', {
      hint: "put users and lifetimes into mcpProxy.options.oauth2, they are shared by all servers",
    });
  }
  const authTokens = options.authTokens === undefined ? context.defaultTokens : ownTokens;
  const oauth = wantsOauth && context.oauthApplies;
  const reason = invalidReason(target, context) ?? openDespiteOauth(name, authTokens, wantsOauth && !oauth, context);
  return {
    name,
    displayName: displayName(name),
    target: target.target,
    isolation: file.isolation ?? "auto",
    maxConnections: file.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
    roots: file.roots ?? false,
    connectTimeoutMs: durationMs(file.connectTimeout, DEFAULT_CONNECT_TIMEOUT_MS),
    timeoutMs: readTimeout(file.timeout, target.target.kind, [...path, "timeout"], context),
    panicIfInvalid: options.panicIfInvalid ?? defaults.panicIfInvalid ?? false,
    logEnabled: options.logEnabled ?? defaults.logEnabled ?? false,
    ...((options.logEnabled ?? defaults.logEnabled) === false ? { logSilenced: true } : {}),
    authTokens,
    toolFilter: readToolFilter(options.toolFilter, [...path, "options", "toolFilter"], problems),
    prefix: file.prefix,
    oauth,
    limits: file.limits && {
      requestsPerMinute: file.limits.requestsPerMinute ?? 0,
      concurrent: file.limits.concurrent ?? 0,
    },
    invalid: reason === undefined ? undefined : { message: reason },
  };
}

export function durationMs(value: string | number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  return typeof value === "number" ? Math.round(value * 1000) : (parseDuration(value) ?? fallback);
}

interface ReadTarget {
  readonly target: StdioTarget | HttpTarget;
  readonly key: "command" | "url";
}

function readTarget(name: string, file: ServerFile, path: Path, context: ServerContext): ReadTarget | undefined {
  const { problems, flavour } = context;
  const declared = (["transportType", "transport", "type"] as const).filter((key) => file[key] !== undefined);
  const transport = declared[0] && file[declared[0]];
  for (const key of declared.slice(1)) {
    if (file[key] === transport) continue;
    problems.warning([...path, key], `"${declared[0]}" names another transport and counts`, { at: "key" });
  }
  if (flavour === "bridge" && file.command === undefined) {
    problems.warning(
      path,
      `server "${displayName(name)}" is left out: it has no "command", and --named-server-config is for commands only`,
      {
        hint: "a file given by --config may name URLs too",
      },
    );
    return undefined;
  }
  if (file.command === undefined && file.url === undefined) {
    const message = `server "${displayName(name)}" has neither "command" nor "url"`;
    problems.error(path, message, { at: "key", hint: 'a program needs "command" (and "args"), a remote server "url"' });
    return undefined;
  }
  const isCommand = file.command !== undefined && (file.command !== "" || file.url === undefined);
  if (isCommand) {
    if (transport !== undefined && transport !== "stdio") {
      problems.warning([...path, declared[0] ?? "type"], '"command" is there, so the transport is stdio');
    }
    if (file.url !== undefined)
      problems.warning([...path, "url"], '"command" is there too, so "url" has no effect', { at: "key" });
    return { target: readCommand(file, path, context), key: "command" };
  }
  if (transport === "stdio") {
    problems.error(path, 'the transport is stdio, but there is no "command"', { at: "key" });
    return undefined;
  }
  return { target: readUrl(file, transport, path, context), key: "url" };
}

function readCommand(file: ServerFile, path: Path, context: ServerContext): StdioTarget {
  const passAll = context.passEnvironment ?? file.passEnvironment ?? context.flavour === "go";
  if (file.command !== undefined && file.args === undefined && /\s/.test(file.command.trim())) {
    context.problems.warning([...path, "command"], "this names one program, blanks included; it is not split", {
      hint: 'put the arguments into "args"',
    });
  }
  return {
    kind: "stdio",
    command: file.command ?? "",
    args: (file.args ?? []).map((arg, index) =>
      typeof arg === "number" ? (context.raw([...path, "args", index]) ?? String(arg)) : arg,
    ),
    cwd: file.cwd,
    env: childEnvironment(context.env, passAll, file.env ?? {}),
    headerToEnv: new Map(Object.entries(file.headerToEnv ?? {}).map(([header, name]) => [header.toLowerCase(), name])),
  };
}

function readUrl(file: ServerFile, transport: ServerFile["type"], path: Path, context: ServerContext): HttpTarget {
  const text = (file.url ?? "").trim();
  const url = URL.parse(text);
  if (text !== "" && !isHttpUrl(text) && !context.gaps.some((gap) => gap.path.at(-1) === "url")) {
    context.problems.error([...path, "url"], "expected an http or https URL");
  }
  let kind: HttpTarget["kind"] = transport === "sse" ? "sse" : "http";
  if (transport === undefined) kind = url !== null && /\/sse\/?$/.test(url.pathname) ? "sse" : "detect";
  return {
    kind,
    url: text,
    headers: Object.fromEntries(Object.entries(file.headers ?? {})),
    forwardHeaders: (file.forwardHeaders ?? []).map((header) => header.toLowerCase()),
    verifyTls: file.verifyTls ?? true,
    oauth: file.oauth && { ...file.oauth, scope: file.oauth.scope },
  };
}

function invalidReason({ target, key }: ReadTarget, context: ServerContext): string | undefined {
  const unreadable = context.gaps.find((gap) => gap.kind === "file");
  if (unreadable !== undefined) return `the file ${unreadable.name} ${unreadable.reason}`;
  const value = target.kind === "stdio" ? target.command : target.url;
  const gap = context.gaps.find((one) => one.path.at(-1) === key);
  if (value.trim() !== "" && (gap === undefined || key === "command" || isHttpUrl(value))) return undefined;
  const what = value.trim() === "" ? "is empty" : "is no URL";
  return gap === undefined ? `"${key}" ${what}` : `"${key}" ${what}: the variable ${gap.name} is not set`;
}

/** `http:///path`, left over by an empty host, would be read as a request to the host "path". */
function isHttpUrl(text: string): boolean {
  return /^https?:\/\/[^/:?#\\]/i.test(text) && URL.canParse(text);
}

/** OAuth was asked for, but only SSE is served, where it does not apply: nobody would notice the open door. */
function openDespiteOauth(
  name: string,
  tokens: readonly string[] | undefined,
  inapplicable: boolean,
  context: ServerContext,
): string | undefined {
  if (!inapplicable || tokens !== undefined) return undefined;
  const message = `"oauth2" does not apply to type "sse", so server "${displayName(name)}" has no protection`;
  const hint = 'set mcpProxy.type to "streamable-http" (or leave it out), or give the server authTokens';
  context.problems.warning(["mcpServers", name], context.loopback ? message : `${message} and is refused`, {
    code: "config.exposed",
    at: "key",
    hint,
  });
  return context.loopback ? undefined : `${message}; ${hint}`;
}

function readTimeout(
  value: string | number | undefined,
  kind: (StdioTarget | HttpTarget)["kind"],
  path: Path,
  context: ServerContext,
): number {
  if (value === undefined) return DEFAULT_TIMEOUT_MS;
  // The Python bridge documents that it ignores the key; what was harmless there must not end calls here.
  if (context.flavour === "bridge" && kind === "stdio") return DEFAULT_TIMEOUT_MS;
  if (typeof value === "string") return durationMs(value, DEFAULT_TIMEOUT_MS);
  const { ms, unit } = readTimeoutNumber(value);
  const odd = unit === "milliseconds" || (unit === "nanoseconds" && (context.flavour !== "go" || ms < 1000));
  if (odd || (unit === "seconds" && context.flavour === "go" && value !== 0)) {
    context.problems.warning(path, `${value} was read as ${unit}: ${formatDuration(ms)}`, {
      hint: 'write the unit, for instance "30s"',
    });
  }
  return ms;
}
