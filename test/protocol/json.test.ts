import { describe, expect, test } from "bun:test";
import {
  elements,
  endOfObject,
  filterArray,
  find,
  isJSON,
  members,
  oneLine,
  skipValue,
  splice,
  splitArray,
} from "../../src/protocol/json.ts";
import { skipSpace } from "../../src/protocol/strict-json.ts";
import { seeded } from "../support/seeded.ts";
import { randomJson } from "./random-json.ts";

const ROUNDS = 400;

describe("with random JSON", () => {
  test("every value is skipped to exactly its end", () => {
    const random = seeded(1);
    for (let round = 0; round < ROUNDS; round++) {
      const text = randomJson(random);
      JSON.parse(text);
      const padded = `${" \n\t\r".slice(0, round % 5)}${text}`;
      const start = skipSpace(padded, 0);
      expect(start).toBe(padded.length - text.length);
      for (const tail of ["", ",1", "]", "}", " x", "\n"]) expect(skipValue(padded + tail, start)).toBe(padded.length);
    }
  });
  test("members and elements say the same as JSON.parse, and nothing between them is lost", () => {
    const random = seeded(2);
    for (let round = 0; round < ROUNDS; round++) {
      const text = randomJson(random, { top: round % 2 === 0 ? "object" : "array" });
      const value = JSON.parse(text) as unknown;
      if (Array.isArray(value)) {
        expect(splitArray(text).map((element) => JSON.parse(element) as unknown)).toEqual(value as unknown[]);
        expect(members(text, 0)).toBeUndefined();
        continue;
      }
      const found = members(text, 0) ?? [];
      expect(endOfObject(text, 0, found)).toBe(text.length);
      const again: Record<string, unknown> = {};
      for (const { key, start, end } of found) {
        Object.defineProperty(again, key, {
          value: JSON.parse(text.slice(start, end)),
          enumerable: true,
          configurable: true,
          writable: true,
        });
      }
      expect(again).toEqual(value as Record<string, unknown>);
      for (const key of Object.keys(value as object)) {
        const span = find(text, 0, key);
        expect(span && JSON.parse(text.slice(span.start, span.end))).toEqual((value as Record<string, unknown>)[key]);
      }
      expect(elements(text, 0)).toBeUndefined();
    }
  });
  test("a splice changes its places and no other character", () => {
    const random = seeded(3);
    for (let round = 0; round < ROUNDS; round++) {
      const text = randomJson(random, { top: "object" });
      const chosen = (members(text, 0) ?? []).filter(() => random() < 0.5);
      const marks = chosen.map((member, index) => ({ start: member.start, end: member.end, text: `"<<${index}>>"` }));
      const marked = splice(text, marks);
      expect(isJSON(marked)).toBeTrue();
      let back = marked;
      chosen.forEach((member, index) => {
        back = back.replace(`"<<${index}>>"`, () => text.slice(member.start, member.end));
      });
      expect(back).toBe(text);
    }
  });
  test("filterArray keeps what it keeps as it came", () => {
    const random = seeded(4);
    for (let round = 0; round < ROUNDS; round++) {
      const text = randomJson(random, { top: "array" });
      const all = splitArray(text);
      const kept = all.filter((_, index) => index % 2 === 0);
      let index = 0;
      expect(filterArray(text, 0, () => index++ % 2 === 0)).toBe(`[${kept.join(",")}]`);
    }
  });
  test("oneLine makes one line that means the same", () => {
    const random = seeded(5);
    for (let round = 0; round < ROUNDS; round++) {
      const text = randomJson(random);
      const line = oneLine(text);
      expect(line).not.toMatch(/[\r\n]/);
      expect(JSON.parse(line)).toEqual(JSON.parse(text) as never);
      expect(line.replaceAll(" ", "")).toBe(text.replaceAll(/[ \r\n]/g, ""));
    }
  });
});

describe("with text that is cut or damaged", () => {
  test("no function throws, hangs or reads past the end", () => {
    const random = seeded(6);
    for (let round = 0; round < ROUNDS; round++) {
      const whole = randomJson(random);
      const cut = whole.slice(0, Math.floor(random() * whole.length));
      const at = Math.floor(random() * whole.length);
      const damaged = whole.slice(0, at) + '"\\{}[],:x\u0000'[Math.floor(random() * 10)] + whole.slice(at + 1);
      for (const text of [cut, damaged]) {
        const end = skipValue(text, skipSpace(text, 0));
        expect(end).toBeGreaterThanOrEqual(-1);
        expect(end).toBeLessThanOrEqual(text.length);
        // Texts are judged by isJSON before members are read; half escapes must still not get out as crashes of other kinds.
        try {
          members(text, 0);
          elements(text, 0);
          find(text, 0, "a", "b");
          splitArray(text);
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError);
        }
      }
    }
  });
  test("long hostile texts are done in linear time", () => {
    const n = 2_000_000;
    const hostile = [
      "[".repeat(n),
      '{"a":'.repeat(n / 5),
      `"${"\\".repeat(n)}`,
      `"${'\\"'.repeat(n / 2)}`,
      `{${'"a":1,'.repeat(n / 6)}`,
      `{"a":"${'\\\\"'.repeat(3)}${" ".repeat(n)}`,
      `[${"1,".repeat(n / 2)}`,
    ];
    for (const text of hostile) {
      const before = performance.now();
      skipValue(text, 0);
      members(text, 0);
      elements(text, 0);
      // Quadratic work on two million characters would take minutes.
      expect(performance.now() - before).toBeLessThan(10_000);
    }
  });
  test("isJSON never throws, however deep", () => {
    for (const text of [
      "[".repeat(5_000_000),
      '{"a":'.repeat(500_000),
      "",
      "nul",
      '"\\ud800"',
      "\ufeff1",
      "1e400",
      "-0",
    ]) {
      expect(isJSON(text)).toBeBoolean();
    }
  });
});

test("keys like those of every object are only keys", () => {
  const text = '{"__proto__":{"polluted":true},"constructor":1,"toString":2,"":3}';
  expect(members(text, 0)?.map((member) => member.key)).toEqual(["__proto__", "constructor", "toString", ""]);
  expect(find(text, 0, "hasOwnProperty")).toBeUndefined();
  expect(find(text, 0, "__proto__", "polluted")).toBeDefined();
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});
