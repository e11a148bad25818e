import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const SUITE = join(
  dirname(Bun.resolveSync("@modelcontextprotocol/conformance/package.json", import.meta.dir)),
  "dist/index.js",
);
const DRIVER = join(import.meta.dir, "client-driver.ts");

const SCENARIOS = {
  "2025-11-25": [
    "initialize",
    "tools_call",
    "elicitation-sep1034-client-defaults",
    "sse-retry",
    "json-schema-2020-12-preservation",
  ],
  "2026-07-28": [
    "tools_call",
    "request-metadata",
    "sep-2322-client-request-state",
    "http-standard-headers",
    "http-custom-headers",
    "http-invalid-tool-headers",
    "json-schema-ref-no-deref",
    "json-schema-2020-12-preservation",
  ],
};

for (const [revision, scenario, way] of Object.entries(SCENARIOS).flatMap(([each, all]) =>
  all.flatMap((name) => [[each, name, ""] as const, [each, name, " bridged"] as const]),
)) {
  const what = way === "" ? "the proxy" : "a bridge and the proxy behind it";
  test(`${what} as a client: ${scenario} of the official suite, ${revision}`, async () => {
    const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-client-"));
    const command = [process.execPath, SUITE, "client", "--command", `${process.execPath} ${DRIVER}${way}`];
    command.push("--scenario", scenario, "--spec-version", revision, "--output-dir", directory);
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
