import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HttpClient, connect, tools } from "../http/client.ts";
import { logIn } from "../oauth/login.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { bearer } from "./office.ts";

// What was checked once is looked up: hashing and opening seals costs more than all else that is done for a call.

const STATIC = "static-token-0123456789";
const OTHER = "other-token-0123456789";
const KEY = "api-key-0123456789";
const CALLS = 5;

const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-test-"));
const count = join(directory, "count");
let proxy: RunningProxy;

async function start(): Promise<void> {
  const oauth2 = { enabled: true, persistenceDir: "state" };
  const users = {
    alice: { password: "correct horse", allowed_tools: ["all:echo", "later:*"], denied_tools: ["*:x*"] },
  };
  const options = { authTokens: [STATIC], oauth2: { ...oauth2, users } };
  const later = tools({ options: { authTokens: [OTHER] } });
  proxy = await startProxy(
    { all: tools(), later },
    {
      directory,
      mcpProxy: { options, apiKeys: { [KEY]: { client_id: "robot", scopes: ["all:*"] } } },
      env: { BUN_OPTIONS: `--preload ${join(import.meta.dir, "../fixtures/crypto-count.ts")}`, CRYPTO_FILE: count },
    },
  );
}

beforeAll(start);
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** What was counted since it was last asked for. */
async function counted(): Promise<number> {
  rmSync(count, { force: true });
  proxy.process.kill("SIGUSR2");
  while (!existsSync(count)) await Bun.sleep(2);
  return Number(readFileSync(count, "utf8"));
}

/** @returns what the first call of a client costs, and what more of them cost together */
async function costs(client: HttpClient, tool: string): Promise<[first: number, later: number]> {
  const call = async (): Promise<void> => {
    const { status, text } = await client.request("tools/call", { name: tool, arguments: { text: "x" } });
    if (status !== 200 || !text.includes('"result"')) throw new Error(`${status} ${text}`);
  };
  await counted();
  await call();
  const first = await counted();
  for (let n = 0; n < CALLS; n++) await call();
  return [first, await counted()];
}

const login = async (): Promise<string> => (await logIn(proxy.url)).access_token;

describe("nothing is hashed or opened for the second request of", () => {
  const rows: [name: string, path: string, credential: () => string | Promise<string>, tool: string][] = [
    ["a static token", "/all/mcp", () => STATIC, "echo"],
    ["an API key beside tokens and a login", "/all/mcp", () => KEY, "echo"],
    ["a login beside tokens and keys", "/all/mcp", login, "echo"],
    ["a static token at all servers' URL", "/mcp", () => STATIC, "all__echo"],
    ["a token of the last server at all servers' URL", "/mcp", () => OTHER, "later__echo"],
    ["an API key at all servers' URL", "/mcp", () => KEY, "all__echo"],
    ["a login at all servers' URL", "/mcp", login, "all__echo"],
  ];
  for (const [name, path, credential, tool] of rows) {
    test(name, async () => {
      const client = await connect(proxy.url + path, bearer(await credential()));
      expect((await costs(client, tool))[1]).toBe(0);
    });
  }

  test("a session that was sealed before a restart", async () => {
    const client = await connect(`${proxy.url}/all/mcp`, bearer(STATIC));
    await proxy.stop();
    await start();
    const again = new HttpClient(`${proxy.url}/all/mcp`, bearer(STATIC));
    again.session = client.session;
    const [first, later] = await costs(again, "echo");
    expect(first).toBeGreaterThan(0);
    expect(later).toBe(0);
  });
});
