/** First segments of paths that are the proxy's own. */
const OWN_PATHS = new Set([
  "health",
  "livez",
  "readyz",
  "status",
  "metrics",
  "mcp",
  "sse",
  "message",
  "messages",
  "oauth",
  ".well-known",
  "auth",
  "register",
  "authorize",
  "token",
  "revoke",
  "introspect",
  "login",
  "logout",
  "consent",
  "favicon.ico",
  "robots.txt",
]);

/** Why a name cannot be part of a URL, or undefined when it can. Slashes are allowed and used as they are. */
export function nameMistake(name: string): string | undefined {
  if (name === "") return "a name must not be empty";
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/.test(name)) {
    return "a name must not hold control or invisible characters";
  }
  if (/[?#\\]/.test(name)) return 'a name must not hold "?", "#" or a backslash, which end the path of a URL';
  const segments = name.split("/");
  if (segments.includes("")) return "a name must not begin or end with a slash, nor hold two in a row";
  if (segments.some((segment) => segment === "." || segment === "..")) {
    return 'a name must not hold "." or ".." between slashes, which clients resolve away';
  }
  return undefined;
}

/** A path of the proxy that a server of this name would hide, or undefined. */
export function hiddenPath(name: string): string | undefined {
  const first = name.split("/")[0] ?? "";
  return OWN_PATHS.has(first.toLowerCase()) ? `/${first}` : undefined;
}
