import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { processes } from "../support/processes.ts";
import { startProxy } from "../support/proxy.ts";
import type { ProxyOptions } from "../support/proxy.ts";
import { until } from "../upstream/processes.ts";
import { EventReader, connect, tools } from "./client.ts";

const FIXTURE = join(import.meta.dir, "../fixtures/http-tools.ts");

/** Processes that carry a word in their command line and still run. */
function running(word: string): string[] {
  return processes()
    .filter(({ command, state }) => command.includes(word) && state !== "Z")
    .map(({ command }) => command);
}

/** A server below two shells, with two children that do nothing but stay; `word` marks them all. */
function family(word: string): Record<string, unknown> {
  // `sleep` takes the sum of its arguments.
  const script = `sleep 1000 0.${word} & (sleep 1001 0.${word} & wait) & ${process.execPath} ${FIXTURE} ${word}; exit 0`;
  return { command: "sh", args: ["-c", `sh -c '${script}'; true`] };
}

const mark = (): string => `${Math.floor(Math.random() * 1e9)}7${process.pid}`;

async function failedStart(servers: Record<string, unknown>, options: ProxyOptions): Promise<string> {
  try {
    await using started = await startProxy(servers, options);
    const code = await started.process.exited;
    return `started, then ended with ${code}`;
  } catch (error) {
    return String(error);
  }
}

describe("no process is left", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`after ${signal}, with streams and a call open, and the exit code is 0`, async () => {
      const word = mark();
      await using proxy = await startProxy({ a: family(word) }, { mcpProxy: { drainSeconds: 1 } });
      const client = await connect(`${proxy.url}/a/mcp`);
      const events = new EventReader(await client.fetch("GET"));
      await events.until("\n\n");
      const hanging = client.request("tools/call", { name: "hang" }).catch(() => undefined);
      expect(await client.call("echo", { text: "here" })).toBe("here");
      expect(running(word).length).toBeGreaterThanOrEqual(4);
      expect(await proxy.stop(signal)).toBe(0);
      await hanging;
      await until("all of the family are gone", () => running(word).length === 0, 5_000);
      await events.close();
    });
  }
  test("within 10 seconds by default, whatever is still open", async () => {
    const word = mark();
    await using proxy = await startProxy({ a: family(word) });
    const client = await connect(`${proxy.url}/a/mcp`);
    const hanging = client.request("tools/call", { name: "hang" }).catch(() => undefined);
    expect(await client.call("echo", { text: "here" })).toBe("here");
    const before = Date.now();
    expect(await proxy.stop()).toBe(0);
    expect(Date.now() - before).toBeLessThan(10_000);
    await hanging;
  });
  test("after a second signal, which does not wait", async () => {
    const word = mark();
    // It ignores every polite request.
    const stubborn = { command: "sh", args: ["-c", `trap '' TERM INT HUP; while :; do sleep 1000 0.${word}; done`] };
    await using proxy = await startProxy({ stubborn });
    await until("it runs", () => running(word).length > 0);
    proxy.process.kill("SIGTERM");
    proxy.process.kill("SIGINT");
    expect(await proxy.process.exited).toBe(0);
    await until("the stubborn one is gone", () => running(word).length === 0, 10_000);
  });
  test("after kill -9 of the proxy", async () => {
    const [one, two] = [mark(), mark()];
    await using proxy = await startProxy({ a: family(one), b: family(two) });
    for (const name of ["a", "b"]) {
      const client = await connect(`${proxy.url}/${name}/mcp`);
      expect(await client.call("echo", { text: name })).toBe(name);
    }
    expect(running(one).length).toBeGreaterThanOrEqual(4);
    proxy.process.kill("SIGKILL");
    await proxy.process.exited;
    await until("both families are gone", () => running(one).length + running(two).length === 0, 10_000);
  });
  test("after panicIfInvalid, of the servers that did start", async () => {
    const word = mark();
    const servers = {
      fine: family(word),
      broken: { command: "no-such-command-here", options: { panicIfInvalid: true } },
    };
    const failure = await failedStart(servers, {});
    expect(failure).toMatch(/ended with 1/);
    await until("the family is gone", () => running(word).length === 0, 10_000);
  });
});

describe("the exit code is 1", () => {
  test("when the port is in use, and the address is named", async () => {
    await using first = await startProxy({ a: tools() });
    const word = mark();
    const failure = await failedStart({ a: family(word) }, { port: first.port });
    expect(failure).toContain("ended with 1");
    expect(failure).toContain(`127.0.0.1:${first.port}`);
    expect(running(word)).toEqual([]);
  });
  test("when a server with panicIfInvalid ends at once", async () => {
    const dies = tools({ env: { HTTP_TOOLS_EXIT: "3" }, options: { panicIfInvalid: true } });
    expect(await failedStart({ dies, a: tools() }, {})).toMatch(/ended with 1/);
  });
});

test("without panicIfInvalid a server that fails leaves the others alone", async () => {
  await using proxy = await startProxy({
    dies: tools({ env: { HTTP_TOOLS_EXIT: "3" } }),
    gone: { command: "no-such-command-here" },
    a: tools(),
  });
  const client = await connect(`${proxy.url}/a/mcp`);
  expect(await client.call("echo", { text: "works" })).toBe("works");
  expect(proxy.process.exitCode).toBeNull();
});
