import { join, resolve } from "node:path";
import type { Config, Flavour, ListenAddress, ServerConfig } from "./config.ts";
import type { Reading } from "./context.ts";
import { checkKeyFile, isYes, readEnvironmentAccess } from "./env-mode.ts";
import type { EnvironmentAccess } from "./env-mode.ts";
import type { Gap } from "./expand.ts";
import { chooseAddress, defaultAddress, isLoopback, parseAddress, parsePort } from "./listen.ts";
import { readLog } from "./log-settings.ts";
import { hiddenPath, nameMistake } from "./names.ts";
import {
  fileApiKeys,
  readApiKeys,
  readGroups,
  readIdentityProvider,
  readLimits,
  readOAuth,
  readUsers,
} from "./normalize-access.ts";
import { adviseOnAccess } from "./advice.ts";
import { normalizeServer } from "./normalize-server.ts";
import { displayName } from "./problem.ts";
import type { Path, Problem, Problems } from "./problem.ts";
import type { ConfigFile, ProxyFile } from "./schema.ts";
import { readTokens } from "./tokens.ts";

export interface Draft {
  readonly file: ConfigFile;
  readonly flavour: Flavour;
  readonly reading: Reading;
  readonly problems: Problems;
  readonly gaps: readonly Gap[];
  /** Names as the text orders them; those switched off are only in `switchedOff`. */
  readonly serverOrder: readonly string[];
  readonly switchedOff: readonly string[];
  readonly groupOrder: readonly string[];
  readonly raw: (path: Path) => string | undefined;
}

/** The internal form. Problems are collected; the caller must not use the result when one of them is an error. */
export function normalize(draft: Draft): { config: Config; problems: readonly Problem[] } {
  const { file, flavour, reading, problems } = draft;
  const { env, context } = reading;
  const { overrides } = context;
  const proxy: ProxyFile = file.mcpProxy ?? {};
  const defaults = proxy.options ?? {};
  const oauth2 = defaults.oauth2 ?? {};
  adviseOnAccess(proxy, oauth2, problems);
  const access = flavour === "env" ? readEnvironmentAccess(env, context.cwd) : undefined;
  const listen = readListen(draft, proxy);
  const loopback = isLoopback(listen);
  const identityProvider = readIdentityProvider(proxy.identityProvider) ?? access?.identityProvider;
  // A configured provider is meant to protect; forgetting one more switch must not leave everything open.
  const oauthDefault = oauth2.enabled ?? identityProvider !== undefined;
  const serves = readServes(proxy.type);
  const guarded = [...Object.values(file.mcpServers ?? {}), ...Object.values(file.groups ?? {})];
  const someOauth = guarded.some(({ options }) => options?.oauth2?.enabled === true);
  const oauthOn = serves.streamableHttp && (oauthDefault || someOauth);
  const tokenRule = { refusePlaceholders: oauthOn || !loopback, problems };
  const defaultTokens = readTokens(defaults.authTokens, ["mcpProxy", "options", "authTokens"], tokenRule);
  if (defaults.toolFilter !== undefined) {
    const hint = "put it into the options of a server";
    problems.warning(["mcpProxy", "options", "toolFilter"], "a filter has no effect here", { at: "key", hint });
  }
  const servers = new Map<string, ServerConfig>();
  for (const name of draft.serverOrder) {
    const entry = file.mcpServers?.[name];
    if (entry === undefined || !checkName(["mcpServers", name], name, draft)) continue;
    const server = normalizeServer(name, entry, {
      flavour,
      env,
      passEnvironment: overrides.passEnvironment,
      defaults,
      defaultTokens,
      oauthApplies: serves.streamableHttp,
      oauthDefault,
      loopback,
      tokenRule,
      problems,
      gaps: draft.gaps.filter((gap) => gap.path[0] === "mcpServers" && gap.path[1] === name),
      raw: draft.raw,
    });
    if (server !== undefined) servers.set(name, server);
  }
  for (const name of draft.groupOrder) checkName(["groups", name], name, draft);
  const apiKeys = readApiKeys(fileApiKeys(proxy) ?? access?.apiKeys, tokenRule);
  const config: Config = {
    source: reading.file,
    flavour,
    listen,
    baseURL: (proxy.baseURL || (access && env["MCP_BASE_URL"]) || undefined)?.replace(/\/+$/, ""),
    pathPrefix: readPathPrefix(proxy.pathPrefix ?? (access && env["MCP_PATH_PREFIX"]) ?? "", problems),
    name: proxy.name || "mcp-proxy",
    version: proxy.version || "1.0.0",
    serves,
    stateless: overrides.stateless ?? proxy.stateless ?? flavour === "go",
    liveReload: overrides.watch ?? proxy.liveReload ?? isYes(env["MCP_LIVE_RELOAD"]),
    allowedHosts: proxy.allowedHosts ?? [],
    allowedOrigins: overrides.allowOrigins ?? proxy.allowedOrigins ?? [],
    trustedProxies: proxy.trustedProxies,
    clientAddressHeader: proxy.clientAddressHeader?.toLowerCase(),
    maxRequestBytes: proxy.maxRequestBytes ?? 4 * 1024 * 1024,
    maxMessageBytes: proxy.maxMessageBytes ?? 64 * 1024 * 1024,
    replayEvents: proxy.replayEvents ?? 256,
    replayBytes: proxy.replayBytes ?? 1024 * 1024,
    sessionIdleMs: (proxy.sessionIdleMinutes ?? 30) * 60_000,
    sessionMaxAgeMs: (proxy.sessionMaxDays ?? 30) * 86_400_000,
    drainMs: (proxy.drainSeconds ?? 10) * 1000,
    log: readLog(proxy.log, overrides, access === undefined ? undefined : env["MCP_LOG_LEVEL"], problems),
    servers,
    persistenceDir: readPersistenceDir(oauth2.persistenceDir, draft),
    tls: proxy.tls,
    startPage: proxy.startPage ?? "private",
    limits: readLimits(proxy.limits),
    auditFile: proxy.audit?.file,
    aggregate: readAggregate(proxy.aggregate, flavour),
    groups: readGroups(file, {
      order: draft.groupOrder,
      known: new Set([...draft.serverOrder, ...draft.switchedOff]),
      served: new Set(servers.keys()),
      oauthDefault,
      tokenRule,
      problems,
    }),
    users: readUsers(proxy),
    usersFile: proxy.usersFile ?? access?.usersFile,
    apiKeys,
    apiKeysFile: proxy.apiKeysFile ?? (apiKeys === undefined ? access?.apiKeysFile : undefined),
    identityProvider,
    oauth: oauthOn ? readOAuth(oauth2) : undefined,
    authDisabled: access?.authDisabled ?? false,
    restartDelayMs: access === undefined ? RESTART_DELAY_MS : readRestartDelay(env["MCP_RESTART_DELAY"], problems),
  };
  if (config.oauth !== undefined && listen.kind === "unix" && config.baseURL === undefined) {
    problems.error(["mcpProxy"], "logins behind a unix: address need baseURL, the address clients use", {
      hint: 'set "baseURL": "https://mcp.example.com"',
    });
  }
  if (identityProvider !== undefined && !serves.streamableHttp) {
    problems.error(["mcpProxy", "type"], 'identityProvider protects nothing with type "sse"', {
      hint: 'leave "type" out, then both kinds of endpoint are served behind the login',
    });
  }
  const keyProblems = proxy.apiKeysFile === undefined ? [] : checkKeyFile(proxy.apiKeysFile, context.cwd);
  checkServers(draft, config);
  checkProtection(draft, config, access, loopback);
  return { config, problems: [...(access?.problems ?? []), ...keyProblems] };
}

function readServes(type: ProxyFile["type"]): Config["serves"] {
  if (type === undefined) return { streamableHttp: true, sse: true };
  return { streamableHttp: type !== "sse", sse: type === "sse" };
}

function readListen(draft: Draft, proxy: ProxyFile): ListenAddress {
  const { problems, flavour, reading } = draft;
  const { env, context } = reading;
  const file = proxy.addr ? parseAddress(proxy.addr) : undefined;
  if (proxy.addr && file === undefined) {
    const hint = /^\d+$/.test(proxy.addr) ? `did you mean ":${proxy.addr}"?` : undefined;
    problems.error(["mcpProxy", "addr"], 'expected ":9090", "host:port", "[::1]:9090" or "unix:/path"', { hint });
  }
  // The bridge never read these variables; one set for another program must not move it.
  const listens = flavour !== "bridge";
  const port = listens && env["MCP_PORT"] ? parsePort(env["MCP_PORT"]) : undefined;
  if (listens && env["MCP_PORT"] && port === undefined) problems.error([], "MCP_PORT must be a number from 0 to 65535");
  return chooseAddress({
    flags: context.overrides,
    file,
    environment: { host: (listens && env["MCP_HOST"]) || undefined, port },
    fallback: defaultAddress(flavour, env["MCP_PROXY_IMAGE"] === "1"),
    socketMode: Number.parseInt(proxy.socketMode ?? "660", 8),
  });
}

function readPathPrefix(text: string, problems: Problems): string {
  const trimmed = text.trim().replace(/^\/+|\/+$/g, "");
  if (trimmed === "") return "";
  const mistake = nameMistake(trimmed);
  // The prefix is there so that nobody finds the endpoint: its text stays out of the message.
  if (mistake !== undefined) problems.error(["mcpProxy", "pathPrefix"], `the path prefix is not usable: ${mistake}`);
  return `/${trimmed}`;
}

function readPersistenceDir(configured: string | undefined, draft: Draft): string {
  const { cwd, home } = draft.reading.context;
  if (configured?.startsWith("~/") && home !== undefined) return join(home, configured.slice(2));
  if (configured) return resolve(cwd, configured);
  return join(home ?? cwd, ".mcpproxy");
}

function readAggregate(file: ProxyFile["aggregate"], flavour: Flavour): Config["aggregate"] {
  const likeEnv = flavour === "env";
  return {
    // With named servers only, the bridge never had one at the root.
    enabled: file?.enabled ?? flavour !== "bridge",
    separator: file?.separator ?? (likeEnv ? "_" : "__"),
    prefixSingle: file?.prefixSingle ?? !likeEnv,
    resourcesByServer: likeEnv,
  };
}

/** First delay before a server that ended is started again; the Python programs waited longer. */
const RESTART_DELAY_MS = 1_000;
const ENV_RESTART_DELAY_MS = 5_000;
/** Without any delay a server that dies at once would be started without end. */
const LEAST_RESTART_DELAY_MS = 250;

function readRestartDelay(seconds: string | undefined, problems: Problems): number {
  if (!seconds?.trim()) return ENV_RESTART_DELAY_MS;
  const value = Number(seconds);
  if (Number.isFinite(value) && value >= 0) return Math.max(LEAST_RESTART_DELAY_MS, Math.min(value, 3600) * 1000);
  problems.warning([], `MCP_RESTART_DELAY must be a number of seconds; ${ENV_RESTART_DELAY_MS / 1000} is used`);
  return ENV_RESTART_DELAY_MS;
}

/** @returns whether the name can be served */
function checkName(path: Path, name: string, draft: Draft): boolean {
  const mistake = nameMistake(name);
  if (mistake !== undefined) {
    draft.problems.error(path, mistake, { at: "key" });
    return false;
  }
  const hidden = hiddenPath(name);
  if (hidden !== undefined) {
    draft.problems.warning(
      path,
      `${hidden} is a path of the proxy itself, so "${displayName(name)}" is not served there, but below it and below /servers/`,
      {
        at: "key",
      },
    );
  }
  return true;
}

function checkServers(draft: Draft, config: Config): void {
  if (config.servers.size > 0 || draft.problems.failed) return;
  const path: Path = draft.file.mcpServers === undefined ? [] : ["mcpServers"];
  const none = draft.switchedOff.length > 0 ? "every server is switched off" : "no server is configured";
  if (config.flavour === "env" && draft.switchedOff.length === 0) draft.problems.error(path, `${none} in "mcpServers"`);
  else draft.problems.warning(path, none);
}

/** Says loudly which endpoints anybody could use, and refuses where the older program refused. */
function checkProtection(draft: Draft, config: Config, access: EnvironmentAccess | undefined, loopback: boolean): void {
  const keys = config.apiKeys !== undefined || config.apiKeysFile !== undefined;
  const open = [...config.servers.values()].filter(
    (server) => server.authTokens === undefined && server.oauth !== true && !keys,
  );
  if (open.length === 0 || draft.problems.failed) return;
  if (
    access !== undefined &&
    !access.authDisabled &&
    !access.problems.some((problem) => problem.severity === "error")
  ) {
    draft.problems.error([], "nothing protects the endpoint: no authentication is configured", {
      code: "config.unprotected",
      hint: "set MCP_API_KEYS=key:client or MCP_API_KEYS_PATH, or MCP_AUTH_PROVIDER=oauth_proxy with AUTH0_*; MCP_DISABLE_AUTH=true serves without",
    });
    return;
  }
  if (loopback) {
    if (access?.authDisabled === true)
      draft.problems.warning(
        [],
        "MCP_DISABLE_AUTH: authentication is OFF, anybody on this machine can use every tool",
        {
          code: "config.exposed",
        },
      );
    return;
  }
  const names = open.map((server) => `"${server.displayName}"`).join(", ");
  draft.problems.warning(
    [],
    `authentication is OFF for ${names}, and the address is not loopback: ANYBODY who reaches it can use these tools`,
    {
      code: "config.exposed",
      hint: 'set "authTokens" or "oauth2" in mcpProxy.options, or listen on 127.0.0.1',
    },
  );
}
