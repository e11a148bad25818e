import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { testWith, program } from "../support/programs.ts";
import { makeTree, root, type Tree } from "../support/tree.ts";

/** What a machine has before anybody installed anything for us; neither npm nor Node.js, and no Bun yet. */
const bare =
  "sh make git sed find mkdir mv touch dirname cat ls rm cp env uname head tail sort tr chmod ln sleep ps kill";

/** The files of the project as a clone would have them, those not yet committed included. */
async function clone(): Promise<Tree> {
  const tree = await makeTree();
  const listing = Bun.spawn(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  const files = (await listing.stdout.text()).split("\0").filter((file) => file !== "");
  for (const file of files) if (await Bun.file(join(root, file)).exists()) await tree.copy(file);
  // A copy of a file is not executable; a clone of .ci/run is.
  await Bun.spawn(["chmod", "-R", "+x", "scripts", ".ci"], { cwd: tree.path }).exited;
  return tree;
}

/** How this machine reaches a registry: through which proxy, with whose certificates, and which registry it is. */
const network = /^(https?_proxy|no_proxy|node_extra_ca_certs|ssl_cert_(file|dir)|(npm|bun)_config_\w+)$/i;

async function run(tree: Tree, path: string, ...command: string[]): Promise<{ code: number; output: string }> {
  const reach = Object.fromEntries(Object.entries(process.env).filter(([name]) => network.test(name)));
  const env = { ...reach, HOME: process.env["HOME"], PATH: path, NO_COLOR: "1" };
  const child = Bun.spawn(command, { cwd: tree.path, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, output: stdout + stderr };
}

describe("a fresh clone where there is only Bun", () => {
  let tree: Tree;
  let path: string;

  beforeAll(async () => {
    tree = await clone();
    await tree.write("only/README", "the programs of a bare machine\n");
    path = join(tree.path, "only");
    for (const name of bare.split(" ")) {
      const found = Bun.which(name);
      if (found !== null) await symlink(found, join(path, name));
    }
    await symlink(process.execPath, join(path, "bun"));
  }, 60_000);
  afterAll(() => tree[Symbol.asyncDispose]());

  test("make build installs what is needed and writes the program", async () => {
    const { code, output } = await run(tree, path, "make", "build");
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining("packages installed") });
    const version = await run(tree, path, "build/mcp-proxy", "--version");
    const { version: expected } = await Bun.file(join(root, "package.json")).json();
    expect(version).toEqual({ code: 0, output: `mcp-proxy ${expected}\n` });
  }, 300_000);

  test("what was built is not built again, and what changed is", async () => {
    expect((await run(tree, path, "make", "build")).output).toContain("Nothing to be done");
    await tree.write("src/main.ts", await Bun.file(join(root, "src/main.ts")).text());
    expect((await run(tree, path, "make", "build")).output).toContain("build --compile");
  }, 120_000);

  test("npx and node are there for the servers of a configuration", async () => {
    const fallback = `${path}:${join(tree.path, "scripts/without-node")}`;
    const node = await run(tree, fallback, "node", "-e", "console.log(1 + 1)");
    expect(node).toEqual({ code: 0, output: "2\n" });
    const npx = await run(tree, fallback, "npx", "-y", "oxfmt", "--version");
    expect(npx).toEqual({ code: 0, output: expect.stringMatching(/\d+\.\d+\.\d+/) });
  }, 60_000);

  test("the working tree stays as git has it", async () => {
    expect(await Bun.file(join(tree.path, "bun.lock")).exists()).toBe(false);
    const lock = await Bun.file(join(tree.path, "package-lock.json")).text();
    expect(lock).toBe(await Bun.file(join(root, "package-lock.json")).text());
  });
});

testWith(
  program("npm"),
  "npm ci with install scripts blocked still gives a Bun that runs",
  async () => {
    await using tree = await makeTree();
    await tree.copy("package.json", "package-lock.json", ".npmrc", "scripts/bun");
    const path = process.env["PATH"] ?? "";
    const installed = await run(tree, path, "npm", "ci", "--ignore-scripts", "--prefer-offline");
    expect({ code: installed.code, output: installed.output }).toEqual({
      code: 0,
      output: expect.stringContaining("added"),
    });
    expect(Bun.file(join(tree.path, "node_modules/bun/bin/bun.exe")).size).toBeLessThan(10_000);
    const found = await run(tree, path, "sh", "scripts/bun", "--version");
    expect(found).toEqual({ code: 0, output: `${Bun.version}\n` });
  },
  600_000,
);

test("without npm and without Bun the message names the remedy", async () => {
  await using tree = await makeTree();
  await tree.copy("Makefile", "package.json", "package-lock.json", "scripts/bun");
  await tree.write("only/README", "");
  for (const name of ["sh", "make", "dirname", "touch"]) {
    await symlink(Bun.which(name) ?? "", join(tree.path, "only", name));
  }
  const { code, output } = await run(tree, join(tree.path, "only"), "make", "install");
  expect(output).toContain("npm (Node.js 20 or newer) or Bun: install one of them");
  expect(code).toBe(2);
});
