import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { root } from "../support/tree.ts";

const readme = await Bun.file(join(root, "README.md")).text();
const example = await Bun.file(join(root, "config.example.jsonc")).text();

/** Code blocks of one language, each with the line of the page where it begins. */
function blocks(language: string): { line: number; code: string }[] {
  return [...readme.matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
    .filter(([, found]) => found === language)
    .map((match) => ({ line: readme.slice(0, match.index).split("\n").length + 1, code: match[2] ?? "" }));
}

/** Of a password nobody has. */
const HASH = "$2b$11$abcdefghijklmnopqrstuuFJi7iFaRgYdrpjIJmmcKDkMWYZQdqgm";

/** Loads a text with every variable set that it names. */
function load(text: string, name: string) {
  const env = Object.fromEntries(
    [...text.matchAll(/\$\{(\w+)\}/g)].map(([, variable]) => [
      variable,
      variable?.endsWith("_HASH") === true ? HASH : "t0ken-of-a-test",
    ]),
  );
  const context = { env: { PATH: "/bin", ...env }, cwd: root, home: "/nowhere", overrides: {}, fetch };
  return loadConfig({ kind: "text", text, name }, context);
}

describe("each configuration of the README loads without an error or a warning", () => {
  const configurations = blocks("jsonc");
  test("there are some", () => expect(configurations.length).toBeGreaterThan(2));
  for (const { line, code } of configurations) {
    test(`line ${line}`, async () => {
      const { config, problems } = await load(code, `README.md:${line}`);
      expect(problems).toEqual([]);
      expect(config?.servers.size).toBeGreaterThan(0);
    });
  }
});

test("the example configuration loads, without a secret, and listens on loopback only", async () => {
  expect(example).not.toContain("${");
  const { config, problems } = await load(example, "config.example.jsonc");
  expect(problems).toEqual([]);
  expect([...(config?.servers.keys() ?? [])]).toEqual(["everything", "files", "time"]);
  expect(config?.listen).toEqual({ kind: "tcp", host: "127.0.0.1", port: 9090 });
});

test("the example serves a folder that is there in a fresh clone", async () => {
  const listing = Bun.spawn(["git", "ls-files", "--cached", "--others", "--exclude-standard", "docs"], { cwd: root });
  expect(await listing.stdout.text()).not.toBe("");
});

test("the example names the versions that the tests run against", async () => {
  const { devDependencies } = await Bun.file(join(root, "package.json")).json();
  const named = [...example.matchAll(/"(@modelcontextprotocol\/[\w-]+)@([\d.]+)"/g)];
  expect(named.length).toBe(2);
  for (const [, name = "", version] of named) expect(devDependencies[name]).toBe(version);
});

describe("each command of the README exists", () => {
  const lines = blocks("sh").flatMap(({ code }) => code.replaceAll("\\\n", " ").trim().split("\n"));

  test("targets of make", async () => {
    const makefile = await Bun.file(join(root, "Makefile")).text();
    const targets = /^\.PHONY: (.*)$/m.exec(makefile)?.[1]?.split(" ") ?? [];
    const used = lines.filter((line) => line.startsWith("make ")).map((line) => line.slice("make ".length));
    expect(used).toContain("run");
    expect(used.filter((target) => !targets.includes(target))).toEqual([]);
  });
});

test("links within the project lead to files", async () => {
  const targets = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1] ?? "");
  expect(targets.length).toBeGreaterThan(2);
  for (const target of targets)
    expect({ target, exists: await Bun.file(join(root, target)).exists() }).toEqual({ target, exists: true });
});
