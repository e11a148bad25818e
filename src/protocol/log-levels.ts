/** MCP, logging: RFC 5424 severities, most verbose first. */
const LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/** Position of a level, 0 being the most verbose; -1 for a word that is none. */
export function levelRank(level: string | undefined): number {
  return level === undefined ? -1 : LEVELS.indexOf(level);
}

export function levelName(rank: number): string {
  return LEVELS[rank] ?? "info";
}

/** What a session that never chose a level gets once another one on the same connection has made the server talk. */
export const DEFAULT_RANK = levelRank("info");
