import { expect, test } from "bun:test";
import { heapStats } from "bun:jsc";

import { Recent } from "../../src/store/recent.ts";

test("the entry that was unused for longest makes room", () => {
  const evicted: string[] = [];
  const recent = new Recent<number>(3, {
    dispose: (_, key, reason) => {
      if (reason === "evict") evicted.push(key);
    },
  });
  for (const [index, key] of ["a", "b", "c"].entries()) recent.set(key, index);
  expect(recent.get("a")).toBe(0);
  recent.set("d", 3);
  recent.set("d", 4);
  expect(evicted).toEqual(["b"]);
  expect([...recent.keys()]).toEqual(["d", "a", "c"]);
  recent.delete("a");
  recent.set("e", 5);
  expect(evicted).toEqual(["b"]);
  expect(recent.size).toBe(3);
});

test("a bound costs nothing before it is reached", () => {
  const room = (): number => {
    Bun.gc(true);
    const { heapSize, extraMemorySize } = heapStats();
    return heapSize + extraMemorySize;
  };
  const before = room();
  const many = Array.from({ length: 10 }, () => new Recent<number>(200_000));
  for (const recent of many) recent.set("one", 1);
  expect(room() - before).toBeLessThan(1_000_000);
  expect(many.every((recent) => recent.get("one") === 1)).toBeTrue();
});
