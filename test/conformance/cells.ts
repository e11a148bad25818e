/** Which runs there are and what each must yield. A count that changes in either direction is a failure. */

export type Revision = "2025-11-25" | "2026-07-28";
export type Era = "legacy" | "modern";

export interface Cell {
  readonly suite: Revision;
  /** The reference server behind the proxy. */
  readonly upstream: Era;
  readonly transport: "stdio" | "http";
  /** The URL of all servers together is measured, which here is this one server under its own names. */
  readonly joint: boolean;
  /** Scored scenarios that must pass, of how many there are. */
  readonly passed: number;
  readonly total: number;
  /** Scored scenarios that cannot pass in this cell; `total - passed` of them. */
  readonly byNature: readonly string[];
  /** Scored scenarios in which the suite may warn, which it does not count as a failure; and why. */
  readonly mayWarn: readonly string[];
  /** Not scored by the suite, demanded by us. */
  readonly alsoRequired: readonly string[];
  /** Scenarios that are answered without the server in this cell. */
  readonly answeredHere: readonly string[];
  /** Part of a run without `--all`. */
  readonly enabled: boolean;
}

/** The revision a reference server speaks itself, so that it can be measured without the proxy. */
export const NATIVE: Readonly<Record<Era, Revision>> = { legacy: "2025-11-25", modern: "2026-07-28" };

export const SCORED: Readonly<Record<Revision, number>> = { "2025-11-25": 30, "2026-07-28": 37 };

const ALSO_LEGACY = ["server-session-lifecycle", "json-schema-2020-12"];
const ALSO_MODERN = ["http-header-validation", "http-custom-header-server-validation", "json-schema-2020-12"];

/** Unscored scenarios that the reference server passes by itself, with the proxy or without. */
export const ALSO_DIRECT: Readonly<Record<Revision, readonly string[]>> = {
  "2025-11-25": [...ALSO_LEGACY, "server-sse-polling"],
  "2026-07-28": ALSO_MODERN,
};

/**
 * A modern server names its questions, a legacy one cannot: the first scenario looks for the name. The second wants a
 * server to see the capabilities of one caller, which a connection shared by callers does not have.
 */
const NOT_OVER_LEGACY = ["input-required-result-basic-elicitation", "input-required-result-capability-check"];

/**
 * The scenario calls anew, without a state, and brings an answer along under a name that a modern server would have
 * chosen. No question of a legacy server has that name, so the call is an ordinary one, and the question is asked.
 */
const WARNED_OVER_LEGACY = ["input-required-result-ignore-extra-params"];

/** Lists of several servers are made of what they listed when they were connected, or since they last changed. */
const LISTED_BEFORE = [
  "tools-list",
  "prompts-list",
  "resources-list",
  "json-schema-2020-12",
  "server-sse-multiple-streams",
  "input-required-result-unsupported-methods",
];

/** Requests that the stateless era does not have: the proxy holds for a session what they are about. */
const WITHOUT_SESSIONS = ["ping", "logging-set-level", "resources-subscribe", "resources-unsubscribe"];

/** What is measured at the URL of each server. */
const SINGLE: readonly Cell[] = [
  ...both({ suite: "2025-11-25", upstream: "legacy", passed: 30, total: 30, alsoRequired: ALSO_LEGACY }).map(
    // Over stdio nobody lets a stream go.
    (cell) => (cell.transport === "http" ? { ...cell, alsoRequired: [...ALSO_LEGACY, "server-sse-polling"] } : cell),
  ),
  ...both({ suite: "2025-11-25", upstream: "modern", passed: 30, total: 30, answeredHere: WITHOUT_SESSIONS }),
  ...both({ suite: "2026-07-28", upstream: "modern", passed: 37, total: 37, alsoRequired: ALSO_MODERN }),
  ...both({
    suite: "2026-07-28",
    upstream: "legacy",
    passed: 35,
    total: 37,
    byNature: NOT_OVER_LEGACY,
    mayWarn: WARNED_OVER_LEGACY,
    alsoRequired: ALSO_MODERN,
  }),
];

/** Run by default: one of each era and transport. */
const JOINT_BY_DEFAULT = ["2025-11-25/legacy/http", "2026-07-28/modern/stdio"];

export const CELLS: readonly Cell[] = [
  ...SINGLE,
  ...SINGLE.map((cell) => ({
    ...cell,
    joint: true,
    answeredHere: [...cell.answeredHere, ...LISTED_BEFORE, ...WITHOUT_SESSIONS],
    enabled: JOINT_BY_DEFAULT.includes(cellName(cell)),
  })),
];

type Row = Pick<Cell, "suite" | "upstream" | "passed" | "total"> & Partial<Cell>;

function both(row: Row): Cell[] {
  const cell = { byNature: [], mayWarn: [], alsoRequired: [], answeredHere: [], joint: false, enabled: true, ...row };
  return [
    { ...cell, transport: "stdio" },
    { ...cell, transport: "http" },
  ];
}

export function cellName(
  cell: Pick<Cell, "suite" | "upstream"> & { readonly transport: string; readonly joint?: boolean },
): string {
  return `${cell.suite}/${cell.upstream}/${cell.transport}${cell.joint === true ? "/all" : ""}`;
}

/** Scenarios during which a gateway need not ask its upstream anything, and why; all others must be seen to be relayed. */
export const RELAYS_NOTHING: ReadonlyMap<string, string> = new Map([
  ["server-initialize", "only initialize, answered from what the upstream said when it was connected"],
  ["dns-rebinding-protection", "only initialize or server/discover, and one of them is refused"],
  ["server-session-lifecycle", "a session is opened and ended, the one call after it is refused"],
]);
