import { expect, test } from "bun:test";
import { conformanceTotals, testTotals } from "../../scripts/totals.ts";
import { makeTree, root } from "../support/tree.ts";

/** What `bun test` prints for the files given. */
async function runTests(files: Record<string, string>): Promise<string> {
  await using tree = await makeTree();
  for (const [file, text] of Object.entries(files)) await tree.write(file, `import { test } from "bun:test";\n${text}`);
  const command = [process.execPath, "test", "--isolate"];
  const env = { ...process.env, NO_COLOR: "1" };
  await using tests = Bun.spawn(command, { cwd: tree.path, env, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([tests.stdout.text(), tests.stderr.text()]);
  return stdout + stderr;
}

test("tests that pass, fail, are skipped and are only planned", async () => {
  const log = await runTests({
    "a.test.ts": `test("one", () => {}); test("two", () => {}); test.skip("three", () => {}); test.todo("four");`,
    "b.test.ts": `test("five", () => { throw new Error("on purpose"); }); console.log(" 90 pass\\n 90 fail");`,
  });
  expect(testTotals(log)).toEqual({ passed: 2, failed: 1, skipped: 2 });
});

test("a file that does not load counts as failed", async () => {
  const log = await runTests({ "a.test.ts": `test("one", () => {});`, "b.test.ts": `throw new Error("on purpose");` });
  expect(testTotals(log)).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test("an error that belongs to no test counts as failed", async () => {
  const late = `test("one", () => void setTimeout(() => { throw new Error("on purpose"); }, 1));
test("two", () => new Promise((done) => setTimeout(done, 50)));`;
  const between = `test("one", () => void Promise.reject(new Error("on purpose")));`;
  expect(testTotals(await runTests({ "a.test.ts": late }))).toMatchObject({ failed: 1, skipped: 0 });
  expect(testTotals(await runTests({ "a.test.ts": between }))).toMatchObject({ failed: 1, skipped: 0 });
  const alone = " 2 pass\n 0 fail\n 1 error\nRan 2 tests across 1 file. [9.00ms]\n";
  expect(testTotals(alone)).toEqual({ passed: 2, failed: 1, skipped: 0 });
});

test("a run that was cut off has no totals", () => {
  expect(() => testTotals("(pass) one [0.03ms]\n")).toThrow("did they run to their end");
  expect(() => conformanceTotals("legacy: 12 scenarios\n")).toThrow("did the suite run to its end");
});

test("the conformance suite's last line counts", () => {
  expect(conformanceTotals("x\nconformance: 40 passed, 0 failed\n")).toEqual({ passed: 40, failed: 0, skipped: 0 });
  expect(conformanceTotals("conformance: 40 passed, 2 failed, 1 skipped")).toEqual({
    passed: 40,
    failed: 2,
    skipped: 1,
  });
});

async function total(testLog: string, conformanceLog: string): Promise<{ code: number; last: string | undefined }> {
  await using tree = await makeTree();
  await tree.write("test.log", testLog);
  await tree.write("conformance.log", conformanceLog);
  const command = [process.execPath, `${root}/scripts/totals.ts`, "test.log", "conformance.log"];
  await using child = Bun.spawn(command, { cwd: tree.path, stdout: "pipe", stderr: "ignore" });
  const last = (await child.stdout.text()).trimEnd().split("\n").at(-1);
  return { code: await child.exited, last };
}

test("both are added up; a failure, a skip or a missing report is an error", async () => {
  const summary = (skipped: number): string => ` 5 pass\n ${skipped} skip\n 0 fail\nRan 6 tests across 2 files.\n`;
  const good = "conformance: 7 passed, 0 failed\n";
  expect(await total(summary(0), good)).toEqual({ code: 0, last: "12 passed, 0 failed, 0 skipped" });
  expect(await total(summary(1), good)).toEqual({ code: 1, last: "12 passed, 0 failed, 1 skipped" });
  expect(await total(summary(0), "conformance: 6 passed, 1 failed\n")).toEqual({
    code: 1,
    last: "11 passed, 1 failed, 0 skipped",
  });
  expect(await total(summary(0), "")).toEqual({ code: 1, last: "5 passed, 0 failed, 0 skipped" });
});
