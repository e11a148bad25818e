import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tools } from "../http/client.ts";
import { program, testWith } from "../support/programs.ts";
import { PROGRAM } from "../support/bridge.ts";
import { openTerminal } from "../support/terminal.ts";
import type { Terminal } from "../support/terminal.ts";

const tmux = program("tmux");
const SERVE = `${PROGRAM.join(" ")} --config c.jsonc; echo "code: $?"`;

/** A server that says how far it is for as long as the file `go` is not there. */
const slow = (home: string): Record<string, unknown> => {
  const say = "printf 'Installed 34 \\033[2Jpackages 宽\\n' >&2";
  const wait = `${say}; while [ ! -e ${home}/go ]; do sleep 0.1; done`;
  const { command, args } = tools() as { command: string; args: string[] };
  return { command: "sh", args: ["-c", `${wait}; exec ${command} ${args.join(" ")}`] };
};

function configure(terminal: Terminal, servers: Record<string, unknown>, groups: Record<string, unknown> = {}): void {
  const config = { mcpProxy: { addr: "127.0.0.1:0" }, mcpServers: servers, groups };
  writeFileSync(join(terminal.home, "c.jsonc"), JSON.stringify(config, null, 2));
}

testWith(tmux, "the table settles while servers start, and the log goes on below it", async (path) => {
  await using terminal = await openTerminal(path, { columns: 110, rows: 50 });
  const filter = { mode: "block", list: ["echo"] };
  configure(
    terminal,
    {
      healthy: tools({ options: { toolFilter: filter } }),
      slow: slow(terminal.home),
      broken: { command: "sh", args: ["-c", "echo first >&2; echo ModuleNotFoundError >&2; exit 3"] },
      missing: { command: "no-such-program" },
    },
    { dev: { servers: ["healthy", "slow"] } },
  );
  await terminal.type(SERVE);
  const starting = await terminal.until(
    (screen) =>
      /slow +starting.*Installed 34 /.test(screen) && /healthy +ready/.test(screen) && /missing +failed/.test(screen),
  );
  expect(starting).toMatch(
    /mcp-proxy \S+ {3}c\.jsonc \(4 servers, 1 group\) {3}listening on http:\/\/127\.0\.0\.1:\d+\//,
  );
  expect(starting).toMatch(/healthy +ready +\d+\.\d s +9 of 10 tools/);
  expect(starting).toContain("Installed 34 \\x1b[2Jpackages 宽");
  expect(starting).toMatch(/broken +failed +upstream\.exited: the server's process is gone: exit code 3, next try/);
  expect(starting).toContain("ModuleNotFoundError   (last of 2 lines)");
  expect(starting).toMatch(/missing +failed +upstream\.not_found: command "no-such-program" was not found/);
  expect(starting).toContain("hint: install the program");
  expect(starting).toMatch(/in c\.jsonc:\d+:\d+/);
  expect(starting).toMatch(/ all +http:\/\/127\.0\.0\.1:\d+\/mcp {3}4 servers, \d+ tools/);
  expect(starting).toMatch(/dev \(group\) +http:\/\/127\.0\.0\.1:\d+\/dev\/mcp/);
  expect(starting).toMatch(/connect a client: {2}http:\/\/127\.0\.0\.1:\d+\/\n/);
  expect(starting).toMatch(/healthy +http:\/\/127\.0\.0\.1:\d+\/healthy\/mcp/);

  writeFileSync(join(terminal.home, "go"), "");
  const settled = await terminal.until((screen) => /slow +ready/.test(screen), true);
  // Drawn in place: however often it was drawn, it stands there once, and the whole of the download below its table.
  expect(settled.match(/listening on/g)).toHaveLength(1);
  expect(settled).toContain("<slow> Installed 34");
  expect(settled).toContain("<healthy> Adding tool echo");

  await terminal.press("C-c");
  const end = await terminal.until((screen) => /code: \d/.test(screen));
  expect(end).toMatch(/stopping\n\S+ +stopped\n(.*\n)*code: 0/);
});

testWith(tmux, "forty columns, ten rows and a hundred servers: nothing scrolls, the sum is there", async (path) => {
  await using terminal = await openTerminal(path, { columns: 40, rows: 12 });
  const servers = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`服务器-${n}`, slow(terminal.home)]));
  configure(terminal, { ...servers, broken: { command: "no-such-program" } });
  await terminal.type(`clear; ${SERVE}`);
  const narrow = await terminal.until((screen) => screen.includes("1 failed, 100 starting"));
  for (const line of narrow.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(40);
  expect(narrow).toContain("mcp-proxy");
  expect(narrow).toMatch(/broken +failed/);
  await terminal.resize(100, 20);
  const wide = await terminal.until((screen) => screen.includes("101 servers: 1 failed, 100 starting; "));
  expect(wide).toMatch(/broken +failed +upstream\.not_found/);
  expect(await terminal.seen(true)).not.toContain("undefined");
});

testWith(tmux, "Ctrl-C says what it waits for, and a second one does not wait", async (path) => {
  await using terminal = await openTerminal(path, { columns: 110, rows: 40 });
  configure(terminal, { one: tools({ options: { logEnabled: true } }) });
  await terminal.type(SERVE);
  const ready = await terminal.until((screen) => /one +ready/.test(screen));
  const url = /one +(http:\S+)/.exec(ready)?.[1] ?? "";
  const call = {
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
  };
  const headers = { "Content-Type": "application/json", Accept: "application/json, text/event-stream" };
  const hello = await fetch(url, { method: "POST", headers, body: JSON.stringify(call) });
  const session = { ...headers, "Mcp-Session-Id": hello.headers.get("mcp-session-id") ?? "" };
  const hang = JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/call", params: { name: "hang" } });
  const open = fetch(url, { method: "POST", headers: session, body: hang }).then(
    (response) => response.text(),
    () => "cut off",
  );
  await terminal.until((screen) => screen.includes("<one> tools/call hang"));
  await terminal.press("C-c");
  await terminal.until((screen) =>
    screen.includes("stopping: 1 call in flight, up to 10 s (Ctrl-C again to stop now)"),
  );
  await terminal.press("C-c");
  const end = await terminal.until((screen) => /code: \d/.test(screen));
  expect(end).toContain("stopped at once: 1 call cut off");
  expect(end).toContain("code: 0");
  await open;
});

testWith(tmux, "a terminal that is closed ends the proxy; SIGHUP in an open one reloads", async (path) => {
  await using terminal = await openTerminal(path, { columns: 100, rows: 40 });
  configure(terminal, { one: tools() });
  await terminal.type(`${PROGRAM.join(" ")} --config c.jsonc & echo "pid: $!"; fg`);
  const screen = await terminal.until((seen) => /one +ready/.test(seen), true);
  const pid = Number(/pid: (\d+)/.exec(screen)?.[1]);
  process.kill(pid, "SIGHUP");
  await terminal.until((seen) => seen.includes("the configuration was taken over"));
  await terminal.close();
  const deadline = Date.now() + 10_000;
  while (alive(pid) && Date.now() < deadline) await Bun.sleep(50);
  const left = alive(pid);
  if (left) process.kill(pid, "SIGKILL");
  expect(left).toBe(false);
});

testWith(tmux, "states have colours, but for who set NO_COLOR", async (path) => {
  for (const [set, coloured] of [
    ["", true],
    ["NO_COLOR=1 ", false],
  ] as const) {
    await using terminal = await openTerminal(path, { columns: 100, rows: 40 });
    configure(terminal, { one: tools(), gone: { command: "no-such-program" } });
    await terminal.type(set + SERVE);
    await terminal.until((screen) => /one +ready/.test(screen) && /gone +failed/.test(screen));
    // oxlint-disable-next-line no-control-regex -- finding them is the point
    expect(/\u001b\[3[12]m(ready|failed)/.test(await terminal.raw())).toBe(coloured);
  }
});

testWith(tmux, "TERM=dumb: plain lines, nothing is drawn", async (path) => {
  await using terminal = await openTerminal(path, { columns: 100, rows: 40 });
  configure(terminal, { one: tools() });
  await terminal.type(`TERM=dumb ${SERVE}`);
  const screen = await terminal.until((seen) => seen.includes("upstream ready"));
  expect(screen).toContain("listening on http://127.0.0.1:");
  expect(screen).toMatch(/one is at http:\S+\/one\/mcp/);
  expect(screen).toMatch(/all is at http:\S+\d\/mcp/);
  expect(screen).toMatch(/connect a client: http:\S+\d\/\n/);
  expect(screen).not.toMatch(/one +ready/);
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
