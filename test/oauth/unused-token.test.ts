import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Accounts } from "../../src/auth/accounts.ts";
import { Grants } from "../../src/oauth/grants.ts";
import type { Issued } from "../../src/oauth/grants.ts";
import type { Grant } from "../../src/oauth/grant.ts";
import { SqliteStore } from "../../src/store/sqlite-store.ts";
import { systemClock } from "../../src/telemetry/clock.ts";

interface Room extends AsyncDisposable {
  readonly grants: Grants;
  readonly warnings: object[];
  unused: number;
  /** Lets the minute pass. */
  later(): void;
  login(): Promise<{ grant: Grant; issued: Issued }>;
}

function makeRoom(): Room {
  const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-unused-"));
  const due: (() => void)[] = [];
  const clock = {
    ...systemClock,
    after: (ms: number, call: () => void): (() => void) => {
      expect(ms).toBe(60_000);
      due.push(call);
      return () => undefined;
    },
  };
  const { store } = SqliteStore.open(directory, systemClock);
  const warnings: object[] = [];
  const nothing = (): void => undefined;
  const log = { debug: nothing, info: nothing, error: nothing, warn: (fields: object) => void warnings.push(fields) };
  const accounts = new Accounts();
  const alice = {
    password: "x",
    allowedTools: undefined,
    deniedTools: [],
    roles: [],
    email: undefined,
    limits: undefined,
  };
  accounts.replace(new Map([["alice", alice]]), undefined);
  const room: Room = {
    grants: new Grants({ store, clock, log, accounts, onEnd: nothing, onUnused: () => room.unused++ }),
    warnings,
    unused: 0,
    later: () => {
      for (const call of due.splice(0)) call();
    },
    login: async () => {
      const about = { client: "the-client", user: "alice", passwordMark: "", scopes: ["mcp"], audience: undefined };
      const pending = {
        expires: Date.now() + 60_000,
        redirectUri: "https://a.example/cb",
        redirectGiven: true,
        challenge: "",
      };
      await room.grants.begin(about, pending);
      const grant = [...room.grants.all].at(-1);
      if (grant === undefined) throw new Error("no grant was made");
      const lifetimes = { accessMs: 3_600_000, refreshMs: 86_400_000 };
      const issued = room.grants.issue(grant, { scopes: ["mcp"], audience: undefined, refreshable: true, lifetimes });
      room.grants.expectUse(grant);
      return { grant, issued };
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return room;
}

test("a token that nobody uses within a minute is one warning", async () => {
  await using room = makeRoom();
  await room.login();
  expect(room.warnings).toEqual([]);
  room.later();
  room.later();
  expect(room.warnings).toEqual([{ code: "login.token_unused", client: "the-client", user: "alice" }]);
  expect(room.unused).toBe(1);
});

test("one that was used is none, nor one whose login has ended", async () => {
  await using room = makeRoom();
  const used = await room.login();
  expect(room.grants.bearer(used.issued.access, "any")).toMatchObject({ user: "alice" });
  const ended = await room.login();
  await room.grants.end(ended.grant, "the test ends it");
  room.later();
  expect(room.warnings).toEqual([]);
});
