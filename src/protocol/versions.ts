/** Protocol versions with `initialize` and sessions, oldest first. */
export const LEGACY_VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] as const;

export const LATEST_LEGACY = "2025-11-25";

/** What a request without the version header speaks (MCP 2025-06-18, transports, "Protocol Version Header"). */
export const VERSION_WITHOUT_HEADER = "2025-03-26";

export function isLegacyVersion(version: string): boolean {
  return (LEGACY_VERSIONS as readonly string[]).includes(version);
}

/** What `initialize` answers: the client's version where it is known, else the newest legacy one. */
export function negotiate(requested: unknown): string {
  return typeof requested === "string" && isLegacyVersion(requested) ? requested : LATEST_LEGACY;
}

/** JSON-RPC batches exist in this version only (added by 2025-03-26, removed by 2025-06-18). */
export function allowsBatches(version: string): boolean {
  return version === "2025-03-26";
}
