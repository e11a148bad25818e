import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { root } from "../support/tree.ts";

/** Written in two parts, so that this file does not hold what it looks for. */
const word = (...parts: string[]): RegExp => new RegExp(parts.join(""), "i");

/** What belongs to one machine or to the making of the project, and means nothing to who reads it. */
const foreign: [what: string, pattern: RegExp, example: string][] = [
  ["a folder of one machine", word("(?<![\\w.])/(work", "|root|Users)/\\w"), `see /${"work"}/main`],
  ["a home of one machine", word("(?<![\\w.])/home/", "(?!me/)\\w"), `in /${"home"}/joe/x`],
  ["a temporary file of one machine", word("(?<![\\w.])/tm", "p/[\\w-]+\\.(md|log|txt)"), `see /${"tmp"}/notes.md`],
  ["a registry's host", word("\\b(registry\\.[a-z]", "|npmjs\\.|pypi\\.|pythonhosted\\.|pkg\\.dev)"), `npm${"js"}.org`],
  ["a registry's product", word("\\b(artifac", "tory|verdac", "cio|nexus-repo)"), `verdac${"cio"}`],
  ["a number of a task", word("\\b(issue", "|task|ticket)[ -]?#?\\d"), `as issu${"e"} 3 says`],
  ["who works on it", word("\\b(sub-?", "agent|language model|the lead\\b|session of wo", "rk)"), `a sub${"agent"}`],
  ["how it is judged", word("\\b(hidden|acceptance|grading)[ -]te", "sts?\\b"), `hidden te${"sts"}`],
  ["a mark of unfinished work", word("\\b(TO", "DO|FIX", "ME|XX", "X)\\b(?=[:( ]|$)"), `// TO${"DO"}: later`],
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
