import { expect, test } from "bun:test";
import { TokenGate } from "../../src/auth/bearer.ts";

test("an open gate knows nobody, an empty list lets nobody in", () => {
  expect(new TokenGate(undefined).open).toBeTrue();
  expect(new TokenGate(undefined).check("Bearer x")?.kind).toBe("anonymous");
  const shut = new TokenGate([]);
  expect(shut.open).toBeFalse();
  for (const header of [null, "", "Bearer", "Bearer ", "Bearer x"]) expect(shut.check(header)).toBeUndefined();
});

test("principals differ by token, are the same for every spelling, and hold no credential", () => {
  const gate = new TokenGate(["first-token", "Bearer second-token"]);
  const first = gate.check("Bearer first-token");
  expect(first?.kind).toBe("token");
  expect(gate.check("first-token")).toEqual(first);
  expect(gate.check("bearer   first-token")).toEqual(first);
  const second = gate.check("second-token");
  expect(second).toBeDefined();
  expect(second?.id).not.toBe(first?.id);
  expect(JSON.stringify([first, second])).not.toContain("token-");
  expect(first?.id).not.toContain("first-token");
});

test("the same token is the same principal in another process, so that sealed sessions survive", () => {
  expect(new TokenGate(["t"]).check("t")).toEqual(new TokenGate(["x", "Bearer t"]).check("Bearer t"));
});

test("what was accepted once is not accepted with anything added", () => {
  const gate = new TokenGate(["token"]);
  expect(gate.check("Bearer token")).toBeDefined();
  for (const header of [
    "Bearer tokenx",
    "Bearer toke",
    "Bearer token,",
    "Bearer token token",
    "Basic token",
    "xBearer token",
  ]) {
    expect(gate.check(header)).toBeUndefined();
  }
});

test("an empty token in the list never matches an empty credential", () => {
  for (const list of [[""], ["Bearer "], [" "], ["Bearer"]]) {
    const gate = new TokenGate(list);
    for (const header of ["", " ", "Bearer ", "Bearer  "])
      expect([list, header, gate.check(header)]).toEqual([list, header, undefined]);
  }
});
