import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tools } from "../http/client.ts";
import { PROGRAM } from "../support/bridge.ts";
import { directory } from "../config/helpers.ts";

const WAITING = { command: "sleep", args: ["1000"], connectTimeout: "1s" };

async function live(
  mcpServers: Record<string, unknown>,
  ...more: string[]
): Promise<{ code: number; out: string; err: string }> {
  using dir = directory({});
  writeFileSync(join(dir.path, "c.json"), JSON.stringify({ mcpServers }, null, 1));
  await using child = Bun.spawn([...PROGRAM, "check", "--live", "--config", "c.json", ...more], {
    cwd: dir.path,
    env: { PATH: process.env["PATH"], HOME: dir.path },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}

test("all good: 0", async () => {
  const { code, out, err } = await live({ one: tools(), two: tools() });
  expect(out).toMatch(/^ {2}one {3}ok +10 tools +\d+\.\d s\n {2}two {3}ok .*\n2 of 2 ready\n$/);
  expect({ code, err }).toEqual({ code: 0, err: "" });
});

test("one that fails is named with code, last words, remedy and place: 1", async () => {
  const broken = { command: "sh", args: ["-c", "echo why >&2; exit 3"] };
  const { code, out } = await live({ one: tools(), broken, waiting: WAITING });
  expect(code).toBe(1);
  expect(out).toContain("broken   fail          upstream.exited: the server's process is gone: exit code 3\n");
  expect(out).toMatch(/ {20}why\n +hint: .+\n +in c\.json:\d+:3\n/);
  expect(out).toMatch(/waiting +starting +\d+ s\n/);
  expect(out).toEndWith("1 of 3 failed, 1 of 3 not ready\n");
});

test("a server that wants credentials: 11, before one that is still starting: 10", async () => {
  using refusing = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response(null, { status: 401 }),
  });
  const shut = { url: `${refusing.url.href}mcp`, type: "streamable-http" };
  const both = await live({ shut, waiting: WAITING });
  expect(both.out).toMatch(/shut +login needed +upstream\.unauthorized: /);
  expect(both.code).toBe(11);
  expect((await live({ waiting: WAITING })).code).toBe(10);
});

test("--json is one object, filters that match nothing are in it", async () => {
  const filter = { mode: "block", list: ["ecco"] };
  const { code, out } = await live(
    { one: tools({ options: { toolFilter: filter } }), gone: { command: "no-such" } },
    "--json",
  );
  expect(code).toBe(1);
  const report = JSON.parse(out) as { live: unknown[]; filterWarnings: string[] };
  expect(report).toMatchObject({ ok: false, file: "c.json", servers: ["one", "gone"], errors: 0 });
  expect(report.live).toMatchObject([
    { server: "one", result: "ok", tools: 10, ms: expect.any(Number) },
    { server: "gone", result: "fail", code: "upstream.not_found", hint: expect.any(String), place: expect.any(String) },
  ]);
  expect(report.filterWarnings).toEqual([expect.stringContaining('did you mean "echo"?')]);
});

test("what is wrong on paper is not tried: 1", async () => {
  const { code, out } = await live({ one: { command: 5 } });
  expect(code).toBe(1);
  expect(out).toContain("expected a string, got a number");
});
