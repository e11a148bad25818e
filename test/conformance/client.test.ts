import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const SUITE = join(
  dirname(Bun.resolveSync("@modelcontextprotocol/conformance/package.json", import.meta.dir)),
  "dist/index.js",
);
const DRIVER = join(import.meta.dir, "client-driver.ts");

for (const scenario of ["initialize", "tools_call", "sse-retry"]) {
  test(`the proxy as a client passes ${scenario} of the official suite`, async () => {
    const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-client-"));
    const command = [process.execPath, SUITE, "client", "--command", `${process.execPath} ${DRIVER}`];
    command.push("--scenario", scenario, "--spec-version", "2025-11-25", "--output-dir", directory);
    const child = Bun.spawn(command, { cwd: directory, stdout: "pipe", stderr: "pipe" });
    const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    const code = await child.exited;
    const [file] = await Array.fromAsync(new Bun.Glob("**/checks.json").scan(directory));
    const checks = file === undefined ? [] : ((await Bun.file(join(directory, file)).json()) as { status: string }[]);
    rmSync(directory, { recursive: true, force: true });
    const bad = checks.filter(({ status }) => status === "FAILURE" || status === "WARNING");
    expect([code, bad], out + errors).toEqual([0, []]);
    expect(checks.some(({ status }) => status === "SUCCESS")).toBe(true);
  });
}
