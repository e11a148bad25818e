import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { makeTree, root, type Tree } from "../support/tree.ts";

const binary = join(root, "build/mcp-proxy");

/** Starts a program in a folder that is not the project's, with nothing of our environment but what finds programs. */
function start(folder: Tree, command: string[], env: Record<string, string> = {}) {
  const environment = { PATH: process.env["PATH"], HOME: folder.path, NO_COLOR: "1", ...env };
  return Bun.spawn(command, { cwd: folder.path, env: environment, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

async function run(folder: Tree, command: string[], env: Record<string, string> = {}) {
  await using child = start(folder, command, env);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, output: stdout + stderr };
}

/** Reads lines until one fits. */
async function line(stream: ReadableStream<Uint8Array>, fits: (text: string) => boolean): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const found = text.split("\n").slice(0, -1).find(fits);
    if (found !== undefined) return found;
  }
  throw new Error(`ended without that line:\n${text}`);
}

beforeAll(async () => {
  await using build = Bun.spawn(["make", "build"], { cwd: root, stdout: "pipe", stderr: "pipe" });
  const [output, errors] = await Promise.all([build.stdout.text(), build.stderr.text()]);
  expect({ code: await build.exited, errors: output + errors }).toMatchObject({ code: 0 });
}, 120_000);

describe("the compiled program in a folder of somebody else's", () => {
  let folder: Tree;
  const secret = "planted-by-the-folder";

  // All that Bun reads from the current folder when it runs a script. A program on PATH must not: whoever can write a
  // file where it is started would choose its environment, or run code in it.
  beforeAll(async () => {
    folder = await makeTree();
    await folder.write(".env", `PLANTED=${secret}\nMCP_CONFIG_PATH=planted.json\n`);
    await folder.write(".env.production", `PLANTED=${secret}\n`);
    await folder.write("bunfig.toml", `preload = ["./planted.ts"]\n`);
    await folder.write("planted.ts", `console.log("${secret}");\n`);
    await folder.write("package.json", `{ "name": "planted", "version": "9.9.9", "type": "commonjs" }`);
    const options = { authTokens: ["$".concat("{PLANTED}")] };
    const servers = { one: { command: "sh", options } };
    await folder.write("config.json", JSON.stringify({ mcpServers: servers }));
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  test("Bun itself would read what lies there", async () => {
    const script = join(folder.path, "script.ts");
    await folder.write("script.ts", `console.log("env", process.env["PLANTED"]);\n`);
    expect(await run(folder, [process.execPath, script])).toEqual({ code: 0, output: `${secret}\nenv ${secret}\n` });
  });

  test("tells its own version", async () => {
    const { version } = await Bun.file(join(root, "package.json")).json();
    expect(await run(folder, [binary, "--version"])).toEqual({ code: 0, output: `mcp-proxy ${version}\n` });
  });

  test("takes variables from its environment and not from .env", async () => {
    const without = await run(folder, [binary, "check", "--config", "config.json"]);
    expect(without.output).toContain("PLANTED");
    expect(without.output).not.toContain(secret);
    expect(without.code).toBe(1);
    const set = await run(folder, [binary, "check", "--config", "config.json"], { PLANTED: "by the shell" });
    expect(set).toEqual({ code: 0, output: expect.stringContaining("0 errors") });
  });

  test("serves a configuration named by its whole path, and ends by SIGTERM with 0", async () => {
    await using other = await makeTree();
    await other.write("config.jsonc", `{ "mcpProxy": { "addr": "127.0.0.1:0" }, "mcpServers": {}, } // nothing yet\n`);
    await using proxy = start(folder, [binary, "--config", join(other.path, "config.jsonc"), "--log-format", "json"]);
    const listening = await line(proxy.stdout, (text) => text.includes("listening on "));
    const url = /listening on (http[^"]+)/.exec(listening)?.[1] ?? "";
    expect((await fetch(new URL("/livez", url))).status).toBe(200);
    proxy.kill("SIGTERM");
    expect(await proxy.exited).toBe(0);
    expect(await proxy.stderr.text()).not.toContain(secret);
  });
});
