import type { Clock } from "./clock.ts";

const LOOK_MS = 4_000;
/** What is worth the few milliseconds that a collection takes. */
const WORTH_BYTES = 16 * 1024 * 1024;

/**
 * Gives memory back after a peak: the runtime does not collect while a process has nothing to do, so what a crowd of
 * clients needed would stay until the next one comes.
 * @param idle whether nobody would notice a pause
 * @returns ends it
 */
export function settleWhenIdle(clock: Clock, idle: () => boolean): () => void {
  let settled = process.memoryUsage.rss();
  return clock.every(LOOK_MS, () => {
    const rss = process.memoryUsage.rss();
    if (rss < settled) settled = rss;
    if (rss < settled + WORTH_BYTES || !idle()) return;
    Bun.gc(true);
    settled = process.memoryUsage.rss();
  });
}
