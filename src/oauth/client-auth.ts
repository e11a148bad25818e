import type { Client } from "./clients.ts";
import { digest, sameText } from "./digest.ts";
import { OAuthError } from "./errors.ts";
import type { Params } from "./params.ts";

/** Who asks at the token, revocation and introspection endpoints. */
export interface ClientLookup {
  /** Registered ones, and those whose id is the address of their document. */
  known(id: string): Client | undefined;
}

/**
 * Authenticates a client in the way it registered for, and in no other (RFC 6749 section 2.3: one method a request).
 * @throws OAuthError invalid_client, invalid_request
 */
export function authenticateClient(params: Params, authorization: string | null, clients: ClientLookup): Client {
  const basic = readBasic(authorization);
  const posted = params.get("client_secret");
  const failed = (message: string): OAuthError =>
    new OAuthError(
      "invalid_client",
      message,
      basic === undefined ? {} : { headers: { "WWW-Authenticate": 'Basic realm="mcp-proxy"' } },
    );
  if (basic !== undefined && posted !== undefined)
    throw new OAuthError("invalid_request", "authenticate in one way only, not by header and body");
  const named = params.get("client_id");
  if (basic !== undefined && named !== undefined && named !== basic.id)
    throw new OAuthError("invalid_request", "client_id and the Authorization header differ");
  const id = basic?.id ?? named;
  if (id === undefined) throw failed("client_id is missing");
  const client = clients.known(id);
  if (client === undefined) throw failed("this client is not registered here (any more); register again");
  const method = basic !== undefined ? "client_secret_basic" : posted !== undefined ? "client_secret_post" : "none";
  const expected = client.metadata.token_endpoint_auth_method;
  if (method !== expected) throw failed(`this client registered with token_endpoint_auth_method ${expected}`);
  if (client.secretDigest !== undefined && !sameText(client.secretDigest, digest(basic?.secret ?? posted ?? ""))) {
    throw failed("the client's secret is wrong");
  }
  return client;
}

/** Both parts are form-encoded (RFC 6749 section 2.3.1). */
function readBasic(authorization: string | null): { id: string; secret: string } | undefined {
  if (authorization === null || !/^basic /i.test(authorization)) return undefined;
  const text = Buffer.from(authorization.slice("basic ".length).trim(), "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon === -1) throw new OAuthError("invalid_request", "the Authorization header is no Basic credential");
  try {
    return { id: decodeForm(text.slice(0, colon)), secret: decodeForm(text.slice(colon + 1)) };
  } catch {
    throw new OAuthError("invalid_request", "the Authorization header is no Basic credential");
  }
}

function decodeForm(text: string): string {
  return decodeURIComponent(text.replaceAll("+", " "));
}
