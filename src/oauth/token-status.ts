import type { Clock } from "../telemetry/clock.ts";
import type { Client } from "./clients.ts";
import type { Grants } from "./grants.ts";
import type { Params } from "./params.ts";

/** Revokes a token of this client (RFC 7009); a refresh token takes its whole grant along. Others are none of its business. */
export async function revoke(params: Params, client: Client, grants: Grants): Promise<void> {
  const token = params.need("token");
  const refresh = grants.find(token, "refresh");
  if (refresh !== undefined) {
    if (refresh.grant.client === client.id) await grants.end(refresh.grant, "its client revoked it");
    return;
  }
  const access = grants.find(token, "access");
  if (access === undefined || access.grant.client !== client.id) return;
  const { grant, pair } = access;
  if (pair.refresh === undefined) return await grants.end(grant, "its client revoked it");
  grant.pairs = grant.pairs.map((each) => (each === pair ? { ...pair, accessExpires: 0 } : each));
  grants.forgetTokens();
  await grants.save(grant);
}

/** What a client may know of a token (RFC 7662): of its own, while they live; of all others nothing. */
export function introspect(
  params: Params,
  client: Client,
  grants: Grants,
  clock: Clock,
  issuer: string,
): Record<string, unknown> {
  const token = params.need("token");
  for (const kind of ["access", "refresh"] as const) {
    const found = grants.find(token, kind);
    if (found === undefined || found.grant.client !== client.id) continue;
    const { grant, pair } = found;
    const expires = kind === "access" ? pair.accessExpires : pair.refreshExpires;
    if (clock.now() >= expires || (kind === "refresh" && pair.refreshed !== undefined)) break;
    return {
      active: true,
      client_id: grant.client,
      scope: pair.scopes.join(" "),
      exp: Math.floor(expires / 1_000),
      iat: Math.floor(grant.made / 1_000),
      iss: issuer,
      token_type: kind === "access" ? "Bearer" : "refresh_token",
      ...(grant.user === undefined ? {} : { username: grant.user, sub: grant.user }),
    };
  }
  return { active: false };
}
