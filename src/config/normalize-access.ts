import type { ApiKeyConfig, GroupConfig, IdentityProviderConfig, Limits, OAuthConfig, UserConfig } from "./config.ts";
import { nearest } from "./nearest.ts";
import { isPlaceholder } from "./placeholders.ts";
import { displayName } from "./problem.ts";
import type { Problems } from "./problem.ts";
import type { ConfigFile, ProxyFile } from "./schema.ts";
import type { OAuth2File, UserFile } from "./schema-options.ts";
import { readTokens } from "./tokens.ts";
import type { TokenRule } from "./tokens.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;

export function readLimits(file: ProxyFile["limits"]): Limits {
  return { requestsPerMinute: file?.requestsPerMinute ?? 0, concurrent: file?.concurrent ?? 0 };
}

/** `mcpProxy.users` and `oauth2.users` log in alike; the former wins where both name somebody. */
export function readUsers(proxy: ProxyFile): Map<string, UserConfig> {
  const users = new Map<string, UserConfig>();
  for (const source of [proxy.options?.oauth2?.users, proxy.users]) {
    for (const [name, entry] of Object.entries(source ?? {})) users.set(name, readUser(entry, users.get(name)));
  }
  return users;
}

/** A user in several places is the sum: the password stays from where there is one. */
export function readUser(entry: UserFile, before: UserConfig | undefined): UserConfig {
  const file = typeof entry === "string" ? { password: entry } : entry;
  return {
    password: file.password ?? before?.password,
    allowedTools: file.allowed_tools ?? before?.allowedTools,
    deniedTools: file.denied_tools ?? before?.deniedTools ?? [],
    roles: file.roles ?? before?.roles ?? [],
    email: file.email ?? before?.email,
    limits: file.limits === undefined ? before?.limits : readLimits(file.limits),
  };
}

/** @param given key to client, already without duplicates; undefined: none configured */
export function readApiKeys(
  given: ReadonlyMap<string, ApiKeyConfig> | undefined,
  rule: TokenRule,
): Map<string, ApiKeyConfig> | undefined {
  if (given === undefined) return undefined;
  const keys = new Map<string, ApiKeyConfig>();
  for (const [key, client] of given) {
    if (!isPlaceholder(key) || !rule.refusePlaceholders) keys.set(key, client);
    else {
      rule.problems.warning(
        ["mcpProxy", "apiKeys", key],
        `the API key of "${client.clientId}" is printed in a manual, so everybody knows it: it is ignored`,
        {
          code: "config.placeholder",
          at: "key",
          hint: "replace it by a random one, for instance from: openssl rand -hex 32",
        },
      );
    }
  }
  return keys;
}

export function fileApiKeys(proxy: ProxyFile): Map<string, ApiKeyConfig> | undefined {
  if (proxy.apiKeys === undefined) return undefined;
  return new Map(
    Object.entries(proxy.apiKeys).map(([key, entry]) => [
      key,
      { clientId: entry.client_id, scopes: entry.scopes ?? ["*"] },
    ]),
  );
}

export function readIdentityProvider(file: ProxyFile["identityProvider"]): IdentityProviderConfig | undefined {
  if (file === undefined) return undefined;
  return {
    issuer: file.issuer,
    clientId: file.clientId,
    clientSecret: file.clientSecret,
    audience: file.audience,
    scopes: file.scopes ?? ["openid", "email", "profile"],
    jwksUri: file.jwksUri,
  };
}

export function readOAuth(file: OAuth2File): OAuthConfig {
  const documents = file.clientIdMetadata;
  return {
    allowedIPs: file.allowedIPs ?? [],
    // 0 means "not set" in the Go program; a token without a life would lock everybody out.
    tokenExpirationMs: (file.tokenExpirationMinutes || 60) * MINUTE,
    refreshTokenExpirationMs: (file.refreshTokenExpirationDays || 30) * DAY,
    registrationsPerMinute: file.registrationsPerMinute ?? 60,
    templateDir: file.templateDir || "templates",
    allowedRedirectURIs: file.allowedRedirectURIs ?? [],
    clientIdMetadata: {
      enabled: documents?.enabled ?? true,
      allowedHosts: documents?.allowedHosts ?? [],
      allowPrivateNetwork: documents?.allowPrivateNetwork ?? false,
    },
  };
}

export interface GroupContext {
  readonly order: readonly string[];
  /** Servers of the file, those switched off included. */
  readonly known: ReadonlySet<string>;
  readonly served: ReadonlySet<string>;
  readonly oauthDefault: boolean;
  readonly tokenRule: TokenRule;
  readonly problems: Problems;
}

export function readGroups(file: ConfigFile, context: GroupContext): Map<string, GroupConfig> {
  const groups = new Map<string, GroupConfig>();
  for (const name of context.order) {
    const group = file.groups && Object.hasOwn(file.groups, name) ? file.groups[name] : undefined;
    if (group === undefined) continue;
    if (context.known.has(name)) {
      context.problems.error(["groups", name], "a server has this name too, and both would have the same URL", {
        at: "key",
      });
    }
    if (group.servers.length === 0)
      context.problems.warning(["groups", name, "servers"], "this group has no server, so nobody finds anything there");
    group.servers.forEach((server, index) => {
      if (group.servers.indexOf(server) !== index) {
        const message = `"${displayName(server)}" stands here a second time, which has no effect`;
        context.problems.warning(["groups", name, "servers", index], message);
      }
      if (context.known.has(server)) return;
      const near = nearest(server, [...context.known].map(displayName));
      context.problems.error(["groups", name, "servers", index], `there is no server "${displayName(server)}"`, {
        hint: near === undefined ? undefined : `did you mean "${near}"?`,
      });
    });
    // Without a word about who may come in it has no options of its own: it must not open what its servers protect.
    const own = group.options?.authTokens !== undefined || group.options?.oauth2 !== undefined;
    const options = own ? group.options : undefined;
    groups.set(name, {
      name,
      servers: [...new Set(group.servers)].filter((server) => context.served.has(server)),
      tools: group.tools,
      options: options && {
        authTokens: readTokens(options.authTokens, ["groups", name, "options", "authTokens"], context.tokenRule),
        oauth: options.oauth2?.enabled ?? context.oauthDefault,
      },
    });
  }
  return groups;
}
