import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { root } from "../support/tree.ts";

/** Puts an example together, so that this file does not hold what it looks for. */
const parts = (...texts: string[]): string => texts.join("");

/** What belongs to one machine or to one day's work, and means nothing to who reads it. Each has an example to find. */
const foreign: [what: string, pattern: RegExp, example: string][] = [
  ["a folder of one machine", /(?<![\w.])\/(work|root|Users)\/\w/, parts("see /work", "/main")],
  ["a home of one machine", /(?<![\w.])\/home\/(?!me\b)\w/, parts("in /home", "/joe/x")],
  ["a note in the temporary folder", /(?<![\w.])\/tmp\/[\w-]+\.(md|log|txt)\b/, parts("see /tmp", "/notes.md")],
  [
    "a registry's host",
    /\b(registry\.[a-z]|(npmjs|pypi|pythonhosted|pkg)\.(org|com|dev))/,
    parts("https://registry", ".npmjs", ".org"),
  ],
  ["a number of a task", /\b(issue|task|ticket)[ -]?#?\d/i, parts("as issue", " 3 says")],
  ["a mark of unfinished work", /\b(TO(?:DO)|FIX(?:ME)|XX(?:X))\b/, parts("// TO", "DO: later")],
];

/** Each file of the project that git keeps or would keep, with its text. */
async function projectFiles(): Promise<{ file: string; text: string }[]> {
  const command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  await using listing = Bun.spawn(command, { cwd: root, stdout: "pipe" });
  const names = (await listing.stdout.text()).split("\0").filter((name) => name !== "");
  const files = await Promise.all(
    names.map(async (file) => {
      const on = Bun.file(join(root, file));
      return (await on.exists()) ? [{ file, text: await on.text() }] : [];
    }),
  );
  return files.flat();
}

const files = await projectFiles();

describe("no file of the project holds", () => {
  test("nothing was left out", () => expect(files.map(({ file }) => file)).toContain("src/main.ts"));

  for (const [what, pattern, example] of foreign) {
    test(what, () => {
      expect(example).toMatch(pattern);
      const found = files.flatMap(({ file, text }) =>
        text.split("\n").flatMap((line, at) => {
          const match = pattern.exec(line);
          return match === null ? [] : [`${file}:${at + 1}: ${match[0]}`];
        }),
      );
      expect(found).toEqual([]);
    });
  }
});

test("every page that is named is one of the project's", () => {
  const pages = new Set(files.map(({ file }) => file.split("/").at(-1)));
  const named = files
    .filter(({ file }) => file !== "package-lock.json")
    .flatMap(({ file, text }) => [...text.matchAll(/\b[A-Z][A-Z-]{3,}\.md\b/g)].map(([name]) => ({ file, name })));
  expect(named.length).toBeGreaterThan(0);
  expect(named.filter(({ name }) => !pages.has(name))).toEqual([]);
});
