import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { cpuCheck } from "../../bench/cpu-check.ts";

const root = join(import.meta.dir, "../..");
const built = join(root, "build/mcp-proxy");

/**
 * Twice the budget of 1.25, which is a multiple of the minimal relay; that costs 0.9 to 1.3 of the echo. The proxy is at
 * 1.1 to 1.6, so this finds what doubles the cost of a call, and no noise.
 */
const LIMIT = 2.5;
const ATTEMPTS = 3;

// What a process has cost is read from /proc.
test.skipIf(!existsSync("/proc/self/stat"))(
  "a relayed call costs less CPU time than twice the budget, as a multiple of a bare echo's in the same run",
  async () => {
    const proxy = existsSync(built) ? built : join(root, "src/main.ts");
    const ratios: number[] = [];
    // A neighbour can make one measurement wrong, but not three.
    while (ratios.length < ATTEMPTS && !ratios.some((ratio) => ratio < LIMIT)) {
      ratios.push((await cpuCheck({ proxy, seconds: 0.7 })).ratio);
    }
    expect(Math.min(...ratios)).toBeLessThan(LIMIT);
  },
  120_000,
);
