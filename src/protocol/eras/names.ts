/** Words of the stateless revision (MCP 2026-07-28). */
export const MODERN_VERSION = "2026-07-28";

/** Stateless revisions spoken here, newest first. */
export const MODERN_VERSIONS: readonly string[] = [MODERN_VERSION];

const PREFIX = "io.modelcontextprotocol/";

/** Keys of `_meta` (basic/index). */
export const Meta = {
  protocolVersion: `${PREFIX}protocolVersion`,
  clientCapabilities: `${PREFIX}clientCapabilities`,
  clientInfo: `${PREFIX}clientInfo`,
  logLevel: `${PREFIX}logLevel`,
  serverInfo: `${PREFIX}serverInfo`,
  subscriptionId: `${PREFIX}subscriptionId`,
} as const;

/** The extension that took the place of the tasks of 2025-11-25, and speaks differently. */
export const TASKS_EXTENSION = `${PREFIX}tasks`;

/** Keys of `_meta` that only the link between one client and one server understands. */
export const ENVELOPE_KEYS: ReadonlySet<string> = new Set([
  Meta.protocolVersion,
  Meta.clientCapabilities,
  Meta.clientInfo,
  Meta.logLevel,
]);

/** Error codes of this revision (basic/index). */
export const ModernCode = {
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
} as const;

/** Results that say how long they may be kept (server/utilities/caching). */
export const CACHEABLE: ReadonlySet<string> = new Set([
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
]);

/** Requests whose answer may be a question (basic/patterns/mrtr). */
export const MULTI_ROUND: ReadonlySet<string> = new Set(["tools/call", "prompts/get", "resources/read"]);

/** What servers ask of clients, in both eras. */
export const QUESTIONS: ReadonlySet<string> = new Set(["elicitation/create", "sampling/createMessage", "roots/list"]);

/** Requests that this revision took away. */
export const GONE: ReadonlySet<string> = new Set([
  "initialize",
  "ping",
  "logging/setLevel",
  "resources/subscribe",
  "resources/unsubscribe",
]);

/** Whether a version header names this revision or a later one: versions are dates. */
export function isModernVersion(version: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(version) && version >= MODERN_VERSION;
}
