import { createHash } from "node:crypto";
import type { Clock } from "../telemetry/clock.ts";
import { GRANT_TYPES, supports } from "./capabilities.ts";
import type { Client } from "./clients.ts";
import { digest, sameText } from "./digest.ts";
import { OAuthError } from "./errors.ts";
import { codeUse, refreshUse } from "./grant.ts";
import type { Grant } from "./grant.ts";
import type { Grants, Issued, Lifetimes } from "./grants.ts";
import type { Params } from "./params.ts";
import { narrowScopes } from "./scopes.ts";

export interface TokenDeps {
  readonly grants: Grants;
  readonly clock: Clock;
  readonly lifetimes: Lifetimes;
  /** Whether the login behind a grant still holds where it was made. @throws OAuthError when it does not */
  readonly confirm: (grant: Grant) => Promise<void>;
  /** The audience of a `resource` a client names. */
  readonly audienceOf: (resource: string) => string | undefined;
}

const INVALID_CODE = "the code is not valid (any more); log in again";
const INVALID_REFRESH = "the refresh token is not valid (any more); log in again";

/** The grant of a token request (RFC 6749 sections 4.1.3 and 6). @throws OAuthError */
export async function tokenRequest(params: Params, client: Client, deps: TokenDeps): Promise<Record<string, unknown>> {
  const type = params.need("grant_type");
  if (!supports(GRANT_TYPES, type)) {
    throw new OAuthError("unsupported_grant_type", `grant_type must be one of ${GRANT_TYPES.join(", ")}`);
  }
  if (!client.metadata.grant_types.includes(type))
    throw new OAuthError("unauthorized_client", `this client did not register for ${type}`);
  const issued =
    type === "authorization_code" ? await redeem(params, client, deps) : await refresh(params, client, deps);
  return {
    access_token: issued.access,
    token_type: "Bearer",
    expires_in: issued.expiresInSeconds,
    scope: issued.scopes.join(" "),
    ...(issued.refresh === undefined ? {} : { refresh_token: issued.refresh }),
  };
}

async function redeem(params: Params, client: Client, deps: TokenDeps): Promise<Issued> {
  const { grants, clock, lifetimes } = deps;
  const invalid = (): OAuthError => new OAuthError("invalid_grant", INVALID_CODE);
  const text = params.need("code");
  const verifier = params.get("code_verifier");
  const redirectUri = params.get("redirect_uri");
  const grant = grants.named(text, "code");
  const code = grant?.code;
  if (grant === undefined || code === undefined || grant.client !== client.id || !sameText(code.digest, digest(text)))
    throw invalid();
  const use = codeUse(code, clock.now());
  if (use === "replayed") {
    await grants.end(grant, "its code was used twice, so one of the two had stolen it");
    throw invalid();
  }
  if (use !== "good") throw invalid();
  // Nothing below consumes the code before everything fits: a failed attempt by others must not lock the client out.
  if (redirectUri === undefined ? code.redirectGiven : redirectUri !== code.redirectUri) {
    throw new OAuthError("invalid_grant", "redirect_uri is not the one the login was asked for with");
  }
  if (
    verifier === undefined ||
    !/^[A-Za-z0-9._~-]{43,128}$/.test(verifier) ||
    !sameText(challengeOf(verifier), code.challenge)
  ) {
    throw new OAuthError("invalid_grant", "code_verifier does not fit the code_challenge of the login");
  }
  const audience = narrowAudience(params, grant.audience, deps);
  code.redeemed = clock.now();
  const issued = grants.issue(grant, {
    scopes: grant.scopes,
    audience,
    refreshable: client.metadata.grant_types.includes("refresh_token"),
    lifetimes,
  });
  await grants.save(grant);
  code.redeemed = clock.now();
  grants.expectUse(grant);
  return issued;
}

async function refresh(params: Params, client: Client, deps: TokenDeps): Promise<Issued> {
  const { grants, clock, lifetimes } = deps;
  const text = params.need("refresh_token");
  const scope = params.get("scope");
  const invalid = (): OAuthError => new OAuthError("invalid_grant", INVALID_REFRESH);
  const named = grants.named(text, "refresh");
  if (named === undefined || named.client !== client.id) throw invalid();
  if (named.retired.includes(digest(text))) return await reused(named, deps);
  if (grants.find(text, "refresh") === undefined) throw invalid();
  await deps.confirm(named);
  // Nothing waits from here on: of several requests with one token, each sees what the one before has done.
  const found = grants.find(text, "refresh");
  if (found === undefined) throw invalid();
  const { grant, pair } = found;
  const now = clock.now();
  const use = refreshUse(grant, pair, now);
  if (use === "reused") return await reused(grant, deps);
  if (use !== "good") throw invalid();
  const scopes = narrowScopes(pair.scopes, scope);
  const audience = narrowAudience(params, pair.audience, deps);
  pair.refreshed ??= now;
  pair.seen = true;
  pair.children++;
  const issued = grants.issue(grant, { parent: pair, scopes, audience, refreshable: true, lifetimes });
  await grants.save(grant);
  return issued;
}

async function reused(grant: Grant, { grants }: TokenDeps): Promise<never> {
  await grants.end(grant, "a refresh token was used again after its successor, so one of the two had stolen it");
  throw new OAuthError("invalid_grant", INVALID_REFRESH);
}

/** A token for one endpoint out of a grant for everything is fine; the other way is not (RFC 8707 section 2.2). */
function narrowAudience(params: Params, granted: string | undefined, deps: TokenDeps): string | undefined {
  const asked = params.all("resource");
  if (asked.length > 1) throw new OAuthError("invalid_target", "name one resource");
  if (asked[0] === undefined) return granted;
  const audience = deps.audienceOf(asked[0]);
  if (audience === undefined || (granted !== undefined && audience !== granted)) {
    throw new OAuthError("invalid_target", "resource is not the endpoint the login was for");
  }
  return audience;
}

export function challengeOf(verifier: string): string {
  return createHash("sha256").update(verifier).digest("base64url");
}
