/**
 * The load, in a process of its own so that it never shares an event loop with what it measures. Reads one job per line
 * of stdin (JSON), writes one result per line to stdout, ends with its stdin. It lives through the whole benchmark: its
 * own warm-up is then paid once.
 */

import {
  type CallsJob,
  type CallsResult,
  type LatencyJob,
  type LatencyResult,
  runCalls,
  runLatency,
} from "./load-calls.ts";
import { runSessions, type SessionsJob, type SessionsResult } from "./load-sessions.ts";

export type Job = CallsJob | LatencyJob | SessionsJob;

export interface Results {
  calls: CallsResult;
  latency: LatencyResult;
  sessions: SessionsResult;
}

export type Reply = { result: Results[keyof Results] } | { error: string };

function run(job: Job): Promise<Results[keyof Results]> {
  switch (job.kind) {
    case "calls":
      return runCalls(job);
    case "latency":
      return runLatency(job);
    case "sessions":
      return runSessions(job);
  }
}

if (import.meta.main) {
  for await (const line of console) {
    if (line === "") continue;
    const reply: Reply = await run(JSON.parse(line) as Job).then(
      (result) => ({ result }),
      (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }),
    );
    console.log(JSON.stringify(reply));
  }
}
