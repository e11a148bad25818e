/**
 * Brings the tables of docs/performance.md up to date with bench/results.
 *
 *   bun scripts/performance-doc.ts [FILE...]
 *
 * FILEs are results of `make bench` and `make bench-growth` (build/bench.json, build/bench-growth.json) to be kept in
 * bench/results before that.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Growth, renderGrowth } from "../bench/growth-table.ts";
import type { Machine } from "../bench/machine.ts";
import { renderPeers, renderTable, type Row } from "../bench/table.ts";

const root = join(import.meta.dir, "..");
const RESULTS = join(root, "bench/results");
const PAGE = join(root, "docs/performance.md");
const BEGIN = "<!-- made by scripts/performance-doc.ts from bench/results -->";
const END = "<!-- end -->";

interface Run extends Machine {
  readonly quick: boolean;
  readonly peers?: Record<string, string>;
  readonly results?: Row[];
  readonly growths?: Growth[];
}

function keep(file: string): void {
  const text = readFileSync(file, "utf8");
  const run = JSON.parse(text) as Run;
  const stamp = run.date.slice(0, 16).replaceAll(":", "").replace("T", "-");
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, `${run.growths === undefined ? "bench" : "growth"}-${stamp}.json`), text);
}

function runs(): Run[] {
  return readdirSync(RESULTS)
    .toSorted()
    .map((name) => JSON.parse(readFileSync(join(RESULTS, name), "utf8")) as Run);
}

function section(run: Run): string {
  const kind = run.growths === undefined ? "Against the budgets" : "Growth";
  const peers = Object.entries(run.peers ?? {}).map(([name, version]) => `${name} ${version}`);
  const facts = [
    `commit ${run.commit.slice(0, 10)}${run.changed ? " and changes" : ""}`,
    `Bun ${run.bun}`,
    run.system,
    `load before the run ${run.loadBefore.toFixed(1)}`,
    ...(run.quick ? ["a quick run"] : []),
  ];
  const tables =
    run.growths === undefined
      ? [renderTable(run.results ?? []), renderPeers(run.results ?? [])]
      : run.growths.map(renderGrowth);
  const blocks = tables.filter((table) => table !== undefined).map((table) => `\`\`\`text\n${table}\n\`\`\``);
  return [
    `### ${kind}, ${run.date.slice(0, 16).replace("T", " ")} UTC`,
    `${facts.join(", ")}.${peers.length === 0 ? "" : ` Peers: ${peers.join(", ")}.`}`,
    ...blocks,
  ].join("\n\n");
}

/** The page with its tables made anew. */
export function performancePage(page: string): string {
  const start = page.indexOf(BEGIN) + BEGIN.length;
  return `${page.slice(0, start)}\n\n${runs().map(section).join("\n\n")}\n\n${page.slice(page.indexOf(END))}`;
}

if (import.meta.main) {
  for (const file of process.argv.slice(2)) keep(file);
  writeFileSync(PAGE, performancePage(readFileSync(PAGE, "utf8")));
}
