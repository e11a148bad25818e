import { DEFAULT_SCOPE, SCOPES } from "./capabilities.ts";
import { OAuthError } from "./errors.ts";

/** What is granted of what is asked: unknown scopes are dropped, and asking for nothing we know means all of `mcp`. */
export function grantedScopes(asked: string | undefined): string[] {
  const words = new Set((asked ?? "").split(" "));
  const known = SCOPES.filter((scope) => words.has(scope));
  return known.length === 0 ? [DEFAULT_SCOPE] : known;
}

/** @throws OAuthError when a refresh asks for more than was granted (RFC 6749 section 6) */
export function narrowScopes(granted: readonly string[], asked: string | undefined): readonly string[] {
  const words = (asked ?? "").split(" ").filter((word) => word !== "");
  if (words.length === 0) return granted;
  if (words.some((word) => !granted.includes(word))) {
    throw new OAuthError("invalid_scope", `only what was granted can be refreshed: ${granted.join(" ")}`);
  }
  return granted.filter((scope) => words.includes(scope));
}
