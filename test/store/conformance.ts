import { describe, expect, test } from "bun:test";
import type { StateStore } from "../../src/store/state-store.ts";

/** A store to try, on a clock the suite moves. */
export interface StoreUnderTest {
  readonly store: StateStore;
  readonly setNow: (now: number) => void;
  /** Ends it as a crash would and opens the same state again. */
  reopen(): Promise<StateStore>;
  dispose(): Promise<void>;
}

/** What every store must do; a new one is one line that calls this. */
export function storeConformance(name: string, open: () => Promise<StoreUnderTest>): void {
  const using = (run: (under: StoreUnderTest) => Promise<void>) => async (): Promise<void> => {
    const under = await open();
    try {
      await run(under);
    } finally {
      await under.dispose();
    }
  };

  describe(name, () => {
    test(
      "gives back what was set, the newest, and nothing after a delete",
      using(async ({ store }) => {
        expect(await store.get(["a", "b"])).toBeUndefined();
        await store.set(["a", "b"], "1");
        await store.set(["a", "b"], "2");
        expect(await store.get(["a", "b"])).toBe("2");
        await store.delete(["a", "b"]);
        await store.delete(["a", "b"]);
        expect(await store.get(["a", "b"])).toBeUndefined();
      }),
    );

    test(
      "keeps texts as they are",
      using(async ({ store }) => {
        const odd = 'ü \u{1f600} "quotes" \n\t \\ %_*';
        await store.set(["odd", odd], odd);
        expect(await store.get(["odd", odd])).toBe(odd);
        expect((await store.scan(["odd"]))[0]).toEqual({ key: ["odd", odd], value: odd });
      }),
    );

    test(
      "a key cannot pose as one with other parts",
      using(async ({ store }) => {
        await store.set(["a", "b", "c"], "three");
        for (const key of [
          ["a", "b\u0000c"],
          ["a\u0000b", "c"],
          ["a", "b\u0001c"],
          ["a", "b", "c", ""],
          ["a", "bc"],
        ]) {
          expect(await store.get(key as [string])).toBeUndefined();
        }
        await store.set(["a", "b\u0000c"], "two");
        expect(await store.get(["a", "b", "c"])).toBe("three");
        expect((await store.scan(["a", "b"])).map(({ value }) => value)).toEqual(["three"]);
        expect((await store.scan(["a"])).map(({ key }) => key)).toContainEqual(["a", "b\u0000c"]);
      }),
    );

    test(
      "scans a prefix, in order, without its neighbours",
      using(async ({ store }) => {
        for (const part of ["2", "1", "10"]) await store.set(["grant", part], part);
        await store.set(["grants", "x"], "x");
        await store.set(["gran", "y"], "y");
        await store.set(["grant"], "itself");
        expect((await store.scan(["grant"])).map(({ value }) => value)).toEqual(["1", "10", "2"]);
      }),
    );

    test(
      "nothing expired is ever given out",
      using(async ({ store, setNow }) => {
        setNow(1_000);
        await store.set(["e", "1"], "x", 2_000);
        await store.set(["e", "2"], "stays");
        setNow(1_999);
        expect(await store.get(["e", "1"])).toBe("x");
        setNow(2_000);
        expect(await store.get(["e", "1"])).toBeUndefined();
        expect(await store.take(["e", "1"])).toBeUndefined();
        expect(await store.scan(["e"])).toHaveLength(1);
        await store.set(["e", "1"], "again", 3_000);
        await store.set(["e", "1"], "for ever");
        setNow(9_000);
        await store.sweep();
        expect(await store.get(["e", "1"])).toBe("for ever");
      }),
    );

    test(
      "of many takers one gets it",
      using(async ({ store }) => {
        await store.set(["once"], "x");
        const taken = await Promise.all(Array.from({ length: 20 }, () => store.take(["once"])));
        expect(taken.filter((value) => value !== undefined)).toEqual(["x"]);
        expect(await store.get(["once"])).toBeUndefined();
      }),
    );

    test(
      "what was acknowledged is there after a crash",
      using(async (under) => {
        await Promise.all(Array.from({ length: 200 }, (_, i) => under.store.set(["k", String(i)], "v")));
        await under.store.delete(["k", "7"]);
        await under.store.take(["k", "8"]);
        const again = await under.reopen();
        expect(await again.scan(["k"])).toHaveLength(198);
        expect(await again.get(["k", "7"])).toBeUndefined();
        expect(await again.get(["k", "8"])).toBeUndefined();
      }),
    );
  });
}
