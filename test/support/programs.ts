import { test } from "bun:test";

/** A program from outside the project that a test runs, such as `uvx`. */
export interface Program {
  readonly name: string;
  /** Whole path; undefined where this machine lacks the program. */
  readonly path: string | undefined;
}

/** Looks for a program on PATH. The literal name is also what `.ci/run` finds and installs. */
export function program(name: string): Program {
  return { name, path: Bun.which(name) ?? undefined };
}

/**
 * A test that needs an outside program, which `run` is handed the path of. A bare machine skips it, and the name of the
 * test says for want of what; with `CI=true` the test fails instead, since there a skip would hide what nobody tried.
 *
 * @param timeoutMs for this test alone, in milliseconds
 */
export function testWith(
  needed: Program,
  name: string,
  run: (path: string) => Promise<void>,
  timeoutMs?: number,
): void {
  const { path } = needed;
  if (path !== undefined) test(name, () => run(path), timeoutMs);
  else if (process.env["CI"] === "true") {
    test(`${name} (${needed.name} is missing)`, () => {
      throw new Error(`${needed.name} is not on PATH; .ci/run installs what tests need`);
    });
  } else test.skip(`${name} (${needed.name} is missing)`, () => {});
}
