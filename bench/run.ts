/**
 * The benchmark: a bare echo, a minimal relay, the proxy and its peers, measured in one run in interleaved rounds, so
 * that whatever slows the machine down slows all of them. Prints a table with the budgets and writes every sample to
 * build/bench.json. It judges but never fails: exit 1 only when something did not work at all.
 *
 *   bun bench/run.ts [--quick] [--references] [--no-peers] [--wrk] [--proxy PATH] [--out PATH]
 *
 * QUICK=1 is --quick: about a minute, with few samples and 1,000 sessions, and with the peers that a full run has
 * installed below build/peers. --references leaves the proxy out. wrk is used
 * in the full run where it is installed, as a second opinion.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { Loader } from "./loader.ts";
import { describeMachine, type Machine } from "./machine.ts";
import { type Bench, measureCalls, measureSessions, measureStart } from "./measure.ts";
import { CONNECTIONS, FULL, HEAVY_CONNECTIONS, QUICK } from "./plan.ts";
import { findPeers } from "./peers.ts";
import { cpuSeconds } from "./proc.ts";
import { Processes } from "./processes.ts";
import { judge, renderPeers, renderTable, type Row } from "./table.ts";
import { OWN_NAMES } from "./targets.ts";
import { findWrk } from "./wrk.ts";

const BUSY_LOAD = 0.7;

const root = join(import.meta.dir, "..");

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: !["", "0"].includes(process.env["QUICK"] ?? "") },
    references: { type: "boolean", default: false },
    "no-peers": { type: "boolean", default: false },
    wrk: { type: "boolean", default: false },
    proxy: { type: "string", default: join(root, "build/mcp-proxy") },
    out: { type: "string", default: join(root, "build/bench.json") },
  },
});

function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function measureAll(processes: Processes, peers: Bench["peers"]): Promise<Row[]> {
  let loader: Loader | undefined;
  const bench: Bench = {
    plan,
    processes,
    // A load that was ended for its deadline is replaced, so that one hanging row does not take the others with it.
    loader: () => (loader === undefined || loader.ended ? (loader = new Loader(processes)) : loader),
    proxy: flags.proxy,
    peers,
    names: [...OWN_NAMES.filter((name) => name !== "ours" || !flags.references), ...peers.map(({ name }) => name)],
    wrk: plan.wrk || flags.wrk ? findWrk() : null,
    progress: showProgress,
  };
  const calls = await measureCalls(bench);
  return [...calls, ...(await measureStart(bench)), ...(await measureSessions(bench))];
}

function write(rows: Row[], machine: Machine): void {
  mkdirSync(dirname(resolve(flags.out)), { recursive: true });
  const results = rows.map((row) => ({ ...row, ...judge(row) }));
  writeFileSync(flags.out, `${JSON.stringify({ ...machine, results }, null, 2)}\n`);
}

const processes = new Processes();
const plan = flags.quick ? QUICK : FULL;

function abandon(reason: string, code: number): never {
  processes.killAll();
  console.error(`\n${reason}`);
  process.exit(code);
}

process.on("SIGINT", () => abandon("interrupted", 130));
process.on("SIGTERM", () => abandon("ended by SIGTERM", 143));
const deadline = setTimeout(
  () => abandon(`not done within ${plan.deadlineSeconds} s, given up`, 1),
  plan.deadlineSeconds * 1000,
);

try {
  const { peers, missing } =
    flags.references || flags["no-peers"]
      ? { peers: [], missing: [] }
      : await findPeers(join(root, "build/peers"), plan.fetchPeers, showProgress);
  const began = performance.now();
  const machine = {
    ...describeMachine(root, flags.references ? undefined : flags.proxy),
    quick: flags.quick,
    peers: Object.fromEntries(peers.map(({ name, version }) => [name, version])),
    missing,
    plan,
  };
  const rows = await measureAll(processes, peers);
  showProgress("");
  write(rows, machine);
  const { proxy, commit, changed, bun, system, loadBefore } = machine;
  console.log(`${proxy}, commit ${commit.slice(0, 10)}${changed ? " and changes" : ""}, Bun ${bun}, ${system}`);
  console.log(
    `medians of ${plan.rounds} interleaved rounds, ${CONNECTIONS} connections (1 MB and progress: ${HEAVY_CONNECTIONS});`,
  );
  console.log("a ratio is the median of each round's own ratio, so it may differ from that of the medians");
  if (loadBefore > BUSY_LOAD) console.log(`the machine was busy before (load ${loadBefore.toFixed(1)}): expect noise`);
  if (cpuSeconds(process.pid) === undefined) console.log("no /proc here, so CPU time and memory are not measured");
  console.log(`\n${renderTable(rows)}`);
  const beside = renderPeers(rows);
  if (beside !== undefined) console.log(`\n${beside}`);
  for (const why of missing) console.log(`not measured: ${why}`);
  console.log(`\n${Math.round((performance.now() - began) / 1000)} s; all samples in ${flags.out}`);
  if (rows.some((row) => row.problem !== undefined)) process.exitCode = 1;
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
} finally {
  clearTimeout(deadline);
  await processes.stopAll();
}
