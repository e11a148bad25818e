import { expect, test } from "bun:test";
import { makeTree, root } from "../support/tree.ts";

/** Runs a file of two tests, one of which needs a program that no machine has. */
async function outcome(environment: Record<string, string>): Promise<{ code: number; output: string }> {
  await using tree = await makeTree();
  await tree.write(
    "some.test.ts",
    `import { program, testWith } from "${root}/test/support/programs.ts";
testWith(program("sh"), "needs a shell", async (path) => { if (!path.endsWith("/sh")) throw new Error(path); });
testWith(program("no-such-" + "program"), "needs more", async () => { throw new Error("ran"); });\n`,
  );
  const { CI: _, ...inherited } = process.env;
  const env = { ...inherited, ...environment, NO_COLOR: "1" };
  await using child = Bun.spawn([process.execPath, "test"], { cwd: tree.path, env, stdout: "ignore", stderr: "pipe" });
  return { output: await child.stderr.text(), code: await child.exited };
}

test("a test whose program is missing is skipped by name", async () => {
  const { code, output } = await outcome({});
  expect(output).toContain("(pass) needs a shell");
  expect(output).toContain("(skip) needs more (no-such-program is missing)");
  expect(code).toBe(0);
});

test("in CI it fails", async () => {
  const { code, output } = await outcome({ CI: "true" });
  expect(output).toContain("(pass) needs a shell");
  expect(output).toContain("(fail) needs more (no-such-program is missing)");
  expect(output).not.toContain("ran");
  expect(code).toBe(1);
});
