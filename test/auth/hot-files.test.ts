import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../http/client.ts";
import type { HttpClient } from "../http/client.ts";
import { ModernClient } from "../relay/modern-client.ts";
import { RawClient } from "../relay/raw-client.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { bearer, logInAs, replaceFile, startOffice } from "./office.ts";

/** Files of users and keys that change while people are here. */

const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-access-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const USERS = join(directory, "users.json");
const KEYS = join(directory, "keys.json");

const BOB = { name: "Bob", password: "password of bob@example.com", allowed_tools: ["desk:read"] };

const users = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  "alice@example.com": { name: "Alice", roles: ["admin"], allowed_tools: ["*"] },
  "bob@example.com": BOB,
  "*@guests.example.com": { allowed_tools: ["desk:read_all"] },
  ...more,
});
const keys = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  "sk-first-0123456789": { client_id: "first", scopes: ["*"] },
  "sk-second-0123456789": { client_id: "second", scopes: ["desk:read"] },
  ...more,
});

let proxy: RunningProxy;
beforeAll(async () => {
  replaceFile(USERS, users());
  replaceFile(KEYS, keys());
  const logins = ["alice@example.com", "carol@guests.example.com", "dave@elsewhere.example.com"];
  proxy = await startOffice({
    mcpProxy: {
      users: Object.fromEntries(logins.map((name) => [name, { password: `password of ${name}` }])),
      usersFile: USERS,
      apiKeysFile: KEYS,
      options: { oauth2: { enabled: true, persistenceDir: "state" } },
    },
  });
});
afterAll(() => proxy[Symbol.asyncDispose]());

const url = (): string => `${proxy.url}/desk/mcp`;
const names = async (client: HttpClient): Promise<string[]> =>
  ((await client.request("tools/list")).last.result?.["tools"] as { name: string }[] | undefined)?.map(
    ({ name }) => name,
  ) ?? [];

async function status(token: string): Promise<number> {
  const response = await fetch(url(), {
    method: "POST",
    headers: { ...bearer(token), "Content-Type": "application/json", Accept: "application/json, text/event-stream" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
  });
  await response.text();
  return response.status;
}

let seen = 0;
/** The next line of the log, after those that earlier steps have waited for, that holds a text. */
async function next(text: string): Promise<Record<string, unknown>> {
  const from = seen;
  const line = await proxy.logged((each) => proxy.log.indexOf(each) >= from && String(each["msg"]).includes(text));
  seen = proxy.log.indexOf(line) + 1;
  return line;
}

describe("users", () => {
  test("get their tools from the file, also by a pattern; who is in neither gets nothing", async () => {
    const alice = await connect(url(), bearer(await logInAs(proxy.url, "alice@example.com")));
    const carol = await connect(url(), bearer(await logInAs(proxy.url, "carol@guests.example.com")));
    expect(await names(alice)).toContain("write");
    expect(await names(carol)).toEqual(["read_all"]);
  });

  test("whom the file does not name and no rule holds back are told of", async () => {
    const line = await proxy.logged(
      (each) => each["user"] === "dave@elsewhere.example.com" && each["level"] === "warn",
    );
    expect(line["msg"]).toContain("may use everything");
    expect(proxy.log.filter((each) => String(each["msg"]).includes("may use everything"))).toHaveLength(1);
  });

  test("whose rights change keep their sessions, are told, and have the new rights at once", async () => {
    const token = await logInAs(proxy.url, "bob@example.com");
    const legacy = await RawClient.open(url(), { headers: bearer(token) });
    const stream = await legacy.listen();
    await legacy.request("tools/list").answer();
    const modern = new ModernClient(url(), { headers: bearer(token) });
    const listening = modern.request("subscriptions/listen", '"notifications":{"toolsListChanged":true}');
    await listening.method("notifications/subscriptions/acknowledged");
    replaceFile(USERS, users({ "bob@example.com": { ...BOB, allowed_tools: ["desk:write"] } }));
    await stream.method("notifications/tools/list_changed");
    await listening.method("notifications/tools/list_changed");
    await next("users was taken over");
    expect((await legacy.call("write").answer()).text).toContain("desk write ran");
    expect((await legacy.call("read").answer()).message.error?.code).toBe(-32602);
    expect((await modern.call("read").answer()).message.error?.code).toBe(-32602);
    listening.abort.abort();
  });

  test("who are removed are out at once: sessions, streams, calls in flight, grants", async () => {
    replaceFile(USERS, users({ "bob@example.com": { ...BOB, allowed_tools: ["*"] } }));
    await next("users was taken over");
    const token = await logInAs(proxy.url, "bob@example.com");
    const legacy = await RawClient.open(url(), { headers: bearer(token) });
    const stream = await legacy.listen();
    const sse = await RawClient.open(`${proxy.url}/desk/sse`, { headers: bearer(token) });
    const sseStream = await sse.listen();
    const call = legacy.call("hold");
    const modern = new ModernClient(url(), { headers: bearer(token) });
    const alone = modern.call("hold");
    const listening = modern.request("subscriptions/listen", '"notifications":{"toolsListChanged":true}');
    await listening.method("notifications/subscriptions/acknowledged");
    // The call is with the server, for a later one on the same line has come back.
    await legacy.call("read", "{}", "2").answer();
    const { "bob@example.com": _, ...others } = users();
    replaceFile(USERS, others);
    await Promise.all([stream.ended(), sseStream.ended(), listening.ended(), call.ended(), alone.ended()]);
    await next("users was taken over");
    expect([...call.texts, ...alone.texts].join()).not.toContain("held");
    expect(await status(token)).toBe(401);
    // Back again, he has to log in again.
    replaceFile(USERS, users());
    await next("users was taken over");
    expect(await status(token)).toBe(401);
    expect(await status(await logInAs(proxy.url, "bob@example.com"))).toBe(200);
  });
});

describe("a file that cannot be used", () => {
  const cases: [what: string, spoil: () => void, message: RegExp][] = [
    ["is half written", () => writeFileSync(KEYS, JSON.stringify(keys()).slice(0, 60)), /keys.json:1:\d+/],
    ["is empty", () => truncateSync(KEYS), /the file is empty/],
    ["is missing", () => rmSync(KEYS), /does not exist/],
    ["is no object", () => replaceFile(KEYS, "[]"), /expected an object/],
    [
      "has a wrong entry",
      () => replaceFile(KEYS, keys({ "sk-hidden-0123": { client_id: 7 } })),
      /apiKeys\.\(key\)\.client_id/,
    ],
    ["is huge", () => replaceFile(KEYS, `{"k":"${"x".repeat(5_000_000)}"}`), /larger than/],
  ];
  for (const [what, spoil, message] of cases) {
    test(`because it ${what}: what it said before holds, and that is said`, async () => {
      spoil();
      const line = await next("cannot be used");
      expect(String(line["msg"])).toMatch(message);
      expect(String(line["msg"])).toContain("what it said before goes on");
      expect(JSON.stringify(proxy.log)).not.toContain("sk-");
      const client = await connect(url(), bearer("sk-first-0123456789"));
      expect(await names(client)).toContain("write");
      replaceFile(KEYS, keys());
      await next("API keys was taken over");
    });
  }

  test("with unknown and duplicate keys is used, with warnings", async () => {
    replaceFile(
      KEYS,
      '{"sk-first-0123456789":{"client_id":"first","scope":["*"]},"sk-second-0123456789":{"client_id":"x"},"sk-second-0123456789":{"client_id":"second","scopes":["desk:write"]},"__proto__":{"client_id":"p"}}',
    );
    await next("API keys was taken over");
    const all = proxy.log.map((line) => String(line["msg"])).join("\n");
    expect(all).toMatch(/unknown key "scope".*did you mean "scopes"/);
    expect(all).toContain("stands here a second time");
    expect(all).toContain('"__proto__" is not supported');
    expect(await names(await connect(url(), bearer("sk-second-0123456789")))).toEqual(["write"]);
  });
});

describe("keys", () => {
  test("come, go and change without anybody else noticing", async () => {
    replaceFile(KEYS, keys({ "sk-third-0123456789": { client_id: "third" } }));
    await next("API keys was taken over");
    const first = await connect(url(), bearer("sk-first-0123456789"));
    const third = await RawClient.open(url(), { headers: bearer("sk-third-0123456789") });
    const second = await RawClient.open(url(), { headers: bearer("sk-second-0123456789") });
    const [left, told] = [await third.listen(), await second.listen()];
    replaceFile(KEYS, keys({ "sk-second-0123456789": { client_id: "second", scopes: ["desk:read", "desk:write"] } }));
    await Promise.all([left.ended(), told.method("notifications/tools/list_changed")]);
    expect((await second.call("write").answer()).text).toContain("desk write ran");
    expect(await status("sk-third-0123456789")).toBe(401);
    expect(await names(first)).toContain("write");
  });

  test("count whole, with the word Bearer, and not for the client's name or in the query", async () => {
    const key = "sk-first-0123456789";
    for (const wrong of [key.slice(0, -1), `${key}x`, "first", "", " "]) expect(await status(wrong)).toBe(401);
    const ask = (more: string, headers: Record<string, string>): Promise<number> =>
      fetch(url() + more, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream", ...headers },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
      }).then((response) => response.status);
    expect(await ask(`?token=${key}`, {})).toBe(401);
    expect(await ask("", { Authorization: key })).toBe(401);
    expect(await ask("", { Authorization: `bearer  ${key}` })).toBe(200);
  });
});
