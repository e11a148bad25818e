/** Callbacks of the clients people use, exactly as they register them. */
const OFFICIAL = [
  "https://claude.ai/api/mcp/auth_callback",
  "https://claude.com/api/mcp/auth_callback",
  "https://chatgpt.com/connector_platform_oauth_redirect",
  "https://vscode.dev/redirect",
  "https://insiders.vscode.dev/redirect",
  "https://www.cursor.com/agents/mcp/oauth/callback",
  "https://cursor.com/agents/mcp/oauth/callback",
  "cursor://anysphere.cursor-mcp/oauth/callback",
];
/** Each connector of ChatGPT has an id of its own. */
const OFFICIAL_FORMS = [/^https:\/\/chatgpt\.com\/connector\/oauth\/[A-Za-z0-9_-]{1,200}$/];
/** Hosts of the https callbacks above: where `allowedIPs` is set, documents are trusted from these only. */
export const OFFICIAL_HOSTS: readonly string[] = [
  ...new Set(
    OFFICIAL.map((uri) => new URL(uri))
      .filter((url) => url.protocol === "https:")
      .map((url) => url.hostname),
  ),
];

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);
const NEVER = new Set([
  "javascript:",
  "data:",
  "file:",
  "vbscript:",
  "blob:",
  "about:",
  "view-source:",
  "ws:",
  "wss:",
  "ftp:",
]);
const MAX_LENGTH = 2_048;

export interface RedirectPolicy {
  /** `allowedRedirectURIs`; a `*` stands for one or more labels of a host name. */
  readonly extra: readonly string[];
  /** Programs whose manual promises any https target (their consent page names where the answer goes). */
  readonly anyHttps: boolean;
}

export function isLoopbackRedirect(uri: string): boolean {
  const url = URL.parse(uri);
  return url !== null && url.protocol === "http:" && LOOPBACK.has(url.hostname);
}

/**
 * Whether an address may never receive a code, whatever is configured, and why.
 * @returns undefined when it is only a question of policy
 */
export function neverRedirect(uri: string): string | undefined {
  if (uri.length > MAX_LENGTH) return "it is too long";
  // Parsers drop or fold these; the browser would go elsewhere than the text says.
  // oxlint-disable-next-line no-control-regex -- finding them is the point
  if (/[\u0000-\u0020\u007f-\uffff\\*]/.test(uri))
    return "it holds blanks, backslashes, wildcards or characters that must be encoded";
  const url = URL.parse(uri);
  if (url === null) return "it is no absolute URL";
  if (uri.includes("#")) return "it has a fragment";
  if (NEVER.has(url.protocol)) return "a browser would run it or read a file";
  if (url.username !== "" || url.password !== "" || /^[a-z][a-z0-9+.-]*:\/\/[^/?]*@/i.test(uri))
    return "it holds a user name";
  if (url.protocol === "http:" && !isLoopbackRedirect(uri))
    return "plain http is for this computer (localhost, 127.0.0.1, [::1]) only";
  // 127.1 or 0x7f000001 mean loopback to a browser; the literal form is asked for so that it can be compared.
  if (url.protocol === "http:" && !/^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(\/|\?|$)/.test(uri))
    return "write loopback as localhost, 127.0.0.1 or [::1]";
  return undefined;
}

/** Whether an address may be registered under this policy. */
export function allowedRedirect(uri: string, policy: RedirectPolicy): boolean {
  if (neverRedirect(uri) !== undefined) return false;
  if (isLoopbackRedirect(uri) || OFFICIAL.includes(uri) || OFFICIAL_FORMS.some((form) => form.test(uri))) return true;
  if (policy.anyHttps && uri.startsWith("https://")) return true;
  return policy.extra.some((pattern) => matchesPattern(uri, pattern));
}

function matchesPattern(uri: string, pattern: string): boolean {
  if (!pattern.includes("*")) return uri === pattern;
  const parts = /^([a-z][a-z0-9+.-]*:\/\/)([^/]*)(.*)$/i.exec(pattern);
  if (parts === null) return false;
  const [, scheme = "", host = "", rest = ""] = parts;
  const escape = (text: string): string => text.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&");
  const hostForm = escape(host).replaceAll("*", "[a-z0-9-]+(?:\\.[a-z0-9-]+)*");
  // Only names of hosts and, at the very end, paths have a pattern: `https://*` must not reach over to the path.
  // A browser resolves dot segments: what is below the path by its text would be beside it.
  if (/\/\.{1,2}(\/|\?|$)/.test(uri)) return false;
  const restForm = rest.endsWith("/*") ? `${escape(rest.slice(0, -1))}[A-Za-z0-9._~/-]*` : escape(rest);
  return new RegExp(`^${escape(scheme)}${hostForm}${restForm}$`).test(uri);
}

/**
 * The registered address that a request's address matches: the same text, but for the port of a loopback address, which
 * a native program cannot choose beforehand (RFC 8252 section 7.3).
 */
export function matchingRedirect(asked: string, registered: readonly string[]): boolean {
  if (neverRedirect(asked) !== undefined) return false;
  if (registered.includes(asked)) return true;
  if (!isLoopbackRedirect(asked)) return false;
  const plain = withoutPort(asked);
  return registered.some((uri) => isLoopbackRedirect(uri) && withoutPort(uri) === plain);
}

function withoutPort(uri: string): string {
  return uri.replace(/^(http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])):\d+/, "$1");
}

/** The address with an answer added to whatever query it has. */
export function withAnswer(uri: string, answer: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(answer)) if (value !== undefined) query.set(name, value);
  return `${uri}${uri.includes("?") ? (/[?&]$/.test(uri) ? "" : "&") : "?"}${query.toString()}`;
}
