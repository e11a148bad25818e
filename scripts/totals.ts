/**
 * Prints the totals of one run as `N passed, N failed, N skipped`, and fails when anything failed or was skipped, or
 * when one of the reports is not there.
 *
 * Usage: bun scripts/totals.ts build/test.log build/conformance.log
 */
interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * Reads the summary at the end of what `bun test` prints. (Its JUnit report leaves out a file that fails to load.)
 * A test marked `todo` did not run either, so it counts as skipped. An error between tests fails the run without
 * failing a test; one in a file that does not load counts as both.
 */
export function testTotals(log: string): Totals {
  const summary = /^ +\d+ pass$(?![^]*^ +\d+ pass$)[^]*?^Ran \d+ tests? across/m.exec(log)?.[0];
  if (summary === undefined) throw new Error("no summary of the tests: did they run to their end?");
  const count = (what: string): number => Number(new RegExp(`^ +(\\d+) ${what}s?$`, "m").exec(summary)?.[1] ?? 0);
  return {
    passed: count("pass"),
    failed: Math.max(count("fail"), count("error")),
    skipped: count("skip") + count("todo"),
  };
}

/** Reads the last line `conformance: N passed, N failed` (a third number of skipped ones may follow). */
export function conformanceTotals(log: string): Totals {
  const found = [...log.matchAll(/^conformance: (\d+) passed, (\d+) failed(?:, (\d+) skipped)?/gm)].at(-1);
  if (found === undefined) throw new Error("no line `conformance: N passed, N failed`: did the suite run to its end?");
  return { passed: Number(found[1]), failed: Number(found[2]), skipped: Number(found[3] ?? 0) };
}

async function main([tests = "", conformance = ""]: string[]): Promise<number> {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  let broken = false;
  for (const [path, read] of [[tests, testTotals] as const, [conformance, conformanceTotals] as const]) {
    try {
      const more = read(await Bun.file(path).text());
      for (const key of ["passed", "failed", "skipped"] as const) totals[key] += more[key];
    } catch (error) {
      console.error(`${path}: ${error instanceof Error ? error.message : String(error)}`);
      broken = true;
    }
  }
  console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  return broken || totals.failed + totals.skipped > 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main(Bun.argv.slice(2));
