import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bearer, logInAs, replaceFile, startOffice } from "../auth/office.ts";
import { ModernClient } from "../relay/modern-client.ts";
import { RawClient, hello } from "../relay/raw-client.ts";
import type { RunningProxy } from "../support/proxy.ts";

/** Rights that change, and people who go, while they are at a URL of several servers. */

const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-joint-access-"));
const USERS = join(directory, "users.json");
const KEYS = join(directory, "keys.json");
const KEY = "sk-of-somebody-0123456789";
const PLACES = ["mcp", "both/mcp", "own/mcp"] as const;

const write = (tools: readonly string[] | undefined): void => {
  const mine = tools === undefined ? {} : { bob: { password: "password of bob", allowed_tools: tools } };
  replaceFile(USERS, { alice: { password: "password of alice", allowed_tools: ["*"] }, ...mine });
  replaceFile(KEYS, {
    "sk-of-another-0123456789": { client_id: "another" },
    ...(tools === undefined ? {} : { [KEY]: { client_id: "somebody", scopes: tools } }),
  });
};

let proxy: RunningProxy;
const headers = new Map<string, Record<string, string>>([["key", bearer(KEY)]]);
beforeAll(async () => {
  write(["desk:read", "desk:hold"]);
  proxy = await startOffice({
    mcpProxy: {
      usersFile: USERS,
      apiKeysFile: KEYS,
      options: { oauth2: { enabled: true, persistenceDir: "state" } },
    },
    groups: {
      both: { servers: ["desk", "vault"] },
      own: { servers: ["desk", "vault"], options: { oauth2: { enabled: true } } },
    },
  });
  headers.set("user", bearer(await logInAs(proxy.url, "bob")));
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function tools(client: RawClient): Promise<string[]> {
  const { message } = await client.request("tools/list").answer();
  return (message.result as { tools: { name: string }[] }).tools.map(({ name }) => name);
}

test("who gets other rights is told and has them at once; who goes is out of everything", async () => {
  const here = await Promise.all(
    ["user", "key"].flatMap((who) =>
      PLACES.map(async (path) => {
        const url = `${proxy.url}/${path}`;
        const options = { headers: headers.get(who) ?? {} };
        const client = await RawClient.open(url, options);
        const stream = await client.listen();
        expect([who, path, await tools(client)]).toEqual([who, path, ["desk__read", "desk__hold"]]);
        const held = client.call("desk__hold", "{}", '"held"');
        const modern = new ModernClient(url, options);
        const listening = modern.request("subscriptions/listen", '"notifications":{"toolsListChanged":true}');
        await listening.method("notifications/subscriptions/acknowledged");
        return { client, stream, held, modern, listening };
      }),
    ),
  );
  write(["vault:*"]);
  for (const { client, stream, modern, listening } of here) {
    while ((await tools(client)).includes("desk__read"))
      await stream.first((message) => message.method === "notifications/tools/list_changed");
    await stream.method("notifications/tools/list_changed");
    await listening.method("notifications/tools/list_changed");
    expect(await tools(client)).not.toContain("desk__hold");
    expect((await client.call("desk__read").answer()).message.error?.message).toBe("Unknown tool: desk__read");
    expect((await modern.call("desk:read").answer()).message.error?.message).toBe("Unknown tool: desk:read");
    expect((await client.call("vault__read").answer()).text).toContain("vault read ran");
    expect((await modern.call("vault__read").answer()).text).toContain("vault read ran");
    expect((await client.request("prompts/get", '{"name":"vault__greet"}').answer()).text).toContain("vault greets");
  }
  write(undefined);
  for (const { client, stream, held, modern, listening } of here) {
    await Promise.all([stream.ended(), held.ended(), listening.ended()]);
    expect(await client.request("tools/list").status()).toBe(401);
    expect(await modern.call("vault__read").status()).toBe(401);
  }
  // Nobody else was touched.
  const alice = await RawClient.open(`${proxy.url}/mcp`, { headers: bearer(await logInAs(proxy.url, "alice")) });
  expect(await tools(alice)).toContain("desk__read");
}, 60_000);

test("a group may have the only login there is, and then only there is one", async () => {
  await using own = await startOffice({
    mcpProxy: {
      users: { bob: { password: "password of bob", allowed_tools: ["desk:read"] } },
      options: { authTokens: ["token-of-the-servers-0123"], oauth2: { persistenceDir: "state" } },
    },
    groups: {
      team: { servers: ["desk", "vault"], options: { oauth2: { enabled: true } } },
      plain: { servers: ["desk"] },
    },
  });
  await own.logged((line) => String(line["msg"]).endsWith("/team/mcp"));
  const challenge = async (path: string): Promise<string> =>
    (await fetch(own.url + path, { method: "POST" })).headers.get("www-authenticate") ?? "";
  expect(await challenge("/team/mcp")).toContain("/.well-known/oauth-protected-resource/team/mcp");
  const metadata = async (path: string): Promise<number> =>
    (await fetch(`${own.url}/.well-known/oauth-protected-resource${path}`)).status;
  expect(await metadata("/team/mcp")).toBe(200);
  for (const path of ["/mcp", "/plain/mcp", "/desk/mcp"]) {
    expect([path, await challenge(path)]).toEqual([path, "Bearer"]);
    expect([path, await metadata(path)]).toEqual([path, 404]);
  }
  const options = { headers: bearer(await logInAs(own.url, "bob", `${own.url}/team/mcp`)) };
  expect(await tools(await RawClient.open(`${own.url}/team/mcp`, options))).toEqual(["desk__read"]);
  expect((await hello(`${own.url}/mcp`, options).answer()).message.error?.message).toContain("Unauthorized");
});
