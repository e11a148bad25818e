/** What a program needs to run at all, and to reach the network the way this machine does. */
const SAFE = new Set([
  "HOME",
  "LOGNAME",
  "PATH",
  "SHELL",
  "TERM",
  "USER",
  "LANG",
  "TMPDIR",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "all_proxy",
  "no_proxy",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "NODE_EXTRA_CA_CERTS",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
]);

/** The proxy's own secrets: a child that got them could let people in, or open sealed sessions. */
const OWN_SECRETS = new Set(["MCP_API_KEYS", "AUTH0_CLIENT_SECRET", "API_ACCESS_TOKEN"]);
const OWN_PREFIX = "MCP_PROXY_";
/** Set by `main.ts` for this process alone. */
const OWN_SETTING = "BUN_CONFIG_MAX_HTTP_REQUESTS";

export function isOwnSecret(name: string): boolean {
  return OWN_SECRETS.has(name) || name.startsWith(OWN_PREFIX);
}

/**
 * The environment of a child. What the configuration sets by name is handed on as it is, also under the name of one of
 * our secrets: another mcp-proxy may be the child.
 */
export function childEnvironment(
  inherited: Readonly<Record<string, string | undefined>>,
  passAll: boolean,
  own: Readonly<Record<string, string | number | boolean>>,
): Record<string, string> {
  const entries: [string, string][] = [];
  for (const [name, value] of Object.entries(inherited)) {
    if (value === undefined || isOwnSecret(name) || name === OWN_SETTING) continue;
    if (passAll || SAFE.has(name)) entries.push([name, value]);
  }
  for (const [name, value] of Object.entries(own)) entries.push([name, String(value)]);
  return Object.fromEntries(entries);
}
