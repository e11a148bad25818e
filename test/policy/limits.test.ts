import { expect, test } from "bun:test";
import { RequestLimits } from "../../src/policy/limits.ts";
import type { Principal } from "../../src/policy/principal.ts";

const who = (id: string): Principal => ({ kind: "token", id });
const limits = (requestsPerMinute: number, concurrent = 0) => ({ requestsPerMinute, concurrent });
const server = (name: string, requestsPerMinute: number, concurrent = 0) => ({
  name,
  shown: name,
  limits: limits(requestsPerMinute, concurrent),
});

test("a minute's requests are taken, then refused with the time to wait, then taken again", () => {
  const all = new RequestLimits(limits(3));
  for (let n = 0; n < 3; n++) expect(all.request(who("a"), undefined, 1_000)).toBeUndefined();
  const excess = all.request(who("a"), undefined, 1_000);
  expect(excess).toMatchObject({ retryAfterSeconds: 20 });
  expect(excess?.message).toContain("3 a minute");
  expect(all.request(who("b"), undefined, 1_000)).toBeUndefined();
  expect(all.request(who("a"), undefined, 1_000 + 20_000)).toBeUndefined();
  expect(all.request(who("a"), undefined, 1_000 + 20_000)).toBeDefined();
});

test("a server's limit is for each caller there, and what it refuses is not counted in total", () => {
  const all = new RequestLimits(limits(3));
  expect(all.request(who("a"), server("x", 1), 0)).toBeUndefined();
  for (let n = 0; n < 5; n++) expect(all.request(who("a"), server("x", 1), 0)?.message).toContain("at x");
  expect(all.request(who("a"), server("y", 9), 0)).toBeUndefined();
  expect(all.request(who("a"), server("y", 9), 0)).toBeUndefined();
  expect(all.request(who("a"), server("y", 9), 0)?.message).not.toContain("at y");
});

test("a user's own limit is for all his clients together, and stands in the place of the general one", () => {
  const all = new RequestLimits(limits(1));
  const client = (id: string): Principal => ({ kind: "user", id, user: "alice", limits: () => limits(2) });
  expect(all.request(client("user:alice:1"), undefined, 0)).toBeUndefined();
  expect(all.request(client("user:alice:2"), undefined, 0)).toBeUndefined();
  expect(all.request(client("user:alice:3"), undefined, 0)).toBeDefined();
});

test("calls in flight are counted until they end, once", () => {
  const all = new RequestLimits(limits(0, 2));
  const begin = () => all.call(who("a"), server("x", 0, 1), 0);
  const first = begin();
  if (typeof first !== "function") throw new Error("refused");
  expect(begin()).toMatchObject({ message: expect.stringContaining("at x") });
  expect(typeof all.call(who("a"), undefined, 0)).toBe("function");
  expect(all.call(who("a"), undefined, 0)).toMatchObject({ retryAfterSeconds: 1 });
  first();
  first();
  expect(typeof begin()).toBe("function");
  expect(begin()).toMatchObject({ message: expect.any(String) });
});

test("without limits nothing is counted", () => {
  const all = new RequestLimits(limits(0));
  expect(all.call(who("a"), undefined, 0)).toBeUndefined();
  for (let n = 0; n < 1_000; n++) expect(all.request(who("a"), undefined, 0)).toBeUndefined();
});

test("a flood of callers does not free those who have calls in flight", () => {
  const all = new RequestLimits(limits(0, 1));
  expect(typeof all.call(who("a"), undefined, 0)).toBe("function");
  for (let n = 0; n < 30_000; n++) {
    const end = all.call(who(`flood ${n}`), undefined, 0);
    if (typeof end === "function") end();
  }
  expect(all.call(who("a"), undefined, 0)).toMatchObject({ message: expect.any(String) });
});
