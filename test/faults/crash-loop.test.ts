import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { HttpClient, INITIALIZE, connect } from "../http/client.ts";
import { Launched, Place, faulty } from "../daemon/launch.ts";
import { until } from "../upstream/processes.ts";
import { Ledger } from "./ledger.ts";

const GOOD = 7;

describe("ten servers of which three are broken", () => {
  const place = new Place();
  const ledgers = new Map(["crash", "hang", "garbage"].map((mode) => [mode, new Ledger(place.file(mode))]));
  const life = new Ledger(place.file("life"));
  let proxy: Launched;
  const began = Date.now();

  beforeAll(async () => {
    const servers: Record<string, unknown> = {};
    for (const [mode, { file }] of ledgers) {
      servers[mode] = faulty({ FAULT_MODE: mode, FAULT_LEDGER: file }, { connectTimeout: "2s" });
    }
    for (let n = 0; n < GOOD; n++) servers[`good${n}`] = faulty({ FAULT_LEDGER: life.file });
    place.write(servers);
    proxy = await Launched.up(place);
  });
  afterAll(async () => {
    await proxy.stop();
    place[Symbol.dispose]();
  });

  test("the other seven serve", async () => {
    const pids = await Promise.all(
      Array.from({ length: GOOD }, async (_, n) => (await connect(`${proxy.url}/good${n}/mcp`)).call("pid")),
    );
    expect(new Set(pids).size).toBe(GOOD);
  });

  for (const mode of ["crash", "hang", "garbage"]) {
    test(`the one in mode ${mode} answers 503 with a reason, soon`, async () => {
      const asked = performance.now();
      const answer = await new HttpClient(`${proxy.url}/${mode}/mcp`).send(INITIALIZE);
      expect(answer.status).toBe(503);
      expect(answer.last.error?.message).toContain(mode);
      // The connect timeout of 2 s, and room for a busy machine.
      expect(performance.now() - asked).toBeLessThan(8_000);
    });
  }

  test("/status names what is broken, and /readyz does not wait for it for ever", async () => {
    await until("the crash is known", () => proxy.log.some(({ code }) => code === "upstream.exited"));
    const { servers } = (await (await fetch(`${proxy.url}/status`)).json()) as {
      servers: Record<string, { state: string; restarts: number; error?: string }>;
    };
    expect(servers["crash"]?.error).toContain("exit code 3");
    expect(servers["good0"]?.state).toBe("ready");
    const ready = async (): Promise<boolean> => (await fetch(`${proxy.url}/readyz`)).status === 200;
    const deadline = Date.now() + 15_000;
    while (!(await ready())) {
      if (Date.now() > deadline) throw new Error("/readyz waits for a server that is broken");
      await Bun.sleep(100);
    }
  });

  test("calls in flight fail within 3 s of a server's death, and the same session works again within 8 s", async () => {
    const client = await connect(`${proxy.url}/good0/mcp`);
    const pid = Number(await client.call("pid"));
    const calls = Array.from({ length: 5 }, () => client.request("tools/call", { name: "hang", arguments: {} }));
    await until("the server has them", () => life.count("hang") === 5);
    process.kill(pid, "SIGKILL");
    const died = performance.now();
    for (const { last } of await Promise.all(calls)) expect(last.error?.message).toContain("SIGKILL");
    expect(performance.now() - died).toBeLessThan(3_000);
    expect(await client.call("nonce", { nonce: "again" })).toBe("again");
    expect(performance.now() - died).toBeLessThan(8_000);
    expect(life.count("hang")).toBe(5);
  });

  test("one that dies at once is started at most ten times in 12 s, also when it is asked for all the time", async () => {
    const ledger = ledgers.get("crash");
    const client = new HttpClient(`${proxy.url}/crash/mcp`);
    const from = ledger?.starts[0]?.at ?? began;
    while (Date.now() - from < 12_000) {
      const { status } = await client.send(INITIALIZE);
      expect(status).toBe(503);
      await Bun.sleep(20);
    }
    const starts = ledger?.starts.filter(({ at }) => at - from <= 12_000) ?? [];
    expect(starts.length).toBeLessThanOrEqual(10);
    // And it is not given up either.
    expect(starts.length).toBeGreaterThan(1);
  });

  test("one that hangs is started once: the end of the waiting does not end the child", () => {
    expect(ledgers.get("hang")?.starts).toHaveLength(1);
  });
});
