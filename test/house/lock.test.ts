import { expect, test } from "bun:test";
import { join } from "node:path";
import { completeLock } from "../../scripts/complete-lock.ts";
import { root } from "../support/tree.ts";

const lockText = await Bun.file(join(root, "package-lock.json")).text();
const lock = JSON.parse(lockText) as Parameters<typeof completeLock>[0];

test("the lock file names every platform's packages, so npm ci accepts it", () => {
  expect(completeLock(structuredClone(lock))).toEqual([]);
});

test("a platform package that npm left out is added with its platform", () => {
  const wanted = { "@tool/binding-linux-arm64-musl": "1.2.3", "@tool/darwin-x64": "1.2.3" };
  const small = { packages: { "": {}, "node_modules/tool": { dev: true, optionalDependencies: wanted } } };
  expect(completeLock(small)).toEqual(["@tool/binding-linux-arm64-musl@1.2.3", "@tool/darwin-x64@1.2.3"]);
  expect(small.packages).toMatchObject({
    "node_modules/@tool/binding-linux-arm64-musl": {
      version: "1.2.3",
      os: ["linux"],
      cpu: ["arm64"],
      libc: ["musl"],
      dev: true,
      optional: true,
    },
    "node_modules/@tool/darwin-x64": { version: "1.2.3", os: ["darwin"], cpu: ["x64"] },
  });
});

test("a version that is not exact is never guessed", () => {
  const small = { packages: { "node_modules/tool": { optionalDependencies: { "@tool/linux-x64-gnu": "^1.0.0" } } } };
  expect(() => completeLock(small)).toThrow("not an exact version");
});

test("the lock file agrees with package.json, whose versions are exact", async () => {
  const { dependencies, devDependencies } = await Bun.file(join(root, "package.json")).json();
  expect(lock.packages[""]).toMatchObject({ dependencies, devDependencies });
  for (const version of Object.values<string>({ ...dependencies, ...devDependencies })) {
    expect(version).toMatch(/^(npm:[@\w/.-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/);
  }
});

test("the lock file names no registry: each machine uses its own", () => {
  expect(lockText).not.toContain('"resolved"');
  expect(lockText).not.toContain("https://registry");
});
