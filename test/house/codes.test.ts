import { expect, test } from "bun:test";
import { Glob } from "bun";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");
/** A code in quotes, or at the end of a message. */
const CODE = /(?:"| {3})((?:upstream|config|listen|store|filter|login)\.[a-z_]+)(?=["`\\])/g;
const FILES = new Set(["config.json", "config.jsonc"]);

test("every error code has a section in docs/troubleshooting.md, and no section is left over", async () => {
  const used = new Set<string>();
  for await (const path of new Glob("src/**/*.ts").scan(ROOT)) {
    const text = await Bun.file(join(ROOT, path)).text();
    for (const match of text.matchAll(CODE)) if (match[1] !== undefined && !FILES.has(match[1])) used.add(match[1]);
  }
  const page = await Bun.file(join(ROOT, "docs/troubleshooting.md")).text();
  const sections = new Set([...page.matchAll(/^### (\S+)$/gm)].map((match) => match[1]));
  expect([...used].filter((code) => !sections.has(code))).toEqual([]);
  expect([...sections].filter((code) => code === undefined || !used.has(code))).toEqual([]);
  expect(used.size).toBeGreaterThan(30);
});
