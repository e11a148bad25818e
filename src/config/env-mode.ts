import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import type { ApiKeyConfig, IdentityProviderConfig } from "./config.ts";
import { Document } from "./document.ts";
import { expandValue } from "./expand.ts";
import { Problems } from "./problem.ts";
import type { Problem } from "./problem.ts";
import { apiKeys as apiKeysSchema } from "./schema-options.ts";
import { isSecureUrl, SECURE_URL_HELP } from "./schema-parts.ts";
import { validate } from "./validate.ts";

/** What the variables of the two Python programs say about who may come in. */
export interface EnvironmentAccess {
  readonly apiKeys: ReadonlyMap<string, ApiKeyConfig> | undefined;
  readonly apiKeysFile: string | undefined;
  readonly usersFile: string | undefined;
  readonly identityProvider: IdentityProviderConfig | undefined;
  readonly authDisabled: boolean;
  readonly problems: readonly Problem[];
}

type Environment = Readonly<Record<string, string | undefined>>;

export function isYes(value: string | undefined): boolean {
  return /^(true|1|yes|on)$/i.test((value ?? "").trim());
}

/** Reads `MCP_API_KEYS`, `MCP_AUTH_PROVIDER`, `AUTH0_*` and the files they name. */
export function readEnvironmentAccess(env: Environment, cwd: string): EnvironmentAccess {
  const problems = new Problems("environment");
  const all: Problem[] = [];
  const authDisabled = isYes(env["MCP_DISABLE_AUTH"]);
  const named = ["MCP_API_KEYS", "MCP_API_KEYS_PATH"].filter((name) => env[name]?.trim());
  if (authDisabled && named.length > 0)
    problems.warning(["MCP_DISABLE_AUTH"], `MCP_DISABLE_AUTH is set, so ${named.join(" and ")} have no effect`);
  const keys = authDisabled ? undefined : env["MCP_API_KEYS"]?.trim();
  const apiKeys = keys ? parseApiKeys(keys, problems) : undefined;
  const apiKeysFile = authDisabled || keys ? undefined : env["MCP_API_KEYS_PATH"]?.trim() || undefined;
  if (apiKeysFile !== undefined) all.push(...checkKeyFile(apiKeysFile, cwd));
  const identityProvider = env["MCP_AUTH_PROVIDER"] ? readProvider(env, cwd, problems, all) : undefined;
  const usersFile = env["MCP_USERS_PATH"] || (identityProvider === undefined ? undefined : "/data/users.json");
  return { apiKeys, apiKeysFile, usersFile, identityProvider, authDisabled, problems: [...problems.list, ...all] };
}

/** `key:client,key:client`; only the first colon separates. */
function parseApiKeys(text: string, problems: Problems): Map<string, ApiKeyConfig> {
  const keys = new Map<string, ApiKeyConfig>();
  text.split(",").forEach((entry, index) => {
    const trimmed = entry.trim();
    if (trimmed === "") return;
    const colon = trimmed.indexOf(":");
    const key = trimmed.slice(0, Math.max(0, colon)).trim();
    const clientId = trimmed.slice(colon + 1).trim();
    if (key === "" || clientId === "") {
      problems.warning(["MCP_API_KEYS"], `entry ${index + 1} of MCP_API_KEYS is skipped: expected key:client`);
    } else {
      if (keys.has(key)) {
        problems.warning(
          ["MCP_API_KEYS"],
          `entry ${index + 1} of MCP_API_KEYS has the key of an earlier one; it counts`,
        );
      }
      keys.set(key, { clientId, scopes: ["*"] });
    }
  });
  if (keys.size === 0) {
    problems.error(["MCP_API_KEYS"], "no entry of MCP_API_KEYS is usable, so nobody could come in", {
      hint: "expected MCP_API_KEYS=key:client,key:client",
    });
  }
  return keys;
}

export function checkKeyFile(file: string, cwd: string): readonly Problem[] {
  const read = readJson(file, cwd);
  if ("problems" in read) return read.problems;
  const { document } = read;
  // The keys of this file are credentials; below "apiKeys" messages leave them out.
  const collect = new Problems(file, (path, at) => document.locate(path.slice(1), at));
  validate(apiKeysSchema, document.value(), collect, ["apiKeys"]);
  // What is only odd there is said by whoever follows the file.
  return collect.list.filter(({ severity }) => severity === "error");
}

const REQUIRED = ["AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_AUDIENCE", "MCP_BASE_URL"] as const;

function readProvider(
  given: Environment,
  cwd: string,
  problems: Problems,
  all: Problem[],
): IdentityProviderConfig | undefined {
  const env: Environment = { ...given, AUTH0_DOMAIN: plainDomain(given["AUTH0_DOMAIN"] ?? "") || undefined };
  if (env["MCP_AUTH_PROVIDER"] !== "oauth_proxy") {
    problems.error(["MCP_AUTH_PROVIDER"], 'MCP_AUTH_PROVIDER must be "oauth_proxy" or unset');
    return undefined;
  }
  const { settings, kind } = readAuthConfig(env, cwd, all);
  const domain = plainDomain(settings.domain ?? env["AUTH0_DOMAIN"] ?? "");
  if (domain === "" && !settings.issuer)
    problems.error(["AUTH0_DOMAIN"], "AUTH0_DOMAIN is not set", {
      hint: "the tenant's domain, such as tenant.eu.auth0.com",
    });
  else if (settings.issuer === undefined && !isSecureUrl(`https://${domain}/`))
    problems.error(["AUTH0_DOMAIN"], "AUTH0_DOMAIN is no domain", { hint: "write it as tenant.eu.auth0.com" });
  const audience = settings.audience ?? env["AUTH0_AUDIENCE"];
  for (const name of REQUIRED) {
    if (env[name] || (name === "AUTH0_AUDIENCE" && audience)) continue;
    problems.error([name], `${name} is not set`, { hint: "MCP_AUTH_PROVIDER=oauth_proxy needs it" });
  }
  const issuer = settings.issuer ?? `https://${domain}/`;
  // What the manual prints is Auth0's own place, which its discovery document names too; another provider, at the
  // address of which nothing else was changed, has its keys elsewhere.
  const printed = settings.jwks_uri === `${issuer.replace(/\/+$/, "")}/.well-known/jwks.json`;
  return {
    issuer,
    clientId: env["AUTH0_CLIENT_ID"] ?? "",
    clientSecret: env["AUTH0_CLIENT_SECRET"],
    audience,
    scopes: ["openid", "profile", "email"],
    jwksUri: printed ? undefined : settings.jwks_uri,
    kind,
  };
}

/** People copy the address from the browser as well. */
function plainDomain(text: string): string {
  return text
    .trim()
    .replace(/^https:\/\//i, "")
    .replace(/\/+$/, "");
}

const secureText = z.string().refine(isSecureUrl, { error: SECURE_URL_HELP });
const providerSettings = z.object({
  domain: z.string().optional(),
  jwks_uri: secureText.optional(),
  issuer: secureText.optional(),
  audience: z.string().optional(),
});
type ProviderSettings = z.infer<typeof providerSettings>;
const KINDS = ["auth0", "google", "keycloak", "okta", "microsoft", "generic_oidc"] as const;
const authConfig = z.object({
  provider: z.enum(KINDS).optional(),
  ...Object.fromEntries(KINDS.map((kind) => [kind, providerSettings.optional()])),
});

interface AuthConfig {
  readonly settings: ProviderSettings;
  readonly kind: string;
}

/** The optional `auth_config.json`; it stands in for variables where it is there. */
function readAuthConfig(env: Environment, cwd: string, all: Problem[]): AuthConfig {
  const named = env["MCP_AUTH_CONFIG_PATH"];
  const read = readJson(named || "/data/auth_config.json", cwd);
  if ("problems" in read) {
    if (!read.missing) all.push(...read.problems);
    return { settings: {}, kind: "auth0" };
  }
  const { document } = read;
  const collect = new Problems(named || "auth_config.json", (path, at) => document.locate(path, at));
  const { value, gaps } = expandValue(document.value(), { mode: "braces", env, directory: cwd, home: undefined });
  for (const gap of gaps) collect.error(gap.path, `${gap.kind} ${gap.name} ${gap.reason}`);
  const found = gaps.length === 0 ? validate(authConfig, value, collect).data : undefined;
  all.push(...collect.list);
  const kind = found?.provider ?? "auth0";
  const sections = (found ?? {}) as Readonly<Record<string, ProviderSettings | undefined>>;
  return { settings: sections[kind] ?? {}, kind };
}

type Read = { document: Document } | { problems: readonly Problem[]; missing: boolean };

function readJson(file: string, cwd: string): Read {
  let text: string;
  try {
    text = readFileSync(resolve(cwd, file), "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown reason";
    const collect = new Problems(file);
    collect.error([], code === "ENOENT" ? "the file does not exist" : `the file cannot be read (${code})`, {
      code: code === "ENOENT" ? "config.not_found" : "config.unreadable",
    });
    return { problems: collect.list, missing: code === "ENOENT" };
  }
  const parsed = Document.parse(text);
  if ("errors" in parsed) {
    const problems = parsed.errors.map(
      (error) => ({ code: "config.syntax", severity: "error", file, path: "", ...error }) as const,
    );
    return { problems, missing: false };
  }
  return { document: parsed.document };
}
