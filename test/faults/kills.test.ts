import { expect, test } from "bun:test";
import { until } from "../upstream/processes.ts";
import { childrenOf } from "./footprint.ts";
import { Storm } from "./storm.ts";

const SEED = Number(process.env["FAULT_SEED"] ?? 7);

test(`kills of servers and of the proxy under load (FAULT_SEED=${SEED}): every call has one answer or one error, never another's, and runs once at most`, async () => {
  await using storm = new Storm({
    seed: SEED,
    ms: 8_000,
    calls: 1_000,
    kills: 9,
    servers: 4,
    callers: 12,
    everyMs: 500,
    proxyEvery: 4,
  });
  const report = await storm.run();
  expect(report.wrong).toEqual([]);
  expect(report.kills).toBeGreaterThanOrEqual(9);
  expect(report.proxyKills).toBeGreaterThanOrEqual(2);
  expect(report.good).toBeGreaterThan(500);
  // Each server comes back; the watchdog is the one more.
  await until("all servers run again", () => childrenOf(storm.proxy.process.pid).length === 5, 30_000);
}, 120_000);
