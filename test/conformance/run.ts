#!/usr/bin/env bun
/**
 * The official conformance suite against a reference server, and against the proxy in front of it.
 *
 *   bun test/conformance/run.ts [--direct] [--all] [--binary PATH] [cell...]
 *
 * A cell is named revision/era/transport, such as 2025-11-25/legacy/stdio. Exit code 1 unless every count is the
 * expected one.
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Cell } from "./cells.ts";
import { ALSO_DIRECT, CELLS, NATIVE, RELAYS_NOTHING, SCORED, cellName } from "./cells.ts";
import type { Endpoint } from "./endpoints.ts";
import { startProxy, startReference } from "./endpoints.ts";
import { Processes } from "./processes.ts";
import { runScenario, scenariosOf } from "./suite.ts";

/** Of one server or cell, which takes about 15 s on two idle cores. */
const RUN_TIMEOUT_MS = 90_000;

const NO_EXCEPTIONS = { byNature: [], mayWarn: [], answeredHere: [] };

interface Tally {
  passed: number;
  failed: number;
}

type Expected = Pick<Cell, "suite" | "passed" | "total" | "byNature" | "mayWarn" | "alsoRequired" | "answeredHere">;

async function measure(
  processes: Processes,
  directory: string,
  name: string,
  expected: Expected,
  endpoint: Endpoint,
): Promise<Tally> {
  const { scored, unscored } = await scenariosOf(expected.suite);
  const faults: string[] = [];
  const tally: Tally = { passed: 0, failed: 0 };
  const start = performance.now();
  console.log(`\n${name}`);

  const run = async (scenario: string): Promise<boolean> => {
    const before = await endpoint.relayed();
    const verdict = await runScenario(processes, directory, endpoint.url, expected.suite, scenario);
    const after = await endpoint.relayed();
    const relayed = before === undefined || after === undefined ? undefined : after - before;
    const bypassed =
      relayed !== undefined &&
      relayed < 1 &&
      !RELAYS_NOTHING.has(scenario) &&
      !expected.answeredHere.includes(scenario);
    const passed = (verdict.passed || (verdict.onlyWarned && expected.mayWarn.includes(scenario))) && !bypassed;
    const required = scored.includes(scenario) || expected.alsoRequired.includes(scenario);
    const mark = passed ? "pass" : expected.byNature.includes(scenario) || !required ? "miss" : "FAIL";
    const checks = `${verdict.succeeded}/${verdict.judged}`.padStart(6);
    const through = relayed === undefined ? "" : `${relayed} relayed`.padStart(12);
    console.log(
      `  ${mark}  ${scenario.padEnd(48)}${checks}${through}${scored.includes(scenario) ? "" : "  not scored"}`,
    );
    if (bypassed) console.log("          nothing of it was relayed");
    for (const complaint of verdict.complaints) console.log(`          ${complaint.replaceAll("\n", "\n          ")}`);
    if (mark === "FAIL") faults.push(scenario);
    return passed;
  };

  for (const scenario of scored) {
    if (await run(scenario)) tally.passed += 1;
  }
  const summary = `${tally.passed} of ${scored.length} scored scenarios`;
  for (const scenario of unscored) {
    if ((await run(scenario)) && expected.alsoRequired.includes(scenario)) tally.passed += 1;
  }
  for (const scenario of expected.alsoRequired) {
    if (!unscored.includes(scenario)) faults.push(`${scenario} (the suite does not know it)`);
  }
  tally.failed = faults.length;
  const wanted = `${expected.passed} of ${expected.total} scored scenarios`;
  if (faults.length === 0 && summary !== wanted) tally.failed = 1;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`  ${summary}${summary === wanted ? "" : `, expected ${wanted}`} (${seconds} s)`);
  return tally;
}

async function runAll(
  processes: Processes,
  directory: string,
  cells: readonly Cell[],
  proxy?: string[],
): Promise<Tally> {
  const total: Tally = { passed: 0, failed: 0 };
  const add = async (name: string, expected: Expected, start: () => Promise<Endpoint>): Promise<void> => {
    try {
      await using endpoint = await start();
      const tally = await measure(processes, directory, name, expected, endpoint);
      total.passed += tally.passed;
      total.failed += tally.failed;
    } catch (error) {
      console.log(`\n${name}\n  FAIL  ${reason(error)}`);
      total.failed += 1;
    }
  };

  for (const upstream of new Set(cells.map((cell) => cell.upstream))) {
    const suite = NATIVE[upstream];
    const count = SCORED[suite];
    const expected = { suite, passed: count, total: count, alsoRequired: ALSO_DIRECT[suite], ...NO_EXCEPTIONS };
    const name = cellName({ suite, upstream, transport: "without the proxy" });
    await add(name, expected, () => startReference(processes, directory, upstream));
  }
  if (proxy === undefined) return total;
  for (const cell of cells) await add(cellName(cell), cell, () => startProxy(processes, directory, cell, proxy));
  return total;
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}\n  ${reason(error.cause)}`;
}

/** A whole name chooses its cell, a part of names chooses among those that run by default (all of them with `all`). */
function choose(names: readonly string[], all: boolean): Cell[] {
  const candidates = CELLS.filter((cell) => all || cell.enabled);
  if (names.length === 0) return candidates;
  const chosen = names.flatMap((name) => {
    const whole = CELLS.filter((cell) => cellName(cell) === name);
    const found = whole.length > 0 ? whole : candidates.filter((cell) => cellName(cell).includes(name));
    if (found.length > 0) return found;
    throw new RangeError(`no cell "${name}"; there are:\n  ${CELLS.map(cellName).join("\n  ")}`);
  });
  return [...new Set(chosen)];
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { direct: { type: "boolean" }, all: { type: "boolean" }, binary: { type: "string" } },
  });
  const cells = choose(positionals, values.all ?? false);
  const source = resolve(import.meta.dir, "../../src/main.ts");
  const proxy = values.binary === undefined ? [process.execPath, source] : [resolve(values.binary)];

  const directory = await mkdtemp(join(tmpdir(), "mcp-proxy-conformance-"));
  const processes = new Processes();
  const give = (reason: string): never => {
    processes.killAll();
    rmSync(directory, { recursive: true, force: true });
    console.log(`\nconformance: given up, ${reason}`);
    process.exit(1);
  };
  const limit = RUN_TIMEOUT_MS * (values.direct ? 1 : 1 + cells.length);
  const timer = setTimeout(() => give(`not done after ${limit / 1000} s`), limit);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => give(signal));
  try {
    const { passed, failed } = await runAll(processes, directory, cells, values.direct ? undefined : proxy);
    console.log(`\nconformance: ${passed} passed, ${failed} failed`);
    return failed === 0 && passed > 0 ? 0 : 1;
  } finally {
    clearTimeout(timer);
    await processes[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(reason(error));
  process.exitCode = 1;
}
