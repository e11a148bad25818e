import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { performancePage } from "../../scripts/performance-doc.ts";

test("the tables of docs/performance.md are those of the results that are kept", () => {
  const page = readFileSync(join(import.meta.dir, "../../docs/performance.md"), "utf8");
  expect(performancePage(page)).toBe(page);
  expect(page).toContain("### Against the budgets, 20");
  expect(page).toContain("### Growth, 20");
});
