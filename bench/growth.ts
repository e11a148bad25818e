/**
 * How the proxy grows: connections, servers, sessions, sizes of results and numbers of tools, one after the other; and
 * what a call costs with another credential and at another URL. What matters is the way down a column: cost per call, per
 * session or per megabyte must not rise.
 *
 *   bun bench/growth.ts [--quick] [--proxy PATH] [--out PATH]
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { logIn } from "../test/oauth/login.ts";
import type { CallsJob } from "./load-calls.ts";
import type { Destination } from "./client.ts";
import { Loader } from "./loader.ts";
import { type Growth, renderGrowth, type Step } from "./growth-table.ts";
import { describeMachine } from "./machine.ts";
import { residentKb } from "./proc.ts";
import { Processes } from "./processes.ts";
import { CHILD, startTarget, type Target, type TargetOptions } from "./targets.ts";

const root = join(import.meta.dir, "..");
const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: !["", "0"].includes(process.env["QUICK"] ?? "") },
    proxy: { type: "string", default: join(root, "build/mcp-proxy") },
    out: { type: "string", default: join(root, "build/bench-growth.json") },
  },
});
const DEADLINE_SECONDS = 590;
const CONNECTIONS = [1, 4, 16, 64, 256];
const SERVERS = [1, 10, 100];
const SESSIONS = flags.quick ? [100, 1_000] : [100, 1_000, 10_000];
const RESULT_BYTES = [1_000, 64_000, 1_000_000, 10_000_000, 50_000_000];
const TOOLS = [10, 100, 1_000];
const ROUNDS = flags.quick ? 1 : 3;
const SECONDS = flags.quick ? 0.7 : 1.5;

const processes = new Processes();
const loader = new Loader(processes);

async function withTarget<T>(
  name: "echo" | "ours",
  options: Partial<TargetOptions>,
  use: (target: Target) => Promise<T>,
): Promise<T> {
  const target = await startTarget(processes, name, { proxy: flags.proxy, upstream: true, ...options });
  try {
    return await use(target);
  } finally {
    await target.stop();
  }
}

async function calls(target: Target, job: Pick<CallsJob, "tool" | "connections" | "bytes">) {
  const { destination, pid } = target;
  const result = await loader.run({ kind: "calls", destination, pid, ...job, warmSeconds: 0.5, seconds: SECONDS }, 60);
  return { perSecond: result.calls / result.seconds, cpuMs: ((result.cpu ?? Number.NaN) / result.calls) * 1000 };
}

function add(step: Step, values: Record<string, number>): void {
  for (const [name, value] of Object.entries(values)) (step.samples[name] ??= []).push(value);
}

async function connections(): Promise<Growth> {
  const steps = CONNECTIONS.map((at) => ({ at, samples: {} }));
  await withTarget("echo", {}, (echo) =>
    withTarget("ours", {}, async (ours) => {
      // The first thousands of calls run before the runtime has compiled their way, whoever makes them.
      for (const each of [echo, ours]) await calls(each, { tool: "echo", connections: 32 });
      for (let round = 0; round < ROUNDS; round++) {
        for (const step of steps) {
          const bare = await calls(echo, { tool: "echo", connections: step.at });
          const own = await calls(ours, { tool: "echo", connections: step.at });
          add(step, {
            "per second": own.perSecond,
            "of the echo": own.perSecond / bare.perSecond,
            "CPU s per 10,000": own.cpuMs * 10,
            "CPU of the echo": bare.cpuMs * 10,
          });
        }
      }
    }),
  );
  return { title: "Connections that call at once", unit: "connections", steps };
}

async function servers(): Promise<Growth> {
  const steps: Step[] = [];
  for (const at of SERVERS) {
    const names = Array.from({ length: at - 1 }, (_, n) => `other-${n}`);
    const others = Object.fromEntries(names.map((name) => [name, { command: process.execPath, args: [CHILD] }]));
    const began = performance.now();
    await withTarget("ours", { servers: others }, async (ours) => {
      const step: Step = { at, samples: {} };
      steps.push(step);
      add(step, { "first answer, ms": ours.startMs, "all ready, ms": performance.now() - began });
      await Bun.sleep(2_000);
      add(step, { "memory of the proxy, MB": (residentKb(ours.pid) ?? Number.NaN) / 1024 });
      for (let round = 0; round < ROUNDS; round++) {
        const own = await calls(ours, { tool: "echo", connections: 32 });
        add(step, { "per second": own.perSecond, "CPU s per 10,000": own.cpuMs * 10 });
      }
    });
  }
  return { title: "Servers in one configuration, each a process", unit: "servers", steps };
}

async function sessions(): Promise<Growth> {
  const steps: Step[] = [];
  for (const at of SESSIONS) {
    await withTarget("ours", {}, async ({ destination, pid }) => {
      const job = { kind: "sessions", destination, pid, warm: 100, count: at, touches: 3, settleMs: 1_500 } as const;
      const result = await loader.run(job, 120);
      const step: Step = { at, samples: { "list_changed to all, ms": result.reachedAllMs } };
      steps.push(step);
      add(step, { "KB each": result.kbPerSession ?? Number.NaN, "opened per second": result.openedPerSecond });
    });
  }
  return { title: "Open sessions, each with a stream", unit: "sessions", steps };
}

async function results(): Promise<Growth> {
  const steps: Step[] = [];
  for (const at of RESULT_BYTES) {
    await withTarget("ours", {}, async (ours) => {
      const step: Step = { at, samples: {} };
      steps.push(step);
      for (let round = 0; round < ROUNDS; round++) {
        const own = await calls(ours, { tool: "sized", connections: at > 1_000_000 ? 2 : 4, bytes: at });
        add(step, {
          "per second": own.perSecond,
          "MB per second": (own.perSecond * at) / 1e6,
          "CPU ms per MB": own.cpuMs / (at / 1e6),
        });
      }
      add(step, { "highest memory, MB": (residentKb(ours.pid, "VmHWM") ?? Number.NaN) / 1024 });
    });
  }
  return { title: "Size of a result", unit: "bytes", steps };
}

async function tools(): Promise<Growth> {
  const steps: Step[] = [];
  for (const at of TOOLS) {
    // The filter of the measured server takes the list apart.
    const bench = {
      command: process.execPath,
      args: [CHILD],
      env: { BENCH_TOOLS: String(at) },
      options: { toolFilter: { mode: "block", list: ["tool_7"] } },
    };
    await withTarget("ours", { servers: { bench } }, async (ours) => {
      const step: Step = { at, samples: {} };
      steps.push(step);
      for (let round = 0; round < ROUNDS; round++) {
        const list = await calls(ours, { tool: "list", connections: 4 });
        const own = await calls(ours, { tool: "echo", connections: 32 });
        add(step, {
          "lists per second": list.perSecond,
          "CPU ms per list": list.cpuMs,
          "calls per second": own.perSecond,
          "CPU s per 10,000 calls": own.cpuMs * 10,
        });
      }
    });
  }
  return { title: "Tools of a filtered server", unit: "tools", steps };
}

/** Who calls, and where: neither may cost a call anything once the first one was let in. */
async function ways(): Promise<Growth> {
  const alice = { password: "correct horse", allowed_tools: ["*:echo", "*:b*"], denied_tools: ["bench:touch"] };
  const access = { oauth2: { enabled: true, users: { alice }, persistenceDir: "state" } };
  // Its calls are not kept in the log, as those of people with a name are elsewhere. Its tools have no prefix.
  const options = { logEnabled: false, toolFilter: { mode: "block", list: ["nothing"] } };
  const quiet = { command: process.execPath, args: [CHILD], prefix: "", options };
  const steps: Step[] = [];
  await withTarget("ours", { access, servers: { quiet } }, async (ours) => {
    const { access_token: token } = await logIn(`http://127.0.0.1:${ours.destination.port}`);
    const own = { ...ours.destination, path: "/quiet/mcp" };
    const all = { ...ours.destination, path: "/mcp" };
    const callers: Record<string, Destination> = {
      "a token": own,
      "a login with permissions": { ...own, token },
      "a token, at all servers' URL": all,
      "a login with permissions, at all servers' URL": { ...all, token },
      "a login with permissions, each call kept in the log": { ...ours.destination, token },
    };
    for (const at of Object.keys(callers)) steps.push({ at, samples: {} });
    for (const destination of Object.values(callers))
      await calls({ ...ours, destination }, { tool: "echo", connections: 32 });
    for (let round = 0; round < ROUNDS; round++) {
      for (const step of steps) {
        const target = { ...ours, destination: callers[step.at]! };
        const small = await calls(target, { tool: "echo", connections: 32 });
        const big = await calls(target, { tool: "big", connections: 4 });
        add(step, {
          "per second": small.perSecond,
          "CPU s per 10,000": small.cpuMs * 10,
          "1 MB results per second": big.perSecond,
          "CPU ms per 1 MB": big.cpuMs,
        });
      }
    }
  });
  return { title: "Who calls, and where", unit: "caller", steps };
}

const deadline = setTimeout(() => {
  processes.killAll();
  console.error(`not done within ${DEADLINE_SECONDS} s, given up`);
  process.exit(1);
}, DEADLINE_SECONDS * 1000);
try {
  const machine = describeMachine(root, flags.proxy);
  const growths: Growth[] = [];
  for (const measure of [connections, servers, sessions, results, tools, ways]) {
    try {
      const growth = await measure();
      growths.push(growth);
      console.log(`${renderGrowth(growth)}\n`);
    } catch (error) {
      console.error(`${measure.name}: ${(error as Error).message}`);
      process.exitCode = 1;
    }
  }
  mkdirSync(dirname(resolve(flags.out)), { recursive: true });
  writeFileSync(flags.out, `${JSON.stringify({ ...machine, quick: flags.quick, growths }, null, 1)}\n`);
  console.log(`all samples in ${flags.out}`);
} finally {
  clearTimeout(deadline);
  await processes.stopAll();
}
