import { describe, expect, test } from "bun:test";
import { makeTree, root } from "../support/tree.ts";

/** A small house that keeps every rule; each case below breaks one. */
const clean = {
  "src/main.ts": `import { serve } from "./cli/serve.ts";\nprocess.exit(serve());\n`,
  "src/cli/serve.ts": `import { answer } from "../protocol/answer.ts";\nimport { home } from "../config/home.ts";\n
export const serve = (): number => answer(home()).length;\n`,
  "src/protocol/answer.ts": `export const answer = (text: string): string => text.trim();\n`,
  "src/config/home.ts": `export const home = (): string => process.env["HOME"] ?? "";\n`,
};

interface Finding {
  /** Such as `import(no-cycle)`. */
  readonly code: string;
  readonly message: string;
  readonly help?: string;
}

async function lint(files: Record<string, string>): Promise<{ code: number; found: Finding[] }> {
  await using tree = await makeTree();
  await tree.copy(".oxlintrc.json", "tsconfig.json");
  await tree.linkPackages();
  for (const [file, text] of Object.entries({ ...clean, ...files })) await tree.write(file, text);
  const command = ["sh", `${root}/scripts/bun`, "run", "oxlint", "--type-aware", "--deny-warnings", "-f", "json"];
  await using oxlint = Bun.spawn(command, { cwd: tree.path, stdout: "pipe", stderr: "ignore" });
  const report = (await oxlint.stdout.json()) as { diagnostics: Finding[] };
  return { code: await oxlint.exited, found: report.diagnostics };
}

test("a house that keeps the rules passes", async () => {
  expect(await lint({})).toEqual({ code: 0, found: [] });
});

const broken: [what: string, rule: string, message: string, files: Record<string, string>][] = [
  [
    "an import of an upper layer",
    "no-restricted-imports",
    "src/protocol lies below this layer",
    { "src/protocol/up.ts": `import { serve } from "../cli/serve.ts";\nexport const up = serve;\n` },
  ],
  [
    "an import of an upper layer for its types only, from a folder within a folder",
    "no-restricted-imports",
    "src/store lies below this layer",
    { "src/store/sqlite/up.ts": `import type { home } from "../../config/home.ts";\nexport type Up = typeof home;\n` },
  ],
  [
    "an export of an upper layer",
    "no-restricted-imports",
    "src/telemetry lies below this layer",
    { "src/telemetry/up.ts": `export { home } from "../config/home.ts";\n` },
  ],
  [
    "the daemon reaching for the command line",
    "no-restricted-imports",
    "src/daemon lies below this layer",
    { "src/daemon.ts": `import { serve } from "./cli/serve.ts";\nexport const daemon = serve;\n` },
  ],
  [
    "a file system in the pure layer",
    "no-restricted-imports",
    "src/protocol is pure",
    { "src/protocol/disk.ts": `import { readFileSync } from "node:fs";\nexport const disk = readFileSync;\n` },
  ],
  [
    "a clock in the pure layer",
    "no-restricted-properties",
    "src/protocol is pure",
    { "src/protocol/clock.ts": `export const clock = (): number => Date.now();\n` },
  ],
  [
    "Bun in the pure layer",
    "no-restricted-globals",
    "src/policy is pure",
    { "src/policy/hash.ts": `export const hash = (text: string): unknown => Bun.hash(text);\n` },
  ],
  [
    "a barrel",
    "no-restricted-imports",
    "No barrels",
    {
      "src/relay/use.ts": `export { one } from "./parts/index.ts";\n`,
      "src/relay/parts/index.ts": `export const one = 1;\n`,
    },
  ],
  [
    "a promise nobody waits for",
    "no-floating-promises",
    "Promises must be awaited",
    { "src/upstream/lost.ts": `export function lost(): void {\n  Bun.write("x", "y");\n}\n` },
  ],
  [
    "a promise where none is expected",
    "no-misused-promises",
    "Promise",
    {
      "src/upstream/misused.ts": `export function misused(list: string[]): void {
  list.forEach(async (name) => {\n    await Bun.write(name, "");\n  });\n}\n`,
    },
  ],
  [
    "a cycle within one layer",
    "no-cycle",
    "cycle",
    {
      "src/relay/hen.ts": `import { egg } from "./egg.ts";\nexport const hen = (): unknown => egg;\n`,
      "src/relay/egg.ts": `import { hen } from "./hen.ts";\nexport const egg = (): unknown => hen;\n`,
    },
  ],
  [
    "an end of the process in a lower folder",
    "no-restricted-properties",
    "Only src/main.ts ends the process",
    { "src/upstream/end.ts": `export function end(): void {\n  process.exit(1);\n}\n` },
  ],
  [
    "a signal handler in a lower folder",
    "no-restricted-properties",
    "Only src/main.ts handles signals",
    { "src/cli/signal.ts": `export function signal(stop: () => void): void {\n  process.on("SIGTERM", stop);\n}\n` },
  ],
  [
    "a read of the environment outside src/config",
    "no-restricted-properties",
    "Only src/config reads the environment",
    { "src/http/port.ts": `export const port = (): string | undefined => process.env["PORT"];\n` },
  ],
];

describe("lint refuses", () => {
  for (const [what, rule, message, files] of broken) {
    test(what, async () => {
      const { code, found } = await lint(files);
      expect([...new Set(found.map((finding) => finding.code.replace(/^.*\((.*)\)$/, "$1")))]).toEqual([rule]);
      expect(`${found[0]?.message} ${found[0]?.help}`).toContain(message);
      expect(code).toBe(1);
    });
  }
});
