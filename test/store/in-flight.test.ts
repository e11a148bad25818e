import { expect, test } from "bun:test";
import { InFlight } from "../../src/store/in-flight.ts";

test("what is under way is found, counted and told in the order it came, however much has gone meanwhile", () => {
  const underWay = new InFlight<number, string>();
  for (let id = 0; id < 1_000; id++) {
    underWay.set(id, `call ${id}`);
    if (id >= 3) expect(underWay.delete(id - 3)).toBe(true);
  }
  expect(underWay.size).toBe(3);
  expect([...underWay]).toEqual(["call 997", "call 998", "call 999"]);
  expect([...underWay.entries()][0]).toEqual([997, "call 997"]);
  expect(underWay.get(998)).toBe("call 998");
  expect(underWay.has(996)).toBe(false);
  expect(underWay.delete(996)).toBe(false);
  underWay.clear();
  expect([...underWay.values()]).toEqual([]);
});

test("who goes while all are told in turn is not told any more", () => {
  const underWay = new InFlight<number, number>();
  for (let id = 0; id < 100; id++) underWay.set(id, id);
  const told: number[] = [];
  for (const id of underWay) {
    told.push(id);
    for (let gone = id + 1; gone < id + 10; gone++) underWay.delete(gone);
  }
  expect(told).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
});

test("the garbage of past calls does not wait for a thorough collection", () => {
  const script = `
    import { InFlight } from ${JSON.stringify(new URL("../../src/store/in-flight.ts", import.meta.url).pathname)};
    const underWay = new InFlight();
    let id = 0;
    const turn = () => {
      for (let n = 0; n < 2_000; n++, id++) {
        underWay.set(id, { id, text: ["x", id, id, id], more: { id } });
        if (id >= 64) underWay.delete(id - 64);
      }
      if (id < 1_000_000) setImmediate(turn);
    };
    turn();`;
  const { stderr, exitCode } = Bun.spawnSync([process.execPath, "-e", script], {
    env: { ...process.env, BUN_JSC_logGC: "1" },
    stderr: "pipe",
  });
  const log = stderr.toString();
  expect(exitCode).toBe(0);
  const quick = log.split("EdenCollection").length - 1;
  expect(quick).toBeGreaterThan(5);
  expect(log.split("FullCollection").length - 1).toBeLessThan(quick / 3);
});
