import { Loader } from "./loader.ts";
import { WARM_CALLS } from "./plan.ts";
import { Processes } from "./processes.ts";
import { median } from "./statistics.ts";
import { startTarget, type Target, type TargetName } from "./targets.ts";

export interface CpuCheckOptions {
  /** The program to measure: a binary, or the TypeScript file it is built from. */
  proxy: string;
  /** What to measure against the echo; "minimal" tells what this machine's floor for a relay is. */
  target?: TargetName;
  rounds?: number;
  /** Length of each measured window; CPU time is counted in hundredths of a second, so not below 0.5. */
  seconds?: number;
  connections?: number;
}

export interface CpuCheck {
  /** CPU seconds per 10,000 small calls of the bare echo, the median of the rounds. */
  echo: number;
  measured: number;
  /** The median of each round's own ratio: what slows a machine down for a while slows both. */
  ratio: number;
}

/**
 * The coarse check of what a relayed call costs: CPU time per call of the proxy's process alone, as a multiple of a bare
 * echo's. CPU time and not speed, so that it says the same on a busy machine.
 *
 * @throws Error when an answer was wrong, a program did not start, or the system has no /proc (nothing to check there).
 */
export async function cpuCheck(options: CpuCheckOptions): Promise<CpuCheck> {
  const { proxy, target = "ours", rounds = 3, seconds = 1, connections = 32 } = options;
  const processes = new Processes();
  try {
    const loader = new Loader(processes);
    const targetOptions = { proxy, upstream: true };
    const echo = await startTarget(processes, "echo", targetOptions);
    const other = await startTarget(processes, target, targetOptions);
    const per10k = async ({ destination, pid }: Target, warmSeconds: number, warmCalls: number): Promise<number> => {
      const result = await loader.run({
        kind: "calls",
        destination,
        pid,
        tool: "echo",
        connections,
        warmSeconds,
        warmCalls,
        seconds,
      });
      if (result.cpu === undefined) throw new Error("CPU time of a process needs /proc");
      return (result.cpu / result.calls) * 10_000;
    };
    const samples: { echo: number; measured: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      const warm: [number, number] = round === 0 ? [1, WARM_CALLS] : [0.2, 0];
      samples.push({ echo: await per10k(echo, ...warm), measured: await per10k(other, ...warm) });
    }
    await Promise.all([echo.stop(), other.stop()]);
    return {
      echo: median(samples.map((sample) => sample.echo)),
      measured: median(samples.map((sample) => sample.measured)),
      ratio: median(samples.map((sample) => sample.measured / sample.echo)),
    };
  } finally {
    await processes.stopAll();
  }
}

if (import.meta.main) {
  const [proxy = "build/mcp-proxy", target = "ours"] = process.argv.slice(2);
  console.log(JSON.stringify(await cpuCheck({ proxy, target: target as TargetName })));
}
