import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "../../src/upstream/fault.ts";
import { StdioWire } from "../../src/upstream/stdio-wire.ts";
import type { StdioWireOptions } from "../../src/upstream/stdio-wire.ts";
import { Watchdog } from "../../src/upstream/watchdog.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { groupMembers, until } from "./processes.ts";
import { Recorder } from "./recorder.ts";

const PATH = process.env["PATH"] ?? "";
const QUICK = { closedMs: 150, termMs: 150, killMs: 2000 };

describe("stdio wire", () => {
  let watchdog: Watchdog;
  let folder: string;
  const wires: StdioWire[] = [];

  beforeEach(() => {
    watchdog = new Watchdog({ log: () => {} });
    folder = mkdtempSync(join(tmpdir(), "wire-"));
  });

  afterEach(async () => {
    await Promise.all(wires.splice(0).map((wire) => wire.close()));
    await watchdog.stop();
    rmSync(folder, { recursive: true });
  });

  const make = (command: string, args: readonly string[], more: Partial<StdioWireOptions> = {}): StdioWire => {
    const wire = new StdioWire({
      command,
      args,
      cwd: folder,
      env: { PATH },
      maxMessageBytes: 1024 * 1024,
      watchdog,
      clock: systemClock,
      ...more,
    });
    wires.push(wire);
    return wire;
  };
  const run = async (script: string, more: Partial<StdioWireOptions> = {}): Promise<[StdioWire, Recorder]> => {
    const wire = make("sh", ["-c", script], more);
    const seen = new Recorder();
    await wire.open(seen);
    return [wire, seen];
  };
  const texts = (seen: Recorder): string[] => seen.all("message").map(({ text }) => text);
  const faultOf = async (wire: StdioWire): Promise<Fault> => {
    const error = await wire.open(new Recorder()).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof Fault)) throw new Error("no fault");
    return error;
  };

  describe("start", () => {
    test("names a command that is not there, and the remedy", async () => {
      const fault = await faultOf(make("no-such-command-anywhere", []));
      expect(fault.code).toBe("upstream.not_found");
      expect(fault.message).toContain('"no-such-command-anywhere" was not found; install it');
      expect(fault.notRun).toBe(true);
    });

    test("tells a missing folder from a missing command", async () => {
      const fault = await faultOf(make("sh", [], { cwd: join(folder, "gone") }));
      expect(fault.code).toBe("upstream.spawn_failed");
      expect(fault.message).toContain("working directory");
      expect(fault.message).not.toContain(folder);
    });

    test("says that a file cannot be executed", async () => {
      const file = join(folder, "plain");
      writeFileSync(file, "echo", { mode: 0o644 });
      const fault = await faultOf(make(file, []));
      expect(fault.code).toBe("upstream.spawn_failed");
      expect(fault.message).toContain("executable");
    });

    test("gives the child the environment it was given and nothing else", async () => {
      const [, seen] = await run(`printf '{"a":"%s","home":"%s"}\\n' "$A" "$HOME"; cat`, { env: { PATH, A: "1" } });
      expect((await seen.first("message")).text).toBe('{"a":"1","home":""}');
    });

    test("does not start what was closed before", async () => {
      const wire = make("sh", ["-c", "cat"]);
      await wire.close();
      expect((await faultOf(wire)).code).toBe("upstream.stopped");
      expect(wire.pid).toBeUndefined();
    });
  });

  describe("stdout", () => {
    test("passes over banners, blank lines and lines in brackets", async () => {
      const [, seen] = await run(
        `printf 'Welcome!\\n\\n[info] ready\\n[]\\n[1]\\n  {"x":1}\\r\\n[{"x":2},{"x":3}]\\n{"x":4}\\n'; cat`,
      );
      await seen.first("message", ({ text }) => text === '{"x":4}');
      expect(texts(seen)).toEqual(['  {"x":1}', '{"x":2}', '{"x":3}', '{"x":4}']);
      expect(seen.all("noise").map(({ line, from }) => [line, from])).toEqual([
        ["Welcome!", "stdout"],
        ["[info] ready", "stdout"],
        ["[]", "stdout"],
        ["[1]", "stdout"],
      ]);
    });

    test("delivers what was written just before the exit, but not half a line", async () => {
      const [, seen] = await run(`printf '{"x":1}\\n{"x":'; exit 3`);
      const { fault } = await seen.first("closed");
      expect(texts(seen)).toEqual(['{"x":1}']);
      expect(seen.all("noise").map(({ line }) => line)).toEqual(['half a line at its end: {"x":']);
      expect(fault?.code).toBe("upstream.exited");
      expect(fault?.message).toContain("exit code 3");
    });

    test("skips a line that is too long and fails the request it answered, by the id at its head", async () => {
      const [, seen] = await run(
        `printf '{"jsonrpc":"2.0","id":5,"result":"'; head -c 5000000 /dev/zero | tr '\\0' x; printf '"}\\n{"x":1}\\n'; cat`,
      );
      await seen.first("message");
      expect(texts(seen)).toEqual(['{"x":1}']);
      const [failed, ...others] = seen.all("failed");
      expect([failed?.id, failed?.fault.code, others.length]).toEqual([5, "upstream.too_large", 0]);
      expect(seen.all("noise")[0]?.line).toContain("skipped a line of 5000036 bytes");
    });

    test("finds the id at the end of a line that is too long, too, and no other id in it", async () => {
      const [, seen] = await run(
        `printf '{"result":{"id":4,"t":"'; head -c 2000000 /dev/zero | tr '\\0' x; ` +
          `printf '","id":6},"jsonrpc":"2.0","id":7}\\n'; cat`,
      );
      await seen.first("noise");
      expect(seen.all("failed").map(({ id }) => id)).toEqual([7]);
    });

    test("fails nothing for a request of the server that is too long", async () => {
      const [, seen] = await run(
        `printf '{"jsonrpc":"2.0","id":1,"method":"m","params":"'; head -c 2000000 /dev/zero | tr '\\0' x; printf '"}\\n{"x":1}\\n'; cat`,
      );
      await seen.first("message");
      expect(seen.all("failed")).toEqual([]);
      expect(seen.all("noise")).toHaveLength(1);
    });

    test("holds no more than the limit of a line without an end", async () => {
      const limit = 100_000;
      const [wire, seen] = await run(
        `printf '{"result":"'; head -c 300000000 /dev/zero | tr '\\0' x; printf '"}\\n'; cat`,
        { maxMessageBytes: limit },
      );
      const before = process.memoryUsage().rss;
      const { line } = await seen.first("noise");
      expect(line).toContain("300000013 bytes");
      expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
      await wire.close();
    }, 60_000);

    test("delivers a line of exactly the limit, counted in bytes", async () => {
      const line = `{"x":"é"}`;
      const script = `printf '%s\\n%s\\n' '${line}' '${line}x'; cat`;
      const [, seen] = await run(script, { maxMessageBytes: Buffer.byteLength(line) });
      await seen.first("noise");
      expect(texts(seen)).toEqual([line]);
    });
  });

  describe("stdin", () => {
    test("refuses requests, with proof that they did not run, when the child does not read", async () => {
      const [wire, seen] = await run("exec sleep 300", { maxPendingChars: 1_000_000, stop: QUICK });
      const text = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "m", params: "x".repeat(600_000) });
      wire.request(1, text);
      wire.request(2, text);
      const { id, fault } = await seen.first("failed");
      expect([id, fault.code, fault.notRun]).toEqual([2, "upstream.overloaded", true]);
      wire.send(text);
      expect((await seen.first("noise")).line).toContain("does not read its stdin");
    });

    test("delivers everything, in order, once a child that stood still reads again", async () => {
      Bun.spawnSync(["mkfifo", join(folder, "gate")]);
      const [wire, seen] = await run("read -r go < gate; exec cat");
      const sent = Array.from({ length: 50 }, (_, id) => `{"id":${id},"p":"${"x".repeat(20_000)}"}`);
      for (const [id, text] of sent.entries()) {
        wire.request(id, text);
        if (id % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      writeFileSync(join(folder, "gate"), "go\n");
      await seen.first("message", ({ text }) => text === sent.at(-1));
      expect(texts(seen)).toEqual(sent);
    });

    test("ends a child that has closed its stdin, and throws nothing", async () => {
      const [wire, seen] = await run("exec 0<&-; echo closed; exec sleep 300", { stop: QUICK });
      await seen.first("noise");
      for (let id = 1; id <= 3; id++) {
        wire.request(id, `{"id":${id}}`);
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { fault } = await seen.first("closed");
      expect(fault?.message).toContain("closed its stdin");
    });

    test("ends a child that has closed its stdout", async () => {
      const [, seen] = await run("exec 1>&-; exec sleep 300", { stop: QUICK });
      expect((await seen.first("closed")).fault?.message).toContain("closed its stdout");
    });

    test("tells which requests never left when the child dies", async () => {
      const [wire, seen] = await run("exec sleep 300");
      const big = "x".repeat(1_000_000);
      wire.request(1, `{"id":1,"p":"${big}"}`);
      await new Promise((resolve) => setImmediate(resolve));
      wire.request(2, `{"id":2}`);
      process.kill(wire.pid as number, "SIGKILL");
      const { fault } = await seen.first("closed");
      expect(fault?.message).toContain("SIGKILL");
      expect(seen.all("failed").map((event) => [event.id, event.fault.code, event.fault.notRun])).toEqual([
        [2, "upstream.exited", true],
      ]);
    });
  });

  describe("stderr", () => {
    test("is reported line by line, printable, and goes into the fault", async () => {
      const [, seen] = await run(`printf 'plain\\n\\033[31mred\\033[0m \\033]0;title\\007\\r\\nlast' >&2; exit 1`);
      const { fault } = await seen.first("closed");
      const lines = ["plain", "red \\x1b]0;title\\x07", "last"];
      expect(seen.all("noise").map(({ line, from }) => [line, from])).toEqual(lines.map((line) => [line, "stderr"]));
      expect(fault?.message).toBe("the server's process is gone: exit code 1");
      expect(fault?.detail).toBe(lines.join("\n"));
    });

    test("is bounded in the length of a line and in the number of lines", async () => {
      const [, seen] = await run(
        `head -c 100000 /dev/zero | tr '\\0' y >&2; echo >&2; i=0; while [ $i -lt 5000 ]; do echo "line $i" >&2; i=$((i+1)); done; exit 2`,
      );
      const { fault } = await seen.first("closed");
      const lines = seen.all("noise").map(({ line }) => line);
      expect(lines[0]?.length).toBeLessThan(5000);
      expect(lines[0]).toEndWith("... cut");
      expect(lines.length).toBeLessThan(2000);
      const dropped = lines.map((line) => Number(/^\.\.\. (\d+) lines dropped$/.exec(line)?.[1] ?? 0));
      const told = lines.length - dropped.filter((count) => count > 0).length;
      expect(told + dropped.reduce((sum, count) => sum + count, 0)).toBe(5001);
      expect(fault?.detail?.split("\n")).toHaveLength(20);
      expect(fault?.detail).toEndWith("line 4999");
    });

    test("loses configured secrets on the way", async () => {
      const redact = (text: string): string => text.replaceAll("hunter2", "***");
      const [, seen] = await run("echo key hunter2 >&2; exit 1", { redact });
      const { fault } = await seen.first("closed");
      expect(fault?.detail).toBe("key ***");
      expect(seen.all("noise")[0]?.line).toBe("key ***");
    });
  });

  describe("end", () => {
    test("comes by the end of stdin where that is enough, without a signal", async () => {
      const [wire, seen] = await run("trap 'echo term > term' TERM; echo up; cat; sleep 0.1; echo orderly > orderly");
      await seen.first("noise");
      await wire.close();
      expect(readFileSync(join(folder, "orderly"), "utf8")).toBe("orderly\n");
      expect(() => readFileSync(join(folder, "term"))).toThrow();
      expect(seen.all("closed")).toEqual([{ kind: "closed", fault: undefined }]);
    });

    test("comes by SIGTERM for a child that does not care about stdin", async () => {
      const [wire, seen] = await run("trap 'echo term > term; exit 0' TERM; echo up; while :; do sleep 0.05; done", {
        stop: { ...QUICK, termMs: 5000 },
      });
      await seen.first("noise");
      await wire.close();
      expect(readFileSync(join(folder, "term"), "utf8")).toBe("term\n");
    });

    test("comes by SIGKILL for the whole tree of one that ignores everything", async () => {
      const [wire, seen] = await run(
        "trap '' TERM; sh -c 'while :; do sleep 300; done' & echo up; while :; do sleep 300; done",
        { stop: QUICK },
      );
      await seen.first("noise");
      const group = wire.pid as number;
      await until("the tree stands", () => groupMembers(group).length >= 4);
      await wire.close();
      expect(groupMembers(group)).toEqual([]);
      expect(seen.all("closed")).toEqual([{ kind: "closed", fault: undefined }]);
    });

    test("takes grandchildren along that hold the pipes of a child that has ended by itself", async () => {
      const [wire, seen] = await run(`sleep 300 & printf '{"x":1}\\n'; exit 0`);
      const { fault } = await seen.first("closed");
      expect(fault?.message).toContain("exit code 0");
      expect(texts(seen)).toEqual(['{"x":1}']);
      await wire.close();
      expect(groupMembers(wire.pid as number)).toEqual([]);
    });

    test("has the cause that came first", async () => {
      const [wire, seen] = await run("exit 9");
      await seen.first("closed");
      await wire.close();
      const closed = seen.all("closed");
      expect(closed).toHaveLength(1);
      expect(closed[0]?.fault?.message).toContain("exit code 9");
    });
  });
});
