import { AUTH_METHODS, GRANT_TYPES, RESPONSE_TYPES, SCOPES, supports } from "./capabilities.ts";
import type { AuthMethod } from "./capabilities.ts";
import { OAuthError } from "./errors.ts";
import { allowedRedirect, neverRedirect } from "./redirect-uri.ts";
import type { RedirectPolicy } from "./redirect-uri.ts";

const MAX_REDIRECTS = 20;
const MAX_TEXT = 512;
const MAX_URL = 2_048;
const MAX_CONTACTS = 10;
/** Characters that are kept of one client in all; strangers can make thousands of them. Real ones have some hundred. */
const MAX_WHOLE = 8_192;

/** What a client says of itself (RFC 7591 section 2), checked. Absent fields are absent. */
export interface ClientMetadata {
  readonly redirect_uris: readonly string[];
  readonly token_endpoint_auth_method: AuthMethod;
  readonly grant_types: readonly string[];
  readonly response_types: readonly string[];
  readonly client_name?: string;
  readonly client_uri?: string;
  readonly logo_uri?: string;
  readonly tos_uri?: string;
  readonly policy_uri?: string;
  readonly scope?: string;
  readonly contacts?: readonly string[];
  readonly software_id?: string;
  readonly software_version?: string;
  readonly application_type?: string;
}

const URL_FIELDS = ["client_uri", "logo_uri", "tos_uri", "policy_uri"] as const;
const TEXT_FIELDS = ["client_name", "software_id", "software_version"] as const;

/**
 * Checks what a client wants to register.
 * @throws OAuthError invalid_redirect_uri, invalid_client_metadata
 */
export function readMetadata(body: unknown, policy: RedirectPolicy): ClientMetadata {
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw bad("the body must be a JSON object");
  const input = body as Record<string, unknown>;
  const method = text(input, "token_endpoint_auth_method", MAX_TEXT) ?? "client_secret_basic";
  if (!supports(AUTH_METHODS, method)) {
    throw bad(`token_endpoint_auth_method must be one of ${AUTH_METHODS.join(", ")}`);
  }
  const applicationType = text(input, "application_type", MAX_TEXT);
  if (applicationType !== undefined && applicationType !== "web" && applicationType !== "native") {
    throw bad("application_type must be web or native");
  }
  const asked = strings(input, "grant_types", 20) ?? [...GRANT_TYPES];
  const grants = GRANT_TYPES.filter((grant) => asked.includes(grant));
  if (!grants.includes("authorization_code")) throw bad("grant_types must hold authorization_code");
  const responses = strings(input, "response_types", 20) ?? [...RESPONSE_TYPES];
  if (!responses.some((type) => supports(RESPONSE_TYPES, type)))
    throw bad(`response_types must hold ${RESPONSE_TYPES.join(", ")}`);
  const scope = text(input, "scope", MAX_URL);
  const known = scope?.split(" ").filter((word) => supports(SCOPES, word)) ?? [];
  const contacts = strings(input, "contacts", MAX_CONTACTS);
  const metadata: ClientMetadata = {
    redirect_uris: readRedirects(input["redirect_uris"], policy),
    token_endpoint_auth_method: method as AuthMethod,
    grant_types: grants,
    response_types: RESPONSE_TYPES,
    ...given(TEXT_FIELDS.map((name) => [name, text(input, name, MAX_TEXT)])),
    ...given(URL_FIELDS.map((name) => [name, webAddress(input, name)])),
    ...(known.length === 0 ? {} : { scope: known.join(" ") }),
    ...(contacts === undefined ? {} : { contacts }),
    ...(applicationType === undefined ? {} : { application_type: applicationType }),
  };
  if (JSON.stringify(metadata).length > MAX_WHOLE)
    throw bad(`a registration may have at most ${MAX_WHOLE} characters in all`);
  return metadata;
}

function readRedirects(value: unknown, policy: RedirectPolicy): string[] {
  const wrong = (message: string): OAuthError => new OAuthError("invalid_redirect_uri", message);
  if (!Array.isArray(value) || value.length === 0) throw wrong("redirect_uris must name at least one address");
  if (value.length > MAX_REDIRECTS) throw wrong(`redirect_uris may hold at most ${MAX_REDIRECTS} addresses`);
  const uris = value as unknown[];
  if (!uris.every((uri) => typeof uri === "string")) throw wrong("redirect_uris must be texts");
  for (const uri of uris) {
    const why = neverRedirect(uri);
    if (why !== undefined) throw wrong(`a redirect URI cannot be used: ${why}`);
  }
  const allowed = uris.filter((uri) => allowedRedirect(uri, policy));
  // Cursor names all its callbacks at once, new ones too; those that are not known here are simply not registered.
  const cursor = allowed.some((uri) => uri.startsWith("cursor://anysphere.cursor-mcp/"));
  if (allowed.length === 0 || (allowed.length < uris.length && !cursor)) {
    throw wrong("a redirect URI is not on the list of this server; its owner can add it to allowedRedirectURIs");
  }
  return [...new Set(allowed)];
}

/** Characters that reorder or hide text would let a name pose as another one. */
export function hasDeceptiveCharacters(value: string): boolean {
  // Controls, formats (which hold the bidirectional ones), lone surrogates, line ends, and letters that show nothing.
  return /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u2800\u3164\uffa0]/u.test(value);
}

function text(input: Record<string, unknown>, name: string, max: number): string | undefined {
  const value = input[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw bad(`${name} must be a text`);
  if (value.length > max) throw bad(`${name} may have at most ${max} characters`);
  if (hasDeceptiveCharacters(value)) throw bad(`${name} holds control or invisible characters`);
  // Nothing but blanks would be shown as nothing: then it has none.
  if (value.trim() === "") return undefined;
  return value;
}

function webAddress(input: Record<string, unknown>, name: string): string | undefined {
  const value = text(input, name, MAX_URL);
  if (value !== undefined && !/^https?:$/.test(URL.parse(value)?.protocol ?? ""))
    throw bad(`${name} must be an http or https URL`);
  return value;
}

function strings(input: Record<string, unknown>, name: string, max: number): string[] | undefined {
  const value = input[name];
  if (value === undefined || value === null) return undefined;
  const fits =
    Array.isArray(value) &&
    value.length <= max &&
    value.every((each) => typeof each === "string" && each.length <= MAX_TEXT);
  if (!fits) throw bad(`${name} must be a list of at most ${max} texts`);
  if ((value as string[]).some(hasDeceptiveCharacters)) throw bad(`${name} holds control or invisible characters`);
  return value as string[];
}

function given(fields: [string, string | undefined][]): Record<string, string> {
  return Object.fromEntries(fields.filter((field): field is [string, string] => field[1] !== undefined));
}

function bad(message: string): OAuthError {
  return new OAuthError("invalid_client_metadata", message);
}
