import type { Tool } from "./client.ts";
import type { Loader } from "./loader.ts";
import { CONNECTIONS, HEAVY_CONNECTIONS, type Plan, WARM_CALLS } from "./plan.ts";
import { PEER_NAMES, type Peer } from "./peers.ts";
import { openFileLimit, residentKb } from "./proc.ts";
import type { Processes } from "./processes.ts";
import { newRow, type Row } from "./table.ts";
import { isPeer, OWN_NAMES, startTarget, TARGET_NAMES, type Target, type TargetName } from "./targets.ts";
import { runWrk } from "./wrk.ts";

/** Everything the measurements share. */
export interface Bench {
  plan: Plan;
  processes: Processes;
  loader: () => Loader;
  proxy: string;
  peers: readonly Peer[];
  /** Which of them are measured, in their order within a round. */
  names: readonly TargetName[];
  wrk: string | null;
  progress: (text: string) => void;
}

/**
 * Interleaved rounds over `names`. What goes wrong at one target is told in `rows` and that target is left out from then
 * on; the others go on.
 */
async function inRounds(
  bench: Bench,
  rows: Row[],
  names: readonly TargetName[],
  rounds: number,
  one: (name: TargetName, round: number) => Promise<void>,
): Promise<void> {
  const broken = new Set<TargetName>();
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      if (!bench.names.includes(name) || broken.has(name)) continue;
      if (isPeer(name) && round >= bench.plan.peerRounds) continue;
      bench.progress(`${rows[0]?.title ?? ""}: round ${round + 1} of ${rounds}, ${name}`);
      try {
        await one(name, round);
      } catch (error) {
        broken.add(name);
        for (const row of rows) {
          if (isPeer(name)) (row.gaps ??= {})[name] = (error as Error).message;
          else row.problem = `${name}: ${(error as Error).message}`;
        }
      }
    }
  }
}

interface CallRows {
  tool: Tool;
  connections: number;
  names: readonly TargetName[];
  rate: Row;
  cpu: Row;
  /** What CPU time is counted for, with its factor from seconds per call to the unit of the row. */
  cpuFactor: number;
}

const RELAYS: readonly TargetName[] = ["minimal", "ours", ...PEER_NAMES];

function callRows(): CallRows[] {
  return [
    {
      tool: "echo",
      connections: CONNECTIONS,
      names: TARGET_NAMES,
      rate: newRow("small tools/call", "per second", { kind: "at-least", factor: 0.8, of: "echo" }),
      cpu: newRow("CPU of small calls", "s per 10,000", { kind: "at-most", factor: 1.25, of: "minimal" }),
      cpuFactor: 10_000,
    },
    {
      tool: "big",
      connections: HEAVY_CONNECTIONS,
      names: RELAYS,
      rate: newRow("1 MB results", "per second", { kind: "at-least", factor: 0.8, of: "minimal" }),
      cpu: newRow("CPU of 1 MB results", "ms each", { kind: "none", of: "minimal" }),
      cpuFactor: 1_000,
    },
    {
      tool: "progress",
      connections: HEAVY_CONNECTIONS,
      names: RELAYS,
      rate: newRow("calls with 100 progress", "per second", { kind: "at-least", factor: 0.7, of: "minimal" }),
      cpu: newRow("CPU of calls with progress", "ms each", { kind: "none", of: "minimal" }),
      cpuFactor: 1_000,
    },
  ];
}

/** Rates, CPU time and latency, against servers that stand from the first round to the last. */
export async function measureCalls(bench: Bench): Promise<Row[]> {
  const { plan, processes, proxy, peers } = bench;
  const targets = new Map<TargetName, Target>();
  const unstarted = new Map<TargetName, string>();
  for (const name of bench.names) {
    bench.progress(`starting ${name}`);
    try {
      targets.set(name, await startTarget(processes, name, { proxy, upstream: true, peers }));
    } catch (error) {
      if (!isPeer(name)) throw error;
      unstarted.set(name, (error as Error).message);
    }
  }
  const target = (name: TargetName): Target => {
    const found = targets.get(name);
    if (found === undefined) throw new Error(unstarted.get(name) ?? "it does not run");
    return found;
  };
  const rows: Row[] = [];
  for (const { tool, connections, names, rate, cpu, cpuFactor } of callRows()) {
    rows.push(rate, cpu);
    await inRounds(bench, [rate, cpu], names, plan.rounds, async (name, round) => {
      const { destination, pid } = target(name);
      const warmSeconds = round === 0 ? plan.warmSeconds * 3 : plan.warmSeconds;
      const warmCalls = round === 0 && tool === "echo" && !isPeer(name) ? WARM_CALLS : 0;
      const seconds = plan.callSeconds;
      const job = { kind: "calls", destination, pid, tool, connections, warmSeconds, warmCalls, seconds } as const;
      const result = await bench.loader().run(job);
      rate.samples[name].push(result.calls / result.seconds);
      if (result.cpu !== undefined) cpu.samples[name].push((result.cpu / result.calls) * cpuFactor);
    });
  }
  rows.splice(2, 0, ...(await measureLatency(bench, target)), ...(await measureWrk(bench, target)));
  await Promise.all(Array.from(targets.values(), (each) => each.stop()));
  return rows;
}

async function measureLatency(bench: Bench, target: (name: TargetName) => Target): Promise<Row[]> {
  const median = newRow("latency of one client, median", "ms", { kind: "added", limit: 0.1, of: "echo" });
  const p99 = newRow("latency of one client, p99", "ms", { kind: "none", of: "echo" });
  const { latencyCalls, peerCalls } = bench.plan;
  await inRounds(bench, [median, p99], TARGET_NAMES, bench.plan.rounds, async (name) => {
    const { destination } = target(name);
    const calls = isPeer(name) ? peerCalls : latencyCalls;
    const warmCalls = isPeer(name) ? 50 : 300;
    const result = await bench.loader().run({ kind: "latency", destination, warmCalls, calls });
    median.samples[name].push(result.median);
    p99.samples[name].push(result.p99);
  });
  return [median, p99];
}

async function measureWrk(bench: Bench, target: (name: TargetName) => Target): Promise<Row[]> {
  const { plan, processes, wrk } = bench;
  if (wrk === null) return [];
  const row = newRow("small tools/call by wrk", "per second", { kind: "at-least", factor: 0.8, of: "echo" });
  await inRounds(bench, [row], OWN_NAMES, plan.rounds, async (name) => {
    row.samples[name].push(await runWrk(processes, wrk, target(name), plan.callSeconds));
  });
  return [row];
}

/** From the start of the process to its first answer, and its memory when it has nothing to do. */
export async function measureStart(bench: Bench): Promise<Row[]> {
  const { plan, processes, proxy, peers } = bench;
  const start = newRow("start to first answer", "ms", { kind: "limit", limit: 60 });
  const memory = newRow("memory at rest", "MB", { kind: "limit", limit: 60 });
  const anonymous = newRow("of it not the program's own file", "MB", { kind: "none" });
  const names: readonly TargetName[] = ["echo", "ours", ...PEER_NAMES];
  await inRounds(bench, [start, memory, anonymous], names, plan.starts, async (name, round) => {
    const target = await startTarget(processes, name, { proxy, upstream: false, peers });
    start.samples[name].push(target.startMs);
    if (round < 3) {
      await Bun.sleep(plan.settleMs);
      const kb = residentKb(target.pid);
      const own = residentKb(target.pid, "RssAnon");
      if (kb !== undefined) memory.samples[name].push(kb / 1024);
      if (own !== undefined) anonymous.samples[name].push(own / 1024);
    }
    await target.stop();
  });
  return [start, memory, anonymous];
}

/** Many open sessions, each with its stream; the echo's bare streams are the floor of this runtime. */
export async function measureSessions(bench: Bench): Promise<Row[]> {
  const { plan, processes, proxy } = bench;
  // Well below what one process may open, so that neither side runs into its limit.
  const most = Math.floor((openFileLimit() ?? 2_000) * 0.6) - plan.warmSessions;
  const count = Math.min(plan.sessions, most);
  const label = count.toLocaleString("en-US");
  const memory = newRow(`memory of ${label} sessions`, "KB each", { kind: "limit", limit: 10 });
  const reach = newRow(`list_changed to ${label} streams`, "ms", { kind: "limit", limit: 300 });
  const opened = newRow(`opening ${label} sessions`, "per second", { kind: "none" });
  await inRounds(bench, [memory, reach, opened], ["echo", "ours"], 1, async (name) => {
    const { destination, pid, stop } = await startTarget(processes, name, { proxy, upstream: true });
    const { warmSessions: warm, touches, settleMs } = plan;
    const result = await bench
      .loader()
      .run({ kind: "sessions", destination, pid, warm, count, touches, settleMs }, 120);
    if (result.kbPerSession !== undefined) memory.samples[name].push(result.kbPerSession);
    reach.samples[name].push(...result.reachedAllMs);
    if (result.reachProblem !== undefined) reach.problem = `${name}: ${result.reachProblem}`;
    opened.samples[name].push(result.openedPerSecond);
    await stop();
  });
  return [memory, reach, opened];
}
