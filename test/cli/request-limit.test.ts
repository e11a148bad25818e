import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";

const STDIO = { child: { command: process.execPath, args: ["-e", "process.stdin.resume()"] } };
// Nothing listens there, and nothing has to.
const HTTP = { remote: { type: "streamable-http", url: "http://127.0.0.1:9/mcp" } };

/** Whether the runtime was started with its limit of requests lifted. */
function lifted({ process: { pid } }: RunningProxy): boolean {
  return readFileSync(`/proc/${pid}/environ`, "latin1").includes("\0BUN_CONFIG_MAX_HTTP_REQUESTS=");
}

// What a process was started with can be read nowhere else.
const onLinux = test.skipIf(!existsSync("/proc/self/environ"));

onLinux("a proxy of stdio servers starts once, one of HTTP servers with the limit lifted", async () => {
  await using stdio = await startProxy(STDIO);
  await using http = await startProxy({ ...STDIO, ...HTTP });
  expect(lifted(stdio)).toBeFalse();
  expect(lifted(http)).toBeTrue();
});

onLinux("an HTTP server that comes with a reload is told to need a restart", async () => {
  await using proxy = await startProxy(STDIO);
  const file = join(proxy.directory, "config.json");
  const { mcpProxy } = JSON.parse(readFileSync(file, "utf8")) as { mcpProxy: unknown };
  writeFileSync(file, JSON.stringify({ mcpProxy, mcpServers: { ...STDIO, ...HTTP } }));
  proxy.process.kill("SIGHUP");
  const line = await proxy.logged(({ msg }) => String(msg).includes("256 requests"));
  expect(line["level"]).toBe("warn");
});
