import { readFileSync, readdirSync } from "node:fs";
import { dlopen, FFIType, ptr } from "bun:ffi";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";

const LOOK_MS = 5_000;
const WNOHANG = 1;
const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

/**
 * As the first process of a container the proxy inherits what servers leave behind, and nobody else buries it. The
 * runtime waits for its own children only, so the dead that are still there at a second look are strangers.
 * @returns ends it
 */
export function startReaper(clock: Clock, log: Log): () => void {
  const wait = waitFunction();
  if (wait === undefined) {
    log.warn(
      {},
      "processes that servers leave behind stay as zombies: run the container with an init (docker run --init)",
    );
    return () => undefined;
  }
  let before = new Set<number>();
  return clock.every(LOOK_MS, () => {
    const dead = deadChildren();
    for (const pid of dead) if (before.has(pid)) wait(pid);
    before = new Set(dead);
  });
}

function waitFunction(): ((pid: number) => void) | undefined {
  for (const library of LIBRARIES) {
    try {
      const { symbols } = dlopen(library, {
        waitpid: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
      });
      const status = new Int32Array(1);
      return (pid) => void symbols.waitpid(pid, ptr(status), WNOHANG);
    } catch {
      // Another system's library.
    }
  }
  return undefined;
}

/** Zombies whose parent is this process. */
function deadChildren(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        // The name in brackets may hold anything; the state and the parent follow its last bracket.
        const [state, parent] = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)?.split(" ") ?? [];
        return state === "Z" && Number(parent) === process.pid;
      } catch {
        return false;
      }
    });
}
