import type { Client } from "./clients.ts";
import { CHALLENGE_METHODS, RESPONSE_MODES, RESPONSE_TYPES, supports } from "./capabilities.ts";
import { OAuthError } from "./errors.ts";
import type { Params } from "./params.ts";
import { matchingRedirect, neverRedirect } from "./redirect-uri.ts";
import { grantedScopes } from "./scopes.ts";
import type { LoginRequest } from "./transaction.ts";

/** Something is wrong with who asks or where the answer would go: shown to the person, never sent anywhere. */
export class Unanswerable extends Error {
  readonly turn: Turn;
  /** The address that came and is not registered. */
  readonly redirectUri: string | undefined;
  readonly status: number;
  /** A `Set-Cookie` that goes with the page. */
  readonly cookie: string | undefined;

  constructor(message: string, turn: Turn, redirectUri?: string, more: { status?: number; cookie?: string } = {}) {
    super(message);
    this.turn = turn;
    this.redirectUri = redirectUri;
    this.status = more.status ?? 400;
    this.cookie = more.cookie;
  }
}

/** Whose turn it is. `later`: nobody's, waiting helps. `stranger`: a person who is no user here. */
export type Turn = "client" | "owner" | "person" | "later" | "stranger";

/** An error the client is told, at its redirect URI. */
export class Answerable extends Error {
  readonly error: OAuthError;
  readonly redirectUri: string;
  readonly state: string | undefined;

  constructor(error: OAuthError, redirectUri: string, state: string | undefined) {
    super(error.message);
    this.error = error;
    this.redirectUri = redirectUri;
    this.state = state;
  }
}

/** First who asks and where the answer goes, for until both are known nothing may be sent anywhere. @throws Unanswerable */
export function clientIdOf(params: Params): string {
  if (params.broken("client_id")) throw new Unanswerable("The app named itself more than once.", "client");
  const id = params.get("client_id");
  if (id === undefined) throw new Unanswerable("The app did not say who it is (client_id is missing).", "client");
  return id;
}

/** @throws Unanswerable when it is not one of the client's */
export function redirectUriOf(params: Params, client: Client): { uri: string; given: boolean } {
  if (params.broken("redirect_uri"))
    throw new Unanswerable("The app named more than one address for the answer.", "client");
  const asked = params.get("redirect_uri");
  const { redirect_uris: registered } = client.metadata;
  if (asked === undefined) {
    const [only, ...more] = registered;
    if (only === undefined || more.length > 0 || neverRedirect(only) !== undefined) {
      throw new Unanswerable("The app did not say where the answer should go (redirect_uri is missing).", "client");
    }
    return { uri: only, given: false };
  }
  if (!matchingRedirect(asked, registered)) {
    throw new Unanswerable("The address the answer should go to is not one this app has registered.", "client", asked);
  }
  return { uri: asked, given: true };
}

/** The rest of the request (OAuth 2.1 section 4.1.1). @throws Answerable */
export function readAuthorizeRequest(
  params: Params,
  client: Client,
  redirect: { uri: string; given: boolean },
  audienceOf: (resource: string) => string | undefined,
): LoginRequest {
  let state: string | undefined;
  try {
    state = params.get("state");
    const type = params.need("response_type");
    if (!supports(RESPONSE_TYPES, type))
      throw new OAuthError("unsupported_response_type", `response_type must be ${RESPONSE_TYPES.join(", ")}`);
    const challenge = params.get("code_challenge");
    if (challenge === undefined) throw new OAuthError("invalid_request", "code_challenge is missing: PKCE is needed");
    if (!supports(CHALLENGE_METHODS, params.get("code_challenge_method")))
      throw new OAuthError("invalid_request", `code_challenge_method must be ${CHALLENGE_METHODS.join(", ")}`);
    if (!/^[A-Za-z0-9._~-]{43,128}$/.test(challenge))
      throw new OAuthError("invalid_request", "code_challenge must be 43 to 128 unreserved characters");
    const mode = params.get("response_mode");
    if (mode !== undefined && !supports(RESPONSE_MODES, mode))
      throw new OAuthError("invalid_request", `response_mode must be ${RESPONSE_MODES.join(", ")}`);
    return {
      clientId: client.id,
      redirectUri: redirect.uri,
      redirectGiven: redirect.given,
      state,
      challenge,
      scopes: grantedScopes(params.get("scope")),
      resource: params.all("resource")[0],
      audience: readAudience(params.all("resource"), audienceOf),
    };
  } catch (error) {
    if (error instanceof OAuthError) throw new Answerable(error, redirect.uri, state);
    throw error;
  }
}

function readAudience(
  resources: readonly string[],
  audienceOf: (resource: string) => string | undefined,
): string | undefined {
  if (resources.length > 1) throw new OAuthError("invalid_target", "name one resource");
  if (resources[0] === undefined) return undefined;
  const audience = audienceOf(resources[0]);
  if (audience === undefined)
    throw new OAuthError("invalid_target", "resource is no endpoint of this server that has a login");
  return audience;
}
