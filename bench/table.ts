import { median } from "./statistics.ts";
import { PEER_NAMES, type PeerName } from "./peers.ts";
import { OWN_NAMES, TARGET_NAMES, type TargetName } from "./targets.ts";

/** What a row is judged by: the design's budget, or nothing for a row that only explains another. */
export type Budget =
  | { kind: "at-least"; factor: number; of: TargetName }
  | { kind: "at-most"; factor: number; of: TargetName }
  | { kind: "added"; limit: number; of: TargetName }
  | { kind: "limit"; limit: number }
  | { kind: "none"; of?: TargetName };

/** One measured thing: a sample per round and target, in `unit`. */
export interface Row {
  title: string;
  unit: string;
  budget: Budget;
  samples: Record<TargetName, number[]>;
  /** Why there are no samples of ours, or not all. */
  problem?: string;
  /** What a peer could not do. */
  gaps?: Partial<Record<PeerName, string>>;
}

export interface Verdict {
  medians: Record<TargetName, number>;
  /** Median of each round's own ratio (or difference): noise that lasts a round hits both sides. */
  compared: number | undefined;
  /** The lowest and the highest of them: a wide range says that the machine was busy with other things. */
  range: [number, number] | undefined;
  verdict: "ok" | "MISS" | "";
}

export function newRow(title: string, unit: string, budget: Budget): Row {
  return { title, unit, budget, samples: perTarget(() => []) };
}

function perTarget<T>(value: (name: TargetName) => T): Record<TargetName, T> {
  return Object.fromEntries(TARGET_NAMES.map((name) => [name, value(name)])) as Record<TargetName, T>;
}

export function judge(row: Row): Verdict {
  const { budget, samples } = row;
  const medians = perTarget((name) => median(samples[name] ?? []));
  const each = compareRounds(budget, samples);
  const compared = each.length === 0 ? undefined : median(each);
  const range: Verdict["range"] = each.length === 0 ? undefined : [Math.min(...each), Math.max(...each)];
  const measured = budget.kind === "limit" ? medians.ours : compared;
  return { medians, compared, range, verdict: verdictOn(budget, measured) };
}

function compareRounds(budget: Budget, samples: Row["samples"]): number[] {
  if (!("of" in budget) || budget.of === undefined) return [];
  const reference = samples[budget.of];
  const rounds = Math.min(samples.ours.length, reference.length);
  return samples.ours.slice(0, rounds).map((ours, round) => {
    const other = reference[round] ?? Number.NaN;
    return budget.kind === "added" ? ours - other : ours / other;
  });
}

function verdictOn(budget: Budget, measured: number | undefined): Verdict["verdict"] {
  if (measured === undefined || Number.isNaN(measured)) return "";
  switch (budget.kind) {
    case "none":
      return "";
    case "at-least":
      return measured >= budget.factor ? "ok" : "MISS";
    case "at-most":
      return measured < budget.factor ? "ok" : "MISS";
    case "added":
    case "limit":
      return measured < budget.limit ? "ok" : "MISS";
  }
}

/** The table as plain text, one line per row, numbers to the right. */
export function renderTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => {
    const { medians, compared, range, verdict } = judge(row);
    return [
      `${row.title}, ${row.unit}`,
      ...OWN_NAMES.map((name) => show(medians[name])),
      showCompared(row.budget, compared),
      range === undefined ? "" : range.map((value) => value.toFixed(2)).join(" to "),
      showBudget(row.budget),
      row.problem === undefined ? verdict : "BROKEN",
    ];
  });
  const lines = [["", ...OWN_NAMES, "ratio", "range", "budget", ""], ...cells];
  const text = aligned(lines, 6);
  const problems = rows.filter((row) => row.problem !== undefined).map((row) => `${row.title}: ${row.problem}`);
  return [...text, ...(problems.length > 0 ? ["", ...problems] : [])].join("\n");
}

/**
 * What the peers reach in the same run, and how many times as good the proxy is there. Undefined when none was measured.
 */
export function renderPeers(rows: readonly Row[]): string | undefined {
  const measured = PEER_NAMES.filter((name) => rows.some((row) => row.samples[name].length > 0));
  if (measured.length === 0) return undefined;
  const cells = rows
    .filter((row) => measured.some((name) => row.samples[name].length > 0 || row.gaps?.[name] !== undefined))
    .map((row) => {
      const { medians } = judge(row);
      const ratio = (name: PeerName): number =>
        row.budget.kind === "at-least" ? medians.ours / medians[name] : medians[name] / medians.ours;
      const cell = (name: PeerName): string =>
        row.samples[name].length === 0 ? "fails" : `${show(medians[name])} (${ratio(name).toFixed(1)} x)`;
      return [`${row.title}, ${row.unit}`, show(medians.ours), ...measured.map(cell)];
    });
  const lines = aligned([["", "ours", ...measured], ...cells], Number.POSITIVE_INFINITY);
  const gaps = new Map<string, string>();
  for (const { title, gaps: missing = {} } of rows) {
    // Rows measured together fail together.
    for (const [name, why] of Object.entries(missing)) {
      const first = `${name}: ${why.split("\n")[0]?.slice(0, 60)}`;
      if (!gaps.has(first)) gaps.set(first, `${first} (${title})`);
    }
  }
  return [...lines, ...(gaps.size > 0 ? ["", ...gaps.values()] : [])].join("\n");
}

/** @param text first column after the first that is no number */
export function aligned(lines: readonly (readonly string[])[], text: number): string[] {
  const widths = lines[0]!.map((_cell, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) =>
    line
      .map((cell, column) => {
        const width = widths[column]!;
        return column === 0 || column >= text ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd(),
  );
}

export function show(value: number): string {
  if (Number.isNaN(value)) return "-";
  const size = Math.abs(value);
  return value.toLocaleString("en-US", {
    maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 3,
    minimumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 3,
  });
}

function showCompared(budget: Budget, compared: number | undefined): string {
  if (compared === undefined) return "-";
  return budget.kind === "added" ? `${compared < 0 ? "" : "+"}${show(compared)}` : `${compared.toFixed(2)} x`;
}

function showBudget(budget: Budget): string {
  switch (budget.kind) {
    case "at-least":
      return `at least ${budget.factor} of ${budget.of}`;
    case "at-most":
      return `under ${budget.factor} of ${budget.of}`;
    case "added":
      return `under +${budget.limit} to ${budget.of}`;
    case "limit":
      return `under ${budget.limit}`;
    case "none":
      return budget.of === undefined ? "" : `(of ${budget.of})`;
  }
}
