/**
 * Loaded before a program (`--preload`): notes how long its main thread runs without coming back to its timers. Counted
 * is the time it had a processor (schedstat), so a busy machine, which only makes it wait, changes nothing. Linux only.
 * At SIGUSR2 the samples, in milliseconds, go to the file RUNS_FILE names, and it begins anew.
 */
import { openSync, readSync, renameSync, writeFileSync } from "node:fs";

const EVERY_MS = 1;
const file = process.env["RUNS_FILE"] ?? "";
const schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
const buffer = Buffer.alloc(128);
let runs: number[] = [];
let before = ranMs();

setInterval(() => {
  const now = ranMs();
  runs.push(now - before);
  before = now;
}, EVERY_MS).unref();

process.on("SIGUSR2", () => {
  // Whole at once: whoever waits for the file must not read half of it.
  writeFileSync(`${file}.new`, JSON.stringify(runs));
  renameSync(`${file}.new`, file);
  runs = [];
  before = ranMs();
});

function ranMs(): number {
  const length = readSync(schedstat, buffer, 0, buffer.length, 0);
  return Number.parseInt(buffer.toString("latin1", 0, length), 10) / 1e6;
}
