import { expect, test } from "bun:test";
import { parseDuration, readTimeoutNumber } from "../../src/config/duration.ts";

test("only zero means no limit: what is shorter than a millisecond is one", () => {
  expect(["0", "0s", "100us", "1ns", "500ms", "1h30m"].map(parseDuration)).toEqual([0, 0, 1, 1, 500, 5_400_000]);
  expect([0, 0.0001, 30, 45_000, 30_000_000_000].map((value) => readTimeoutNumber(value).ms)).toEqual([
    0, 1, 30_000, 45_000, 30_000,
  ]);
});
