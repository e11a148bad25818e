import { expect, test } from "bun:test";
import { FailureNews } from "../../src/upstream/failure-news.ts";
import { Fault } from "../../src/upstream/fault.ts";
import { startProxy } from "../support/proxy.ts";

const broken = new Fault("upstream.exited", "exit code 1");
const other = new Fault("upstream.exited", "exit code 2");

test("a failure is told once, when it changes, and ever more seldom", () => {
  const news = new FailureNews();
  const told = (fault: Fault, times: number): number[] =>
    Array.from({ length: times }, () => news.failed(fault))
      .filter(({ tell }) => tell)
      .map(({ count }) => count);
  expect(told(broken, 1_000)).toEqual([1, 4, 16, 64, 184, 304, 424, 544, 664, 784, 904]);
  expect(told(other, 3)).toEqual([1]);
  expect(told(broken, 3)).toEqual([1]);
  news.well();
  expect(told(broken, 3)).toEqual([1]);
});

test("lines are told again only of a server that runs", () => {
  const news = new FailureNews();
  expect([news.isNew("a"), news.isNew("a")]).toEqual([true, true]);
  news.failed(broken);
  expect([news.isNew("a"), news.isNew("b"), news.isNew("b")]).toEqual([false, true, false]);
  news.well();
  expect([news.isNew("a"), news.isNew("a")]).toEqual([true, true]);
});

test("a server that fails again and again says so in /status, and once in the log", async () => {
  await using proxy = await startProxy({
    broken: { command: "sh", args: ["-c", "echo its last words >&2; exit 3"] },
  });
  await proxy.logged((line) => line["code"] === "upstream.exited");
  for (let restarts = 0; restarts < 3;) {
    const { servers } = (await (await fetch(`${proxy.url}/status`)).json()) as {
      servers: { broken: { restarts: number } };
    };
    restarts = servers.broken.restarts;
    await Bun.sleep(100);
  }
  const count = (fits: (line: Record<string, unknown>) => boolean): number => proxy.log.filter(fits).length;
  expect(count((line) => line["code"] === "upstream.exited")).toBe(1);
  expect(count((line) => line["msg"] === "its last words")).toBe(1);
});
