import { describe, expect, test } from "bun:test";
import { Names } from "../../src/policy/naming.ts";
import type { Named } from "../../src/policy/naming.ts";

const server = (name: string, prefix = name): Named => ({ name, prefix });
const ACCEPTED = /^[a-zA-Z0-9_-]{1,64}$/;

describe("names of several servers", () => {
  test("prefix, separator, name; none without a prefix", () => {
    const [a, bare] = [server("a"), server("b", "")];
    const names = new Names([a, bare], "__", [
      [a, ["x"]],
      [bare, ["y"]],
    ]);
    expect([names.of(a, "x"), names.of(bare, "y")]).toEqual(["a__x", "y"]);
    expect(names.get("a__x")).toEqual({ owner: a, name: "x" });
    expect(names.get("y")).toEqual({ owner: bare, name: "y" });
  });

  test("too long or with other characters: short, readable, the same each time, and found again", () => {
    const a = server("my.server");
    const odd = ["x".repeat(100), `${"x".repeat(100)}y`, "größe", "a b", "a.b", "", "fine"];
    const make = (): Names<Named> => new Names([a], "__", [[a, odd]]);
    const shown = odd.map((name) => make().of(a, name));
    expect(new Set(shown).size).toBe(odd.length);
    for (const [index, name] of shown.entries()) {
      expect(name).toMatch(ACCEPTED);
      expect(name).toStartWith("my_server__");
      expect(make().get(name)).toEqual({ owner: a, name: odd[index] as string });
    }
  });

  test("a name is the server's with the longest prefix it begins with, whether or not that one is there", () => {
    const [a, ab] = [server("a"), server("a__b")];
    const alone = new Names([a, ab], "__", [[a, ["b__x"]]]);
    const both = new Names([a, ab], "__", [
      [a, ["b__x"]],
      [ab, ["x"]],
    ]);
    expect(both.get("a__b__x")).toEqual({ owner: ab, name: "x" });
    expect(alone.of(a, "b__x")).toBe(both.of(a, "b__x"));
    expect(alone.get("a__b__x")).toBeUndefined();
    expect(alone.presumed("a__b__x")).toEqual({ owner: ab, name: "x" });
  });

  test("a tool cannot take the name that another one gets for want of its own", () => {
    const [a, evil] = [server("a"), server("a__b")];
    const stolen = new Names([a, evil], "__", [[a, ["b__x"]]]).of(a, "b__x").slice("a__b__".length);
    const names = new Names([a, evil], "__", [
      [a, ["b__x"]],
      [evil, [stolen]],
    ]);
    expect(names.get(names.of(a, "b__x"))).toEqual({ owner: a, name: "b__x" });
    expect(names.get(names.of(evil, stolen))).toEqual({ owner: evil, name: stolen });
    expect(names.of(evil, stolen)).not.toBe(names.of(a, "b__x"));
  });

  test("of two servers with one prefix the first keeps the name, and the other one is told of", () => {
    const [a, b] = [server("a", ""), server("b", "")];
    const names = new Names([a, b], "__", [
      [a, ["x"]],
      [b, ["x", "y"]],
    ]);
    expect(names.get("x")).toEqual({ owner: a, name: "x" });
    expect(names.of(b, "x")).toMatch(/^x_[0-9a-f]{10}$/);
    expect(names.clashes).toEqual([{ owner: b, name: "x", first: a }]);
    expect(names.presumed("z")).toBeUndefined();
  });

  test("names that every object has are names like any other", () => {
    const a = server("__proto__");
    const odd = ["__proto__", "constructor", "toString", "hasOwnProperty"];
    const names = new Names([a], "__", [[a, ["constructor"]]]);
    expect(names.get("__proto____constructor")).toEqual({ owner: a, name: "constructor" });
    for (const name of odd) expect(names.get(name)).toBeUndefined();
    expect(names.otherwise("constructor")).toEqual([{ owner: a, name: "constructor" }]);
    expect(names.otherwise("toString")).toEqual([]);
  });

  test("other spellings mean what they can mean, all of it", () => {
    const [a, b] = [server("a", "pre"), server("b")];
    const names = new Names([a, b], "__", [
      [a, ["x", "only"]],
      [b, ["x"]],
    ]);
    for (const text of ["a:x", "a_x", "a__x", "pre:x", "pre_x"])
      expect([text, names.otherwise(text)]).toEqual([text, [{ owner: a, name: "x" }]]);
    expect(names.otherwise("only")).toEqual([{ owner: a, name: "only" }]);
    expect(names.otherwise("x")).toHaveLength(2);
  });
});
