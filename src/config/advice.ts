import { isHash } from "./password-hash.ts";
import type { Path, Problems } from "./problem.ts";
import type { ProxyFile } from "./schema.ts";
import type { OAuth2File } from "./schema-options.ts";

/** Addresses from which Claude came when the Go program's manual was written, and which it has given up. */
const FORMER_CLAUDE = new Set(["34.162.46.92", "34.162.102.82", "34.162.136.91", "34.162.142.92", "34.162.183.95"]);
const CLAUDE = "160.79.104.0/21";

/** What works as it is written, and is not what its author would want if he knew. */
export function adviseOnAccess(proxy: ProxyFile, oauth2: OAuth2File | undefined, problems: Problems): void {
  adviseOnPasswords(["mcpProxy", "options", "oauth2", "users"], oauth2?.users, problems);
  adviseOnPasswords(["mcpProxy", "users"], proxy.users, problems);
  const former = (oauth2?.allowedIPs ?? []).filter((address) => FORMER_CLAUDE.has(address));
  if (former.length === 0) return;
  const what = former.length === 1 ? "an address" : `${former.length} addresses`;
  problems.warning(
    ["mcpProxy", "options", "oauth2", "allowedIPs"],
    `this holds ${what} that Anthropic no longer uses; the current range is ${CLAUDE}`,
    { code: "config.former_address", hint: `write "claude" (the range by name) or "${CLAUDE}" instead` },
  );
}

function adviseOnPasswords(
  path: Path,
  users: Readonly<Record<string, string | { readonly password?: string | undefined }>> | undefined,
  problems: Problems,
): void {
  for (const [name, entry] of Object.entries(users ?? {})) {
    const password = typeof entry === "string" ? entry : entry.password;
    if (password === undefined || password === "" || isHash(password)) continue;
    const at = typeof entry === "string" ? [...path, name] : [...path, name, "password"];
    const hint = "replace it by what this prints: mcp-proxy hash-password";
    problems.warning(at, "this is a plain-text password", { code: "config.plain_password", at: "key", hint });
  }
}
