import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { callStatus, FORM, logIn, readPage, refresh, startLogin } from "../oauth/login.ts";
import type { LoginPage } from "../oauth/login.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { tools } from "./client.ts";

const HTML = { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
const JSON_ = { Accept: "application/json" };
/** From somewhere else, through a reverse proxy. */
const ELSEWHERE = { "X-Forwarded-For": "203.0.113.9" };

function get(url: string, headers: Record<string, string> = HTML): Promise<Response> {
  return fetch(url, { headers, redirect: "manual" });
}

async function text(url: string, headers: Record<string, string> = HTML): Promise<string> {
  return await (await get(url, headers)).text();
}

function post(url: string, cookie: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
  return fetch(url, {
    method: "POST",
    redirect: "manual",
    headers: { ...FORM, ...HTML, Cookie: cookie, Origin: "null", "Sec-Fetch-Site": "same-origin", ...headers },
    body: new URLSearchParams(fields),
  });
}

/** A cookie of somebody who is logged in on the page. */
async function visit(
  base: string,
  password = "correct horse",
): Promise<{ status: number; cookie: string; page: LoginPage }> {
  const page = await readPage(await get(`${base}/login`), "");
  const answer = await post(`${base}/login`, page.cookie, {
    token: page.fields["token"] ?? "",
    username: "alice",
    password,
  });
  return { status: answer.status, cookie: answer.headers.get("set-cookie")?.split(";")[0] ?? "", page };
}

async function csrf(base: string, cookie: string): Promise<string> {
  return (await readPage(await get(`${base}/`, { ...HTML, Cookie: cookie }), cookie)).fields["csrf"] ?? "";
}

describe("the start page of a proxy with a login", () => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    proxy = await startLogin({ registrationsPerMinute: 0 });
    await proxy.logged((line) => String(line["msg"]).includes("<b> Adding tool"));
  });
  afterAll(() => proxy[Symbol.asyncDispose]());

  test("tells a stranger nothing about servers, as a page and as JSON", async () => {
    const page = await get(`${proxy.url}/`, { ...HTML, ...ELSEWHERE });
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const all = (await page.text()) + (await text(`${proxy.url}/`, { ...JSON_, ...ELSEWHERE }));
    expect(all).toContain("MCP gateway");
    for (const name of ["/a/mcp", "/b/mcp", "/free/mcp", "echo"]) expect(all).not.toContain(name);
  });

  test("has headers that let nothing else in", async () => {
    const { headers } = await get(`${proxy.url}/`);
    const policy = headers.get("content-security-policy") ?? "";
    for (const part of ["default-src 'none'", "script-src 'self'", "form-action 'self'", "frame-ancestors 'none'"])
      expect(policy).toContain(part);
    expect(policy).not.toContain("unsafe");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });

  test("never gives a client HTML", async () => {
    for (const accept of ["text/html", "*/*", "application/json, text/event-stream", "text/event-stream"]) {
      const answer = await fetch(`${proxy.url}/`, {
        method: "POST",
        headers: { Accept: accept, "Content-Type": "application/json" },
        body: `{"jsonrpc":"2.0","id":1,"method":"ping"}`,
      });
      expect([accept, answer.headers.get("content-type")]).toEqual([accept, expect.not.stringContaining("html")]);
    }
    const stream = await get(`${proxy.url}/`, { Accept: "text/event-stream" });
    expect(stream.headers.get("content-type")).not.toContain("html");
  });

  test("shows a user what is behind the login, and the cookie opens /status and no endpoint", async () => {
    const { status, cookie } = await visit(proxy.url);
    expect(status).toBe(303);
    const page = await text(`${proxy.url}/`, { ...HTML, ...ELSEWHERE, Cookie: cookie });
    for (const part of ["alice", "/a/mcp", "/b/mcp", "/free/mcp", "echo", "ready"]) expect(page).toContain(part);
    const report = await get(`${proxy.url}/status`, { ...JSON_, ...ELSEWHERE, Cookie: cookie });
    expect(report.status).toBe(200);
    expect(await report.json()).toMatchObject({ servers: { a: { state: "ready" } } });
    expect((await get(`${proxy.url}/status`, { ...JSON_, ...ELSEWHERE })).status).toBe(401);
    const call = await fetch(`${proxy.url}/a/mcp`, {
      method: "POST",
      headers: { Cookie: cookie, "Content-Type": "application/json", Accept: "application/json, text/event-stream" },
      body: `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`,
    });
    expect(call.status).toBe(401);
  });

  test("a wrong password is refused, keeps the name, and is counted like any other", async () => {
    const { page } = await visit(proxy.url);
    const answer = await post(`${proxy.url}/login`, page.cookie, {
      token: page.fields["token"] ?? "",
      username: `alice"><b>`,
      password: "wrong",
    });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("set-cookie")).toBeNull();
    const html = await answer.text();
    expect(html).toContain(`role="alert"`);
    expect(html).toContain("alice&quot;&gt;&lt;b&gt;");
    for (let n = 0; n < 10; n++)
      await post(`${proxy.url}/login`, page.cookie, {
        token: page.fields["token"] ?? "",
        username: "bob",
        password: "x",
      });
    const slowed = await post(`${proxy.url}/login`, page.cookie, {
      token: page.fields["token"] ?? "",
      username: "bob",
      password: "x",
    });
    expect(slowed.status).toBe(429);
    expect(Number(slowed.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  test("nobody can be logged in by another site's form", async () => {
    const mine = await readPage(await get(`${proxy.url}/login`), "");
    const fields = { token: mine.fields["token"] ?? "", username: "alice", password: "correct horse" };
    for (const attempt of [
      post(`${proxy.url}/login`, mine.cookie, fields, { "Sec-Fetch-Site": "cross-site" }),
      post(`${proxy.url}/login`, "", fields),
      post(`${proxy.url}/login`, mine.cookie, { ...fields, token: "" }),
      post(`${proxy.url}/login`, (await readPage(await get(`${proxy.url}/login`), "")).cookie, fields),
      post(`${proxy.url}/login`, mine.cookie, fields, { "Content-Type": "text/plain" }),
    ]) {
      const answer = await attempt;
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.headers.get("set-cookie")).toBeNull();
    }
  });

  test("a client that acts for the user is listed, and ends when it is revoked", async () => {
    const tokens = await logIn(proxy.url, { resource: `http://localhost:${proxy.port}/a/mcp` });
    const endpoint = `${proxy.url}/a/mcp`;
    expect(await callStatus(endpoint, tokens.access_token)).toBe(200);
    const { cookie } = await visit(proxy.url);
    const page = await text(`${proxy.url}/`, { ...HTML, Cookie: cookie });
    expect(page).toContain("Test app");
    expect(page).toContain("last used just now");
    const fields = { csrf: await csrf(proxy.url, cookie), client: tokens.clientId };
    const other = await visit(proxy.url);
    const refused = [
      post(`${proxy.url}/consent/revoke`, cookie, { ...fields, csrf: "" }),
      post(`${proxy.url}/consent/revoke`, cookie, { ...fields, csrf: await csrf(proxy.url, other.cookie) }),
      post(`${proxy.url}/consent/revoke`, "", fields),
      post(`${proxy.url}/consent/revoke`, cookie, fields, { "Sec-Fetch-Site": "same-site" }),
      post(`${proxy.url}/consent/revoke`, cookie, fields, { "Sec-Fetch-Site": "none" }),
      fetch(`${proxy.url}/consent/revoke`, {
        method: "POST",
        headers: { ...FORM, Cookie: cookie },
        body: new URLSearchParams(fields),
      }),
    ];
    for (const attempt of refused) expect((await attempt).status).toBe(403);
    expect((await get(`${proxy.url}/consent/revoke`, { ...HTML, Cookie: cookie })).status).toBe(404);
    expect(await callStatus(endpoint, tokens.access_token)).toBe(200);
    expect((await post(`${proxy.url}/consent/revoke`, cookie, fields)).status).toBe(303);
    expect(await callStatus(endpoint, tokens.access_token)).toBe(401);
    expect((await refresh(proxy.url, tokens)).status).toBe(400);
    expect(await text(`${proxy.url}/`, { ...HTML, Cookie: cookie })).not.toContain("Test app");
  });

  test("logging out ends the cookie itself, and needs the page's own form", async () => {
    const { cookie } = await visit(proxy.url);
    const token = await csrf(proxy.url, cookie);
    expect((await post(`${proxy.url}/logout`, cookie, { csrf: "x" })).status).toBe(403);
    expect(
      (await post(`${proxy.url}/logout`, cookie, { csrf: token }, { "Sec-Fetch-Site": "cross-site" })).status,
    ).toBe(403);
    expect(await text(`${proxy.url}/`, { ...HTML, Cookie: cookie })).toContain("Log out");
    const out = await post(`${proxy.url}/logout`, cookie, { csrf: token });
    expect(out.status).toBe(303);
    expect(out.headers.get("set-cookie")).toContain("Max-Age=0");
    expect(await text(`${proxy.url}/`, { ...HTML, ...ELSEWHERE, Cookie: cookie })).not.toContain("Log out");
  });

  test("the cookie is for this host and no script, and its value is not what is stored", async () => {
    const page = await readPage(await get(`${proxy.url}/login`), "");
    const fields = { token: page.fields["token"] ?? "", username: "alice", password: "correct horse" };
    const header = (await post(`${proxy.url}/login`, page.cookie, fields)).headers.get("set-cookie") ?? "";
    for (const part of ["HttpOnly", "SameSite=Lax", "Path=/"]) expect(header).toContain(part);
    const value = header.split(";")[0]?.split("=")[1] ?? "";
    await using files = Bun.spawn(["grep", "-rlaF", value, proxy.directory], { stdout: "pipe" });
    expect(await files.stdout.text()).toBe("");
  });

  test("a browser at an endpoint's address is told what it is, with the same status", async () => {
    const plain = await get(`${proxy.url}/a/mcp`, { Accept: "text/event-stream" });
    const page = await get(`${proxy.url}/a/mcp`);
    expect([plain.status, page.status]).toEqual([401, 401]);
    expect(page.headers.get("www-authenticate")).toBe(
      plain.headers.get("www-authenticate")?.replace("localhost", "127.0.0.1") ?? "",
    );
    expect(page.headers.get("content-type")).toContain("html");
    const html = await page.text();
    expect(html).toContain("This is an MCP endpoint");
    expect(html).toContain(`${proxy.url}/a/mcp`);
    expect(html).toContain("cursor://");
    const open = await get(`${proxy.url}/free/mcp`);
    expect(open.status).toBe((await get(`${proxy.url}/free/mcp`, { Accept: "*/*" })).status);
    expect(await open.text()).toContain("This is an MCP endpoint");
    const missing = await get(`${proxy.url}/nobody/mcp`);
    expect(missing.status).toBe(404);
    expect(await missing.text()).toContain("There is no MCP endpoint at this address");
    expect((await get(`${proxy.url}/nobody/mcp`, JSON_)).headers.get("content-type")).toContain("application/json");
  });
});

test("with https in baseURL the cookie is Secure and __Host-, and links stay below its path", async () => {
  await using proxy = await startLogin({}, { mcpProxy: { baseURL: "https://mcp.example.com/gate" } });
  const headers = { ...HTML, Host: "mcp.example.com" };
  const page = await readPage(await get(`${proxy.url}/gate/login`, headers), "");
  expect(page.html).toContain(`action="/gate/login"`);
  const answer = await fetch(`${proxy.url}/gate/login`, {
    method: "POST",
    redirect: "manual",
    headers: { ...FORM, ...headers, Cookie: page.cookie, "Sec-Fetch-Site": "same-origin" },
    body: new URLSearchParams({ token: page.fields["token"] ?? "", username: "alice", password: "correct horse" }),
  });
  expect(answer.headers.get("location")).toBe("/gate/");
  expect(answer.headers.get("set-cookie")).toMatch(/^__Host-mcp-proxy-visit=.*Secure/);
  const cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? "";
  const html = await text(`${proxy.url}/gate/`, { ...headers, Cookie: cookie });
  expect(html).toContain("https://mcp.example.com/gate/a/mcp");
  expect(html).not.toContain("127.0.0.1");
});

test("a removed user's visit ends, and so does one whose password was changed", async () => {
  const first = await startLogin();
  const { directory, port } = first;
  const { cookie } = await visit(first.url);
  await first.stop();
  const again = await startLogin({}, { directory, port });
  expect(await text(`${again.url}/`, { ...HTML, Cookie: cookie })).toContain("Log out");
  await again.stop();
  await using changed = await startLogin({ users: { alice: "another horse" } }, { directory, port });
  expect(await text(`${changed.url}/`, { ...HTML, Cookie: cookie })).not.toContain("Log out");
});

describe("startPage", () => {
  const servers = { one: tools({ options: { authTokens: ["a-token-of-this-test"] } }), two: tools() };

  test("public: strangers see names and addresses, and nothing of what is inside", async () => {
    await using proxy = await startProxy(servers, { mcpProxy: { startPage: "public" } });
    await proxy.logged((line) => String(line["msg"]).includes("Adding tool"));
    const page = await text(`${proxy.url}/`, { ...HTML, ...ELSEWHERE });
    // What comes first is the URL of all.
    expect(page).toContain(`${proxy.url}/mcp`);
    for (const name of ["one", "two"]) expect(page).toContain(`connect=${name}`);
    expect(page).not.toContain("echo");
    expect(page).not.toContain("ready");
    const two = await text(`${proxy.url}/?connect=two`, { ...HTML, ...ELSEWHERE });
    expect(two).toContain("/two/mcp");
  });
  test("off: nothing is there", async () => {
    await using proxy = await startProxy(servers, { mcpProxy: { startPage: "off" } });
    for (const path of ["/", "/login"]) {
      const answer = await get(proxy.url + path);
      expect(answer.status).toBe(404);
      expect(await answer.text()).not.toContain("/mcp<");
    }
    expect((await get(`${proxy.url}/`, JSON_)).headers.get("content-type")).toContain("application/json");
  });
  test("private: somebody on this machine sees names, and what is inside of open servers only", async () => {
    await using proxy = await startProxy(servers);
    await proxy.logged((line) => String(line["msg"]).includes("<two> Adding tool"));
    const report = (await (await get(`${proxy.url}/`, JSON_)).json()) as {
      endpoints: { name: string; tools?: string[] }[];
    };
    const named = Object.fromEntries(report.endpoints.map(({ name, tools: inside }) => [name, inside]));
    expect(named["one"]).toBeUndefined();
    expect(named["two"]).toContain("echo");
    expect(Object.keys(named)).toContain("one");
    expect(await text(`${proxy.url}/`, { ...JSON_, ...ELSEWHERE })).not.toContain("one");
    const mine = await text(`${proxy.url}/`, { ...JSON_, ...ELSEWHERE, Authorization: "Bearer a-token-of-this-test" });
    expect(mine).toContain("/one/mcp");
  });
});

test("a secret in a server's name is on no page, whoever looks", async () => {
  await using proxy = await startLogin({}, { mcpProxy: { startPage: "public" } });
  const secret = "hook/very-secret-part";
  await using other = await startProxy({ [secret]: tools(), plain: tools() }, { mcpProxy: { startPage: "public" } });
  for (const headers of [HTML, JSON_, { ...HTML, ...ELSEWHERE }]) {
    expect(await text(`${other.url}/`, headers)).not.toContain("very-secret");
  }
  expect(await text(`${other.url}/hook/mcp`)).not.toContain("very-secret");
  expect(await text(`${proxy.url}/`)).toContain("/a/mcp");
});

test("a host name that is not allowed gets no page", async () => {
  await using proxy = await startProxy({ one: tools() });
  const answer = await fetch(`${proxy.url}/`, { headers: { ...HTML, Host: "evil.example.com" } });
  expect(answer.status).toBe(403);
  expect(await answer.text()).not.toContain("/one/mcp");
});
