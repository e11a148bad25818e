import { expect, test } from "bun:test";
import { Accounts } from "../../src/auth/accounts.ts";
import type { UserConfig } from "../../src/config/config.ts";
import { user } from "../support/users.ts";

const of = (configured: Record<string, UserConfig>, file?: Record<string, UserConfig> | "unread"): Accounts => {
  const accounts = new Accounts();
  const filed = file === undefined || file === "unread" ? file : new Map(Object.entries(file));
  accounts.replace(new Map(Object.entries(configured)), filed);
  return accounts;
};

test("a user in two places is the sum: password from the configuration, tools from the file, what is denied anywhere", () => {
  const accounts = of(
    { alice: user({ password: "config", allowedTools: ["a:*"], deniedTools: ["a:x"], email: "alice@example.com" }) },
    { alice: user({ password: "file", allowedTools: ["b:*"], deniedTools: ["b:y"], roles: ["r"] }) },
  );
  expect(accounts.find("alice")).toEqual(
    user({
      password: "config",
      allowedTools: ["b:*"],
      deniedTools: ["b:y", "a:x"],
      roles: ["r"],
      email: "alice@example.com",
    }),
  );
});

test("the file's tools count before the configuration's, and those before everything", () => {
  const accounts = of(
    { one: user({ allowedTools: ["a:*"] }), two: user({ allowedTools: ["a:*"] }), three: user() },
    { one: user({ allowedTools: [] }), two: user(), three: user() },
  );
  expect(["one", "two", "three"].map((name) => accounts.find(name)?.allowedTools)).toEqual([[], ["a:*"], undefined]);
});

test("an entry is found by the name, by the user's e-mail address, then by the most exact pattern; addresses in any case", () => {
  const accounts = of(
    { alice: user({ email: "Alice@Example.com" }), bob: user() },
    {
      "alice@example.com": user({ roles: ["by address"] }),
      "*@example.com": user({ roles: ["domain"] }),
      "a*@example.com": user({ roles: ["more exact"] }),
      "*": user({ roles: ["anybody"] }),
    },
  );
  const role = (name: string): unknown => accounts.find(name)?.roles;
  expect(role("alice")).toEqual(["by address"]);
  expect(role("ALICE@EXAMPLE.COM")).toEqual(["by address"]);
  expect(role("adam@example.com")).toEqual(["more exact"]);
  expect(role("Zoe@Example.com")).toEqual(["domain"]);
  expect(role("bob")).toEqual(["anybody"]);
});

test("a pattern is nobody's name and brings nobody's password", () => {
  const accounts = of(
    {},
    { "*@example.com": user({ password: "known to all" }), "eve@example.com": user({ password: "own" }) },
  );
  expect(accounts.find("x@example.com")?.password).toBeUndefined();
  expect(accounts.find("*@example.com")?.password).toBeUndefined();
  expect(accounts.find("eve@example.com")?.password).toBe("own");
  expect([...accounts.all()].map(([name]) => name)).toEqual(["eve@example.com"]);
});

test("a file that was never read lets nobody in, and who is in no place is nobody", () => {
  expect(of({ alice: user() }, "unread").find("alice")).toBeUndefined();
  expect(of({ alice: user() }, {}).find("alice")).toBeDefined();
  for (const name of ["bob", "__proto__", "constructor", ""])
    expect(of({ alice: user() }, {}).find(name)).toBeUndefined();
});

test("rights that somebody holds change with the places they come from", () => {
  const accounts = of({ alice: user({ allowedTools: ["a:x"] }) });
  const rights = accounts.rightsOf("alice");
  const nobody = accounts.rightsOf("bob");
  expect([rights.of("a")?.tool("x"), nobody.of("a")?.any, accounts.admits("bob")]).toEqual([true, false, false]);
  const changed = accounts.replace(new Map([["bob", user()]]), undefined);
  expect(changed.sort()).toEqual(["alice", "bob"]);
  expect([rights.of("a")?.any, nobody.of("a"), accounts.admits("bob"), accounts.admits("alice")]).toEqual([
    false,
    undefined,
    true,
    false,
  ]);
});

test("patterns count in the configuration as well, without a file and beside one", () => {
  const configured = { "*@example.com": user({ password: "everybody's", deniedTools: ["a:x"] }) };
  expect(of(configured).find("zoe@example.com")).toEqual(user({ deniedTools: ["a:x"] }));
  expect(of(configured).find("zoe@example.org")).toBeUndefined();
  const both = of(configured, { "zoe@example.com": user({ allowedTools: ["b:*"] }) });
  expect(both.find("zoe@example.com")).toEqual(user({ allowedTools: ["b:*"], deniedTools: ["a:x"] }));
});
