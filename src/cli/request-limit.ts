import type { Config } from "../config/config.ts";

/** How many requests to other servers this process may have under way. */
export interface RequestLimit {
  readonly lifted: boolean;
  /** Lifts it by starting this process again, so nothing may have been begun before. Returns where it is lifted. */
  lift(): void;
}

/** Whether the runtime's limit could ever be reached: an HTTP server may hold a stream open for each session. */
export function wantsManyRequests({ servers }: Pick<Config, "servers">): boolean {
  return [...servers.values()].some(({ target }) => target.kind !== "stdio");
}
