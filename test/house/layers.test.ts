import { expect, test } from "bun:test";
import { Glob } from "bun";
import { join, normalize } from "node:path";
import { root } from "../support/tree.ts";

/** Upper layers first. The linter holds the same order for `import` statements; it does not look into `await import()`. */
const order =
  "main cli daemon http oauth auth downstream relay policy upstream protocol config http1 store telemetry".split(" ");

const layerOf = (file: string): number => order.indexOf(file.split("/")[1]?.replace(/\.ts$/, "") ?? "");

/** Imports of a file that go upward, each as `from -> to`; lazy ones count as much as the others. */
function upward(file: string, text: string): string[] {
  const imports = new Bun.Transpiler({ loader: "ts" }).scanImports(text);
  return imports
    .filter((found) => found.path.startsWith("."))
    .map((found) => normalize(join(file, "..", found.path)))
    .filter((target) => target.startsWith("src/") && layerOf(target) < layerOf(file))
    .map((target) => `${file} -> ${target}`);
}

test("a lazy import that goes upward is seen", () => {
  const text = `export const up = async () => await import("../cli/serve.ts");`;
  expect(upward("src/relay/up.ts", text)).toEqual(["src/relay/up.ts -> src/cli/serve.ts"]);
  expect(upward("src/cli/down.ts", `await import("../daemon.ts");`)).toEqual([]);
});

test("every file of src belongs to a layer, and none imports upward", async () => {
  const files = await Array.fromAsync(new Glob("src/**/*.ts").scan(root));
  expect(files.filter((file) => layerOf(file) < 0)).toEqual([]);
  const found = await Promise.all(files.map(async (file) => upward(file, await Bun.file(join(root, file)).text())));
  expect(files.length).toBeGreaterThan(10);
  expect(found.flat()).toEqual([]);
});
