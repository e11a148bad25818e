import { recordOf } from "../protocol/parsed.ts";
import { readFile } from "node:fs/promises";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { AuthorizationServer } from "./authorization-server.ts";
import { GRANT_TYPES, RESPONSE_TYPES } from "./capabilities.ts";
import type { Client } from "./clients.ts";
import { digest } from "./digest.ts";
import type { Grant } from "./grant.ts";
import { grantedScopes } from "./scopes.ts";
import { adoptedGrantId } from "./tokens.ts";

type Fields = Readonly<Record<string, unknown>>;

/** How long a refresh token that was taken over is good; its file does not say. */
const ADOPTED_REFRESH_MS = 30 * 86_400_000;

/**
 * Takes over the clients and tokens of the Go program, once, when there is no state of our own yet. Secrets are hashed
 * on the way; the file stays as it is.
 */
export async function adoptGoState(file: string, server: AuthorizationServer, clock: Clock, log: Log): Promise<void> {
  let content: Fields;
  try {
    content = recordOf(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    const why = error instanceof Error && "code" in error ? error.message : "it is not JSON";
    return log.warn({ file }, `${file} could not be taken over (${why}); its clients have to register again`);
  }
  const whole = "clients" in content || "accessTokens" in content;
  let clients = 0;
  let tokens = 0;
  for (const [id, value] of Object.entries(recordOf(whole ? content["clients"] : content))) {
    const client = readClient(id, recordOf(value), clock.now());
    if (client === undefined) continue;
    await server.clients.add(client);
    clients++;
  }
  for (const [key, value] of Object.entries(recordOf(whole ? content["accessTokens"] : {}))) {
    const grants = readTokens(key, recordOf(value), server, clock.now());
    for (const grant of grants) await server.grants.adopt(grant);
    if (grants.length > 0) tokens++;
  }
  log.info(
    { file, clients, tokens },
    `took over ${clients} clients and ${tokens} logins from ${file}, which stays as it is and is not read again`,
  );
}

function readClient(key: string, fields: Fields, now: number): Client | undefined {
  const id = textOf(fields, "client_id", "ClientID") ?? key;
  const uris = fields["redirect_uris"] ?? fields["RedirectURIs"];
  if (id === "" || !Array.isArray(uris) || !uris.every((uri) => typeof uri === "string")) return undefined;
  const secret = textOf(fields, "client_secret", "ClientSecret");
  const name = textOf(fields, "client_name", "ClientName");
  const method = textOf(fields, "token_endpoint_auth_method");
  const posted = method === "client_secret_basic" ? method : "client_secret_post";
  return {
    id,
    // Those without a login may stay as long as a fresh one: their users are likely to come back to them.
    made: now,
    secretDigest: secret === undefined ? undefined : digest(secret),
    metadata: {
      redirect_uris: uris,
      token_endpoint_auth_method: secret === undefined || method === "none" ? "none" : posted,
      grant_types: GRANT_TYPES,
      response_types: RESPONSE_TYPES,
      ...(name === undefined ? {} : { client_name: name.slice(0, 512) }),
    },
  };
}

/** The access token and its refresh token, each as a grant that is found by the token itself. */
function readTokens(key: string, fields: Fields, server: AuthorizationServer, now: number): Grant[] {
  const access = textOf(fields, "Token", "token", "access_token") ?? key;
  const refresh = textOf(fields, "RefreshToken", "refresh_token", "refreshToken");
  const client = textOf(fields, "ClientID", "client_id", "clientId") ?? "";
  const expires = timeOf(fields["ExpiresAt"] ?? fields["expires_at"] ?? fields["expiresAt"]);
  const resource = textOf(fields, "Resource", "resource");
  const user = textOf(fields, "Username", "username");
  const scopes = grantedScopes(textOf(fields, "Scope", "scope"));
  const local = resource === undefined ? undefined : server.urls.localPath(resource, null);
  const audience = local === undefined || local === "/" ? undefined : server.resources.audience(local);
  const one = (
    token: string,
    as: { access: string; accessExpires: number; refresh: string | undefined; refreshExpires: number },
  ): Grant => ({
    id: adoptedGrantId(token),
    client,
    user,
    passwordMark: undefined,
    scopes,
    audience,
    made: now,
    code: undefined,
    pairs: [{ id: 1, parent: undefined, ...as, scopes, audience, seen: false, refreshed: undefined, children: 0 }],
    retired: [],
  });
  const grants: Grant[] = [];
  if (expires > now)
    grants.push(one(access, { access: digest(access), accessExpires: expires, refresh: undefined, refreshExpires: 0 }));
  if (refresh !== undefined)
    grants.push(
      one(refresh, {
        access: "",
        accessExpires: 0,
        refresh: digest(refresh),
        refreshExpires: now + ADOPTED_REFRESH_MS,
      }),
    );
  return grants;
}

function textOf(fields: Fields, ...names: string[]): string | undefined {
  for (const name of names) {
    const value = fields[name];
    if (typeof value === "string" && value !== "") return value;
  }
  return undefined;
}

/** A time as Go writes it, or seconds. */
function timeOf(value: unknown): number {
  if (typeof value === "number") return value < 1e12 ? value * 1_000 : value;
  const time = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? 0 : time;
}
