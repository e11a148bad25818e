/**
 * What this authorization server supports: the one description that the metadata shows and the validators obey.
 */
export const SCOPES = ["mcp", "offline_access"] as const;
/** Everything the user may use. */
export const DEFAULT_SCOPE = "mcp";
export const GRANT_TYPES = ["authorization_code", "refresh_token"] as const;
export const RESPONSE_TYPES = ["code"] as const;
export const RESPONSE_MODES = ["query"] as const;
export const CHALLENGE_METHODS = ["S256"] as const;
export const AUTH_METHODS = ["none", "client_secret_post", "client_secret_basic"] as const;
export type AuthMethod = (typeof AUTH_METHODS)[number];

export const PATHS = {
  authorize: "/oauth/authorize",
  token: "/oauth/token",
  register: "/oauth/register",
  revoke: "/oauth/revoke",
  introspect: "/oauth/introspect",
} as const;

/** Whether one of the lists above names something. */
export function supports(list: readonly string[], what: string | undefined): boolean {
  return what !== undefined && list.includes(what);
}

/** Authorization server metadata (RFC 8414 section 2). @param issuer public base URL without a trailing slash */
export function serverMetadata(issuer: string, documents: boolean): Record<string, unknown> {
  const secrets = AUTH_METHODS.filter((method) => method !== "none");
  return {
    issuer,
    authorization_endpoint: issuer + PATHS.authorize,
    token_endpoint: issuer + PATHS.token,
    registration_endpoint: issuer + PATHS.register,
    revocation_endpoint: issuer + PATHS.revoke,
    introspection_endpoint: issuer + PATHS.introspect,
    response_types_supported: RESPONSE_TYPES,
    response_modes_supported: RESPONSE_MODES,
    grant_types_supported: GRANT_TYPES,
    code_challenge_methods_supported: CHALLENGE_METHODS,
    token_endpoint_auth_methods_supported: AUTH_METHODS,
    revocation_endpoint_auth_methods_supported: AUTH_METHODS,
    introspection_endpoint_auth_methods_supported: secrets,
    scopes_supported: SCOPES,
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: documents,
  };
}

/** Protected resource metadata (RFC 9728 section 2). `offline_access` says nothing about a resource, so it is left out. */
export function resourceMetadata(resource: string, issuer: string, name: string): Record<string, unknown> {
  return {
    resource,
    authorization_servers: [issuer],
    scopes_supported: [DEFAULT_SCOPE],
    bearer_methods_supported: ["header"],
    resource_name: name,
  };
}
