/** How long and how often each thing is measured. */
export interface Plan {
  /** Interleaved rounds (echo, minimal, ours, echo, ...) of everything that runs against standing servers. */
  rounds: number;
  callSeconds: number;
  warmSeconds: number;
  latencyCalls: number;
  starts: number;
  sessions: number;
  warmSessions: number;
  touches: number;
  settleMs: number;
  wrk: boolean;
  /** Rounds in which the peers take part; they are far from the budgets, so fewer say enough. */
  peerRounds: number;
  peerCalls: number;
  /** Whether peers that are not there are installed. */
  fetchPeers: boolean;
  /** After this the whole run is ended: a benchmark that hangs must not hang its caller. */
  deadlineSeconds: number;
}

export const CONNECTIONS = 32;
/** After these the runtime has compiled the way of a call. */
export const WARM_CALLS = 30_000;
/** Large answers and streams are measured with few clients, so that memory in flight does not decide. */
export const HEAVY_CONNECTIONS = 4;
/** wrk's own default would be 2 threads; one leaves a core of a small machine to what is measured. */
export const WRK_THREADS = 1;

export const FULL: Plan = {
  rounds: 5,
  callSeconds: 2,
  warmSeconds: 0.5,
  latencyCalls: 3_000,
  starts: 10,
  sessions: 10_000,
  warmSessions: 1_000,
  touches: 5,
  settleMs: 2_000,
  wrk: true,
  peerRounds: 2,
  peerCalls: 300,
  fetchPeers: true,
  deadlineSeconds: 590,
};

export const QUICK: Plan = {
  rounds: 3,
  callSeconds: 0.7,
  warmSeconds: 0.2,
  latencyCalls: 600,
  starts: 5,
  sessions: 1_000,
  warmSessions: 200,
  touches: 3,
  settleMs: 600,
  wrk: false,
  peerRounds: 1,
  peerCalls: 60,
  fetchPeers: false,
  deadlineSeconds: 150,
};
