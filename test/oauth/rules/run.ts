/**
 * Shows of every rule of the login that a test holds it: breaks the rule by an edit in a temporary copy of the project,
 * and sees that test turn red. Fails on an edit that fits nowhere any more, and on a test that stays green.
 * Run: make rules, or make rules LINES="34 35"; MARKDOWN=FILE writes the table.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EDITS } from "./edits.ts";
import type { Edit } from "./edits.ts";

const ROOT = join(import.meta.dir, "../../..");
const COPIED = ["src", "test", "templates", "package.json", "tsconfig.json", "config.example.jsonc"];
/** A test that a broken rule makes wait without end is ended, and counts as red. */
const PATIENCE_MS = 20_000;

const wanted = process.argv.slice(2);
const edits = EDITS.filter(({ line }) => wanted.length === 0 || wanted.includes(line));
const copy = mkdtempSync(join(tmpdir(), "mcp-proxy-rules-"));
const rows: string[] = [];
let failures = 0;
try {
  for (const name of COPIED) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  const green = new Map<string, ReadonlySet<string>>();
  for (const edit of edits) {
    if (!green.has(edit.test)) green.set(edit.test, (await run(edit.test)).passed);
    const trouble = await attempt(edit, green.get(edit.test) ?? new Set());
    if (trouble !== undefined) failures++;
    console.log(
      `${edit.line.padEnd(3)} ${trouble === undefined ? "red" : `NOT SHOWN: ${trouble}`}  ${edit.test} > ${edit.name}`,
    );
    rows.push(`| ${edit.line} | \`${edit.test}\`: ${escape(edit.name)} | ${escape(edit.what)} (\`${edit.file}\`) |`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
const { MARKDOWN } = process.env;
if (MARKDOWN !== undefined)
  writeFileSync(MARKDOWN, ["| line | test | edit that turns it red |", "| --- | --- | --- |", ...rows, ""].join("\n"));
console.log(failures === 0 ? `all ${edits.length} rules are held` : `${failures} of ${edits.length} are not shown`);
if (failures > 0) process.exitCode = 1;

/** @returns why the edit shows nothing; undefined when it turned the test red */
async function attempt(edit: Edit, green: ReadonlySet<string>): Promise<string | undefined> {
  const isIt = (name: string): boolean => name.endsWith(edit.name);
  if (![...green].some(isIt)) return "no test of that name passes without the edit";
  const file = join(copy, edit.file);
  const before = readFileSync(file, "utf8");
  if (before.split(edit.from).length !== 2) return `the text to replace is not there once: ${edit.from}`;
  try {
    writeFileSync(
      file,
      before.replace(edit.from, () => edit.to),
    );
    const { failed, output } = await run(edit.test, edit.name);
    if (/SyntaxError|ReferenceError|error: Expected/.test(output)) return "the edit is no program";
    return [...failed].some(isIt) ? undefined : "the test stays green";
  } finally {
    writeFileSync(file, before);
  }
}

async function run(
  test: string,
  name?: string,
): Promise<{ passed: ReadonlySet<string>; failed: ReadonlySet<string>; output: string }> {
  const only = name === undefined ? [] : ["-t", name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")];
  const child = Bun.spawn([process.execPath, "test", "--isolate", "--timeout", String(PATIENCE_MS), ...only, test], {
    cwd: copy,
    stdout: "pipe",
    stderr: "pipe",
    // A broken rule leaves broken processes behind, which are found by their group.
    detached: true,
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // None is left.
  }
  const output = out + err;
  const names = (word: string): ReadonlySet<string> =>
    new Set(
      [...output.matchAll(new RegExp(`^\\(${word}\\) (.*?)(?: \\[[\\d.]+m?s\\])?$`, "gm"))].map(
        ([, found = ""]) => found,
      ),
    );
  return { passed: names("pass"), failed: names("fail"), output };
}

function escape(text: string): string {
  return text.replaceAll("|", "\\|");
}
