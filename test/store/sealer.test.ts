import { describe, expect, test } from "bun:test";
import { Sealer } from "../../src/store/sealer.ts";

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

describe("a sealed text", () => {
  const sealer = new Sealer("session", [key(1)]);
  for (const text of ["x", "plain", "€ ünï \u{1f600}", '{"a":1}', "y".repeat(100_000)]) {
    test(`opens to what it was (${text.slice(0, 12)}, ${text.length})`, () => {
      const sealed = sealer.seal(text);
      expect(sealed).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(sealer.open(sealed)).toBe(text);
    });
  }
  test("is another one each time", () => {
    expect(sealer.seal("same")).not.toBe(sealer.seal("same"));
  });
  test("does not open with any one character changed, removed or added", () => {
    const sealed = sealer.seal("some text");
    for (let at = 0; at < sealed.length; at++) {
      for (const other of ["A", "b", "-", "_", "9", "=", " ", "+", "/", "é"]) {
        const changed = sealed.slice(0, at) + other + sealed.slice(at + 1);
        if (changed !== sealed) expect([changed, sealer.open(changed)]).toEqual([changed, undefined]);
        const longer = sealed.slice(0, at) + other + sealed.slice(at);
        expect([longer, sealer.open(longer)]).toEqual([longer, undefined]);
      }
      expect(sealer.open(sealed.slice(0, at) + sealed.slice(at + 1))).toBeUndefined();
    }
  });
  test("of nonsense is none", () => {
    for (const nonsense of ["", "A", "AAAA", "A".repeat(37), "A".repeat(38), "A".repeat(100_000), "\u0000", "….…"]) {
      expect(sealer.open(nonsense)).toBeUndefined();
    }
  });
});

describe("keys", () => {
  const sealed = new Sealer("session", [key(1)]).seal("text");
  test("for another purpose, or other ones, do not open", () => {
    expect(new Sealer("cursor", [key(1)]).open(sealed)).toBeUndefined();
    expect(new Sealer("session", [key(2)]).open(sealed)).toBeUndefined();
  });
  test("that are old still open and no longer seal", () => {
    const rotated = new Sealer("session", [key(2), key(1)]);
    expect(rotated.open(sealed)).toBe("text");
    expect(new Sealer("session", [key(1)]).open(rotated.seal("new"))).toBeUndefined();
    expect(new Sealer("session", [key(2)]).open(rotated.seal("new"))).toBe("new");
  });
});
