import { expect, test } from "bun:test";
import { TokenGate } from "../../src/auth/bearer.ts";
import type { Principal } from "../../src/policy/principal.ts";

/** Whom a gate lets in with this header. */
function admitted(gate: TokenGate, header: string | null): Principal | undefined {
  const verdict = gate.check(header);
  return typeof verdict === "string" ? undefined : verdict;
}

test("an open gate knows nobody, an empty list lets nobody in", () => {
  expect(new TokenGate(undefined).open).toBeTrue();
  expect(admitted(new TokenGate(undefined), "Bearer x")?.kind).toBe("anonymous");
  const shut = new TokenGate([]);
  expect(shut.open).toBeFalse();
  for (const header of [null, "", "Bearer", "Bearer ", "Bearer x"]) expect(admitted(shut, header)).toBeUndefined();
});

test("principals differ by token, are the same for every spelling, and hold no credential", () => {
  const gate = new TokenGate(["first-token", "Bearer second-token"]);
  const first = admitted(gate, "Bearer first-token");
  expect(first?.kind).toBe("token");
  expect(admitted(gate, "first-token")).toEqual(first);
  expect(admitted(gate, "bearer   first-token")).toEqual(first);
  const second = admitted(gate, "second-token");
  expect(second).toBeDefined();
  expect(second?.id).not.toBe(first?.id);
  expect(JSON.stringify([first, second])).not.toContain("token-");
  expect(first?.id).not.toContain("first-token");
});

test("the same token is the same principal in another process, so that sealed sessions survive", () => {
  expect(admitted(new TokenGate(["t"]), "t")).toEqual(admitted(new TokenGate(["x", "Bearer t"]), "Bearer t"));
});

test("what was accepted once is not accepted with anything added", () => {
  const gate = new TokenGate(["token"]);
  expect(admitted(gate, "Bearer token")).toBeDefined();
  for (const header of [
    "Bearer tokenx",
    "Bearer toke",
    "Bearer token,",
    "Bearer token token",
    "Basic token",
    "xBearer token",
  ]) {
    expect(admitted(gate, header)).toBeUndefined();
  }
});

test("an empty token in the list never matches an empty credential", () => {
  for (const list of [[""], ["Bearer "], [" "], ["Bearer"]]) {
    const gate = new TokenGate(list);
    for (const header of ["", " ", "Bearer ", "Bearer  "])
      expect([list, header, admitted(gate, header)]).toEqual([list, header, undefined]);
  }
});
