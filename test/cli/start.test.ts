import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-start-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Says at its end what the process had loaded. */
const hook = join(directory, "hook.cjs");
const list = join(directory, "loaded.json");
writeFileSync(
  hook,
  `process.on("exit", () => require("node:fs").writeFileSync(${JSON.stringify(list)}, JSON.stringify(Object.keys(require.cache))));`,
);

/** Runs the program until it ends, or until it has said `last`. @returns the packages it loaded */
async function packagesOf(args: readonly string[], last?: string): Promise<string[]> {
  await using program = Bun.spawn([process.execPath, "--preload", hook, MAIN, ...args], {
    cwd: directory,
    env: { PATH: process.env["PATH"], HOME: directory },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const decoder = new TextDecoder();
  let said = "";
  for await (const chunk of program.stdout) {
    said += decoder.decode(chunk, { stream: true });
    if (last !== undefined && said.includes(last)) program.kill("SIGTERM");
  }
  expect(await program.exited).toBe(0);
  const loaded = JSON.parse(readFileSync(list, "utf8")) as string[];
  expect(loaded).toContain(MAIN);
  const names = loaded.map((path) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
  return [...new Set(names)].filter((name) => name !== undefined).sort();
}

// The budget of a start is 60 ms, and any one of the others takes 5 to 40 of them: they come with their first use.
test("a start without a login loads no library but those that every start needs", async () => {
  const config = join(directory, "config.json");
  writeFileSync(config, JSON.stringify({ mcpProxy: { addr: "127.0.0.1:0" }, mcpServers: {} }));
  const packages = await packagesOf(["--config", config, "--log-format", "json"], "listening on ");
  const log = ["atomic-sleep", "on-exit-leak-free", "pino", "pino-std-serializers", "quick-format-unescaped"];
  const logToo = ["@pinojs/redact", "safe-stable-stringify", "sonic-boom", "thread-stream"];
  const needed = ["eventsource-parser", "hono", "ipaddr.js", "jsonc-parser", "lru-cache", "zod", ...log, ...logToo];
  expect(packages.filter((name) => !needed.includes(name))).toEqual([]);
});

test("a command that serves nothing loads nothing of what serves", async () => {
  expect(await packagesOf(["--version"])).toEqual([]);
});
