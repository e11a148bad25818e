import { describe, expect, test } from "bun:test";
import { fits } from "../../src/policy/patterns.ts";
import { Rights, mayHear } from "../../src/policy/rights.ts";

const rights = (allowed: string[] | undefined, denied: string[] = []): Rights => new Rights({ allowed, denied });
const may = (of: Rights, server: string, tool: string): boolean => of.of(server)?.tool(tool) ?? true;
const whole = (of: Rights, server: string): boolean => of.of(server)?.whole ?? true;

describe("patterns", () => {
  const rows: [pattern: string, text: string, yes: boolean][] = [
    ["*", "", true],
    ["a*", "abc", true],
    ["a*c", "abc", true],
    ["a*c", "abd", false],
    ["*.txt", "a.txt.txt", true],
    ["a**b", "ab", true],
    ["", "", true],
    ["", "a", false],
    ["a", "A", false],
    ["*@example.com", "x@example.com", true],
    ["*@example.com", "x@example.com.evil.org", false],
    ["a.c", "abc", false],
  ];
  test.each(rows)("%p on %p is %p", (pattern, text, yes) => expect(fits(pattern, text)).toBe(yes));
  test("cost no more than their length, whatever the text", () => {
    const start = performance.now();
    expect(fits(`${"a*".repeat(40)}b`, "a".repeat(20_000))).toBeFalse();
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe("rights", () => {
  test("without patterns, or with the star, keep nothing away", () => {
    for (const all of [rights(undefined), rights(["*"]), rights(["a:b", "*"])]) expect(all.of("any")).toBeUndefined();
  });
  test("a server's star is the whole server, a tool is a tool", () => {
    const some = rights(["files:*", "time:echo", "git:read_*"]);
    expect([may(some, "files", "anything"), whole(some, "files")]).toEqual([true, true]);
    expect([may(some, "time", "echo"), may(some, "time", "Echo"), whole(some, "time")]).toEqual([true, false, false]);
    expect([may(some, "git", "read_file"), may(some, "git", "write")]).toEqual([true, false]);
    expect(some.of("other")).toMatchObject({ any: false, whole: false });
  });
  test("an empty list is nothing", () => {
    expect(rights([]).of("a")).toMatchObject({ any: false, whole: false });
  });
  test("what is denied stays denied, whatever is allowed", () => {
    const some = rights(["*"], ["files:delete", "bank:*"]);
    expect([may(some, "files", "delete"), may(some, "files", "read"), whole(some, "files")]).toEqual([
      false,
      true,
      true,
    ]);
    expect(some.of("bank")).toMatchObject({ any: false });
    expect(rights(["a:b"], ["*"]).of("a")).toMatchObject({ any: false });
    expect(may(rights(undefined, ["*:delete_*"]), "x", "delete_all")).toBeFalse();
  });
  test("a name without a colon is no pattern, and a star in the server's part counts", () => {
    expect(rights(["files"]).of("files")).toMatchObject({ any: false });
    expect(may(rights(["*:read"]), "files", "read")).toBeTrue();
    expect(whole(rights(["*:*"]), "files")).toBeTrue();
  });
  test("a server whose name holds a colon is never taken for another one's tool", () => {
    const some = rights(["a:*"]);
    expect(some.of("a:b")).toMatchObject({ any: false });
    expect(may(rights(["a:b:c"]), "a:b", "c")).toBeTrue();
    expect(may(rights(["a:b:c"]), "a:b", "b:c")).toBeFalse();
    expect(may(rights(["a:b:c"]), "a", "b:c")).toBeTrue();
  });
  test("names of an object's own parts are only names", () => {
    for (const name of ["__proto__", "constructor", "hasOwnProperty"]) {
      expect(rights(["a:x"]).of(name)).toMatchObject({ any: false });
      expect(may(rights(["a:x"]), "a", name)).toBeFalse();
    }
  });
  test("are changed in place, and say whether that changed anything", () => {
    const some = rights(["a:x"]);
    expect(may(some, "a", "x")).toBeTrue();
    expect(some.replace({ allowed: ["a:x"], denied: [] })).toBeFalse();
    expect(some.replace({ allowed: ["a:y"], denied: [] })).toBeTrue();
    expect([may(some, "a", "x"), may(some, "a", "y")]).toEqual([false, true]);
    expect(some.replace({ allowed: undefined, denied: [] })).toBeTrue();
    expect(some.of("a")).toBeUndefined();
  });
  test("who has tools hears of tools, and of his own calls", () => {
    const some = rights(["a:x"]);
    const heard = [
      "tools/list_changed",
      "prompts/list_changed",
      "message",
      "resources/updated",
      "progress",
      "vendor/x",
    ];
    expect(heard.filter((method) => mayHear(some, "a", `notifications/${method}`))).toEqual([
      "tools/list_changed",
      "progress",
    ]);
    expect(heard.filter((method) => mayHear(some, "b", `notifications/${method}`))).toEqual(["progress"]);
    expect(heard.every((method) => mayHear(rights(["a:*"]), "a", `notifications/${method}`))).toBeTrue();
  });
});
