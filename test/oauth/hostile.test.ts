import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prune, refreshUse } from "../../src/oauth/grant.ts";
import type { Grant, TokenPair } from "../../src/oauth/grant.ts";
import { PendingLogins } from "../../src/oauth/provider/pending.ts";
import { allowedRedirect } from "../../src/oauth/redirect-uri.ts";
import { isPublicAddress } from "../../src/oauth/special-addresses.ts";
import { LoginThrottle, MinuteLimit } from "../../src/oauth/throttle.ts";
import { SqliteStore } from "../../src/store/sqlite-store.ts";
import { Sealer } from "../../src/store/sealer.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { tools } from "../http/client.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { authorizeUrl, CALLBACK, callStatus, client, FORM, logIn, obtainCode, openPage, pkce } from "./login.ts";
import { destination, readPage, redeem, refresh, register, startLogin, submit } from "./login.ts";
import type { Tokens } from "./login.ts";

async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-hostile-"));
  try {
    await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("what strangers send", () => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    proxy = await startLogin();
  });
  afterAll(() => proxy[Symbol.asyncDispose]());

  test("32: a parameter twice is refused, also one that nobody reads here", async () => {
    const { client_id } = await client(proxy.url);
    const { code, verifier } = await obtainCode(proxy.url, client_id);
    const form = { grant_type: "authorization_code", code, code_verifier: verifier, client_id, redirect_uri: CALLBACK };
    const send = (more: string): Promise<Response> =>
      fetch(`${proxy.url}/oauth/token`, {
        method: "POST",
        headers: FORM,
        body: new URLSearchParams(form).toString() + more,
      });
    for (const more of ["&scope=a&scope=b", "&x=1&x=2", "&code=x", "&client_id=x"]) {
      const response = await send(more);
      expect([more, response.status]).toEqual([more, 400]);
      expect(await response.json()).toMatchObject({ error: "invalid_request" });
    }
    const target = encodeURIComponent(`${proxy.url}/a/mcp`);
    expect(await (await send(`&resource=${target}&resource=${target}`)).json()).toMatchObject({
      error: "invalid_target",
    });
    expect((await send("")).status).toBe(200);
  });

  test("19: a registration that is large in all is refused, though each field is not", async () => {
    const uris = Array.from({ length: 20 }, (_, i) => `http://localhost/${i}${"a".repeat(2_000)}`);
    expect((await register(proxy.url, { redirect_uris: uris })).status).toBe(400);
    expect((await register(proxy.url, { redirect_uris: uris.slice(0, 3) })).status).toBe(201);
  });

  test("19: a name that shows nothing is none", async () => {
    for (const name of ["", "   ", "\u00a0\u3000"]) {
      const response = await register(proxy.url, { client_name: name });
      expect(response.status).toBe(201);
      expect(Object.keys((await response.json()) as object)).not.toContain("client_name");
    }
    for (const name of ["\u2800", "a\u200bb", "a\u202eb", "\ud800"])
      expect((await register(proxy.url, { client_name: name })).status).toBe(400);
  });

  test("objects that are no plain data, names of JavaScript's own and deep nesting are only text", async () => {
    const bodies: [string, number][] = [
      ['{"__proto__":{"redirect_uris":["http://localhost/cb"]}}', 400],
      [`{"constructor":1,"toString":{},"redirect_uris":["${CALLBACK}"],"token_endpoint_auth_method":"none"}`, 201],
      ['{"redirect_uris":{"length":1,"0":"http://localhost/"}}', 400],
      [`{"redirect_uris":["${CALLBACK}"],"redirect_uris":["https://evil.example/cb"]}`, 400],
      ["[".repeat(60_000), 400],
      ["null", 400],
    ];
    for (const [body, status] of bodies) {
      const response = await fetch(`${proxy.url}/oauth/register`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body,
      });
      expect([body.slice(0, 40), response.status]).toEqual([body.slice(0, 40), status]);
      const answer = (await response.json()) as Record<string, unknown>;
      expect(Object.keys(answer)).not.toContain("toString");
    }
  });

  test("another spelling of a path leads to the same check or to nothing", async () => {
    const same = ["/a/%6dcp", "/a/mcp/", "/free/%2e%2e/a/mcp", "/free/mcp/../../a/mcp", "/servers/a/mcp", "//a/mcp"];
    const nothing = ["/A/mcp", "/a/mcp;x", "/a//mcp", "/free%2f..%2fa/mcp", "/a/mcp%00", "/a%5cmcp"];
    for (const path of [...same, ...nothing]) {
      const response = await fetch(proxy.url + path, { method: "POST", body: "{}" });
      expect([path, response.status]).toEqual([path, same.includes(path) ? 401 : 404]);
    }
  });

  test("8 refreshes at once and a kill -9 later no token more and none less lives", async () => {
    await inDirectory(async (directory) => {
      const first = await startLogin({}, { directory });
      const tokens = await logIn(first.url);
      const answers = await Promise.all(Array.from({ length: 10 }, () => refresh(first.url, tokens)));
      const good = answers.filter(({ status }) => status === 200);
      expect(good).toHaveLength(8);
      const pairs = (await Promise.all(good.map((each) => each.json()))) as { access_token: string }[];
      const { port } = first;
      await first.stop("SIGKILL");
      await using second = await startLogin({}, { directory, port });
      expect((await refresh(second.url, tokens)).status).toBe(400);
      for (const { access_token } of pairs) expect(await callStatus(`${second.url}/a/mcp`, access_token)).toBe(200);
    });
  });
});

test("names that a URL cannot hold as they are: challenge, metadata and resource are URLs all the same", async () => {
  const oauth2 = { enabled: true, users: { alice: "correct horse" }, persistenceDir: "state" };
  const names = ["mein größe", 'q"uo', "日本", "50%"];
  const servers = Object.fromEntries(names.map((name) => [name, tools()]));
  await using proxy = await startProxy(servers, { mcpProxy: { options: { oauth2 } } });
  for (const name of names) {
    const url = `${proxy.url}/${encodeURIComponent(name)}/mcp`;
    const response = await fetch(url, { method: "POST", body: "{}" });
    expect([name, response.status]).toEqual([name, 401]);
    const address = /resource_metadata="([^"]*)"/.exec(response.headers.get("www-authenticate") ?? "")?.[1] ?? "";
    expect(address).toMatch(/^[!-~]+$/);
    const { resource } = (await (await fetch(address)).json()) as { resource: string };
    expect(resource).toBe(new URL(url).href);
    const { access_token } = await logIn(proxy.url, { resource });
    expect(await callStatus(url, access_token)).toBe(200);
  }
});

test("30: one account in other letters is one account, and one IPv6 network is one address", () => {
  let now = 0;
  const clock = { ...systemClock, now: () => now };
  const spellings = Array.from({ length: 14 }, (_, i) =>
    "eve@example.com"
      .split("")
      .map((letter, at) => ((i >> at) & 1 ? letter.toUpperCase() : letter))
      .join(""),
  );
  const throttle = new LoginThrottle(clock);
  const waits = spellings.map((name) => throttle.begin(name, "1.2.3.4").again);
  expect(waits.filter((wait) => wait === 0)).toHaveLength(10);
  for (let i = 0; i < 100; i++) throttle.begin(`user ${i}`, `2001:db9:1:2::${i.toString(16)}`);
  expect(throttle.begin("somebody", "2001:db9:1:2:ffff::1").again).toBeGreaterThan(0);
  expect(throttle.begin("somebody", "2001:db9:1:3::1").again).toBe(0);
  now = 600_000;
  const minute = new MinuteLimit(clock, 2);
  expect(["2001:db9::1", "2001:db9::2", "2001:db9::3", "2001:db9:0:1::3"].map((each) => minute.take(each))).toEqual([
    0, 0, 60, 0,
  ]);
});

test("20: what is not a global address is none, however new or old the way of writing it", () => {
  for (const address of ["::7f00:1", "::a00:1", "4000::1", "1::1", "100:0:0:1::1", "64:ff9b::7f00:1", "fec0::1"])
    expect([address, isPublicAddress(address)]).toEqual([address, false]);
  for (const address of ["2606:4700::1111", "2a00:1450::1", "3000::1"])
    expect([address, isPublicAddress(address)]).toEqual([address, true]);
});

test("16: a pattern with a path holds below that path only, as a browser reads it", () => {
  const policy = { extra: ["https://app.example.com/cb/*"], anyHttps: false };
  const allowed = (path: string): boolean => allowedRedirect(`https://app.example.com/cb/${path}`, policy);
  expect(["x", "x/y", "x..y", ".x"].map(allowed)).toEqual([true, true, true, true]);
  expect(["../x", "x/../../y", "..", ".", "./x"].map(allowed)).toEqual([false, false, false, false, false]);
});

function pair(id: number, more: Partial<TokenPair>): TokenPair {
  const life = { access: `a${id}`, accessExpires: 3_600_000, refresh: `r${id}`, refreshExpires: 9e9 };
  const fresh = { parent: undefined, scopes: ["mcp"], audience: undefined, seen: false };
  return { id, ...fresh, ...life, refreshed: undefined, children: 0, ...more };
}

function family(pairs: TokenPair[]): Grant {
  const about = { client: "c", user: "u", passwordMark: undefined, scopes: ["mcp"], audience: undefined };
  return { id: "g", made: 0, code: undefined, retired: [], pairs, ...about };
}

test("35: a used up token stays used up, though its successor's access token is gone before its own", () => {
  const first = pair(1, { refreshed: 0, seen: true, children: 1 });
  const second = pair(2, { parent: 1, accessExpires: 0, refreshed: 1_000, seen: true, children: 1 });
  const grant = family([first, second, pair(3, { parent: 2, seen: true })]);
  prune(grant, 120_000);
  expect(grant.pairs).toContain(first);
  expect(refreshUse(grant, first, 120_000)).toBe("reused");
  prune(grant, 3_600_000);
  expect(grant.pairs.map(({ id }) => id)).toEqual([3]);
  expect(grant.retired).toEqual(["r1", "r2"]);
});

test("35: a client that refreshes twice at a time for months does not fill the memory", () => {
  const grant = family([pair(1, {})]);
  for (let id = 2; id < 3_000; id += 2) {
    const now = id * 3_600_000;
    const parent = grant.pairs.at(-1);
    if (parent === undefined) throw new Error("no pair is left");
    Object.assign(parent, { refreshed: now, seen: true, children: 2 });
    prune(grant, now);
    const life = { parent: parent.id, accessExpires: now + 3_600_000, refreshExpires: now + 9e9 };
    grant.pairs.push(pair(id, life), pair(id + 1, life));
  }
  expect(grant.pairs.length).toBeLessThan(300);
});

test("36: a user whose address was typed in other letters is that user, on the start page too", async () => {
  await using proxy = await startLogin({ users: { "Eve@Example.com": "correct horse" } });
  const { client_id } = await client(proxy.url);
  const { verifier, challenge } = pkce();
  const page = await openPage(authorizeUrl(proxy.url, { client_id, code_challenge: challenge }));
  const answer = await submit(proxy.url, page, { username: "eve@EXAMPLE.com" });
  const code = (await destination(answer)).searchParams.get("code") ?? "";
  const tokens = (await (await redeem(proxy.url, { code, verifier, clientId: client_id })).json()) as Tokens;
  expect(await callStatus(`${proxy.url}/a/mcp`, tokens.access_token)).toBe(200);
  const form = await readPage(await fetch(`${proxy.url}/login`), "");
  const headers = { ...FORM, "Sec-Fetch-Site": "same-origin", Cookie: form.cookie };
  const body = new URLSearchParams({ ...form.fields, username: "EVE@example.com", password: "correct horse" });
  const visit = await fetch(`${proxy.url}/login`, { method: "POST", headers, body, redirect: "manual" });
  const cookie = visit.headers.get("set-cookie")?.split(";")[0] ?? "";
  const start = await (await fetch(`${proxy.url}/`, { headers: { Accept: "text/html", Cookie: cookie } })).text();
  expect(start).toContain("Test app");
  expect(start).toContain("Eve@Example.com");
});

test("38: what waits for the provider opens in the browser that began it, once", async () => {
  await inDirectory(async (directory) => {
    const { store } = SqliteStore.open(directory, systemClock);
    const sealer = new Sealer("provider login", [new Uint8Array(32)]);
    const logins = new PendingLogins(sealer, store, systemClock, false);
    const request = { clientId: "c", redirectUri: CALLBACK, redirectGiven: true, state: "s", challenge: "x" };
    const whole = { ...request, scopes: ["mcp"], audience: undefined, resource: undefined };
    const { checks, setCookies } = logins.begin(whole, "this browser", null);
    const cookies = setCookies.at(-1)?.split(";")[0] ?? "";
    const take = async (browser: string | undefined, header = cookies): Promise<string | undefined> =>
      (await logins.take(checks.state, browser, header))?.request.redirectUri;
    // A neighbour may plant a cookie of its own login, but not the one that names a browser.
    expect(await take("another browser")).toBeUndefined();
    expect(await take(undefined)).toBeUndefined();
    expect(await take("this browser", `${cookies}; ${cookies}`)).toBeUndefined();
    const together = await Promise.all(Array.from({ length: 4 }, () => take("this browser")));
    expect(together.filter((each) => each !== undefined)).toEqual([CALLBACK]);
    expect(await take("this browser")).toBeUndefined();
    await store.close();
  });
});

test("43: one record that cannot be read keeps nobody else out, and is said and kept", async () => {
  await inDirectory(async (directory) => {
    const first = await startLogin({}, { directory });
    const tokens = await logIn(first.url);
    await first.stop();
    const file = join(directory, "state", "state.db");
    const broken = ['{"id":"x","pai', '{"id":"x"}', "null", "7"];
    const database = new Database(file);
    for (const [i, value] of broken.entries())
      for (const room of ["grant", "client"])
        database.query("INSERT INTO state VALUES (?, ?, NULL)").run(`${room}\0x${i}\0`, value);
    database.close();
    const second = await startLogin({}, { directory });
    expect(await callStatus(`${second.url}/a/mcp`, tokens.access_token)).toBe(200);
    expect(second.log.some(({ level, records }) => level === "error" && records === 8)).toBeTrue();
    await second.stop();
    const after = new Database(file);
    const kept = after.query<{ value: string }, []>("SELECT value FROM state").all();
    expect(kept.filter(({ value }) => broken.includes(value))).toHaveLength(8);
    after.close();
  });
});

const openStores = (proxy: RunningProxy): string[] => {
  const folder = `/proc/${proxy.process.pid}/fd`;
  const open = readdirSync(folder).map((each) => {
    try {
      return readlinkSync(join(folder, each));
    } catch {
      return "";
    }
  });
  return [...new Set(open.filter((path) => path.endsWith("/state.db")))];
};

test("43: a reload that fails leaves the state it would have used to others", async () => {
  await inDirectory(async (directory) => {
    await using proxy = await startLogin({}, { directory });
    using taken = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const file = join(directory, "config.json");
    const config = JSON.parse(readFileSync(file, "utf8"));
    config.mcpProxy.addr = `127.0.0.1:${taken.port}`;
    config.mcpProxy.options.oauth2.persistenceDir = join(directory, "other");
    writeFileSync(file, JSON.stringify(config));
    proxy.process.kill("SIGHUP");
    await proxy.logged(({ msg }) => String(msg).includes("what ran before goes on"));
    if (process.platform === "linux") expect(openStores(proxy)).toEqual([join(directory, "state", "state.db")]);
    await using other = await startLogin({ persistenceDir: join(directory, "other") });
    await logIn(other.url);
    await logIn(proxy.url);
  });
});

test("43: the same directory by another path is the same state, and stays locked", async () => {
  await inDirectory(async (directory) => {
    await using proxy = await startLogin({}, { directory });
    const tokens = await logIn(proxy.url);
    symlinkSync(join(directory, "state"), join(directory, "link"));
    const file = join(directory, "config.json");
    writeFileSync(file, readFileSync(file, "utf8").replace('"persistenceDir":"state"', '"persistenceDir":"link"'));
    proxy.process.kill("SIGHUP");
    await proxy.logged(({ msg }) => String(msg).includes("was taken over"));
    expect(await callStatus(`${proxy.url}/a/mcp`, tokens.access_token)).toBe(200);
    const second = await startLogin({}, { directory }).catch((error: unknown) => String(error));
    expect(second).toContain("another mcp-proxy");
  });
});

test("42: what is no page is not used and not waited for, and the log says so", async () => {
  const trouble: Record<string, (file: string) => void> = {
    "is not a file": (file) => void Bun.spawnSync(["mkfifo", file]),
    ELOOP: (file) => symlinkSync(file, file),
    "is empty": (file) => writeFileSync(file, "\n"),
  };
  for (const [words, make] of Object.entries(trouble)) {
    await inDirectory(async (directory) => {
      const folder = join(directory, "mine", "oauth");
      mkdirSync(folder, { recursive: true });
      make(join(folder, "authorize.html"));
      await using proxy = await startLogin({ templateDir: join(directory, "mine") }, { directory });
      const { client_id } = await client(proxy.url);
      const { html } = await openPage(authorizeUrl(proxy.url, { client_id, code_challenge: pkce().challenge }));
      expect(html).toContain("wants to use your MCP servers");
      expect(proxy.log.filter(({ level, msg }) => level === "error" && String(msg).includes(words))).toHaveLength(1);
    });
  }
});
