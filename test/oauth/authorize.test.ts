import { afterAll, beforeAll, expect, test } from "bun:test";
import type { RunningProxy } from "../support/proxy.ts";
import {
  CALLBACK,
  FORM,
  authorizeUrl,
  client,
  destination,
  logIn,
  openPage,
  pkce,
  readPage,
  startLogin,
  submit,
} from "./login.ts";
import type { LoginPage } from "./login.ts";

const WEB = "https://app.example.com/cb?tenant=1";
let proxy: RunningProxy;
let id: string;
beforeAll(async () => {
  proxy = await startLogin({ registrationsPerMinute: 0, allowedRedirectURIs: [WEB] });
  id = (await client(proxy.url)).client_id;
});
afterAll(() => proxy[Symbol.asyncDispose]());

const { challenge } = pkce();
const open = (params: Record<string, string | undefined> = {}): Promise<LoginPage> =>
  openPage(authorizeUrl(proxy.url, { client_id: id, code_challenge: challenge, ...params }));
const issuer = (): string => `http://localhost:${proxy.port}`;

test("23: an unknown client or a wrong redirect URI is an error page, never a redirect", async () => {
  const address = authorizeUrl(proxy.url, { client_id: id, code_challenge: challenge });
  const addresses = [
    authorizeUrl(proxy.url, { client_id: "nobody", code_challenge: challenge }),
    authorizeUrl(proxy.url, { code_challenge: challenge }),
    authorizeUrl(proxy.url, { client_id: id, redirect_uri: "https://evil.example/" }),
    authorizeUrl(proxy.url, { client_id: id, redirect_uri: "javascript:alert(1)" }),
    `${address}&client_id=${id}`,
    `${address}&redirect_uri=${encodeURIComponent(CALLBACK)}`,
    `${address}&redirect_uri=https://evil.example/`,
  ];
  for (const each of addresses) {
    const { response, html } = await openPage(each);
    expect([each, response.status, response.headers.get("location")]).toEqual([each, 400, null]);
    expect(html).toContain('role="alert"');
    expect(html).not.toContain('href="https://evil');
  }
});

test("23 to 26: every other error goes back, with error, state, and iss exactly once", async () => {
  const cases: [Record<string, string | undefined>, string][] = [
    [{ response_type: "token" }, "unsupported_response_type"],
    [{ response_type: undefined }, "invalid_request"],
    [{ code_challenge: undefined }, "invalid_request"],
    [{ code_challenge_method: "plain" }, "invalid_request"],
    [{ code_challenge_method: undefined }, "invalid_request"],
    [{ code_challenge: "x".repeat(42) }, "invalid_request"],
    [{ code_challenge: "x".repeat(129) }, "invalid_request"],
    [{ code_challenge: `${"x".repeat(42)}%` }, "invalid_request"],
    [{ response_mode: "fragment" }, "invalid_request"],
    [{ resource: "https://elsewhere.example/mcp" }, "invalid_target"],
    [{ resource: `${proxy.url}/none/mcp` }, "invalid_target"],
    [{ resource: `${proxy.url}/free/mcp` }, "invalid_target"],
    [{ resource: `${proxy.url}/a/mcp#x` }, "invalid_target"],
    [{ resource: "nonsense" }, "invalid_target"],
  ];
  for (const [params, error] of cases) {
    const { response } = await open(params);
    expect([params, response.status]).toEqual([params, 303]);
    const to = new URL(response.headers.get("location") ?? "");
    expect(to.href).toStartWith(`${CALLBACK}?`);
    expect([params, to.searchParams.get("error"), to.searchParams.get("state"), to.searchParams.getAll("iss")]).toEqual(
      [params, error, "some state", [issuer()]],
    );
  }
  const twice = await openPage(
    `${authorizeUrl(proxy.url, { client_id: id, code_challenge: challenge })}&resource=${proxy.url}/a/mcp&resource=${proxy.url}/b/mcp`,
  );
  expect(twice.response.headers.get("location")).toContain("error=invalid_target");
  const states = await openPage(
    `${authorizeUrl(proxy.url, { client_id: id, code_challenge: challenge })}&state=second`,
  );
  expect(states.response.headers.get("location")).toContain("error=invalid_request");
});

test("25: case of the host and a trailing slash are forgiven", async () => {
  for (const resource of [
    `${proxy.url}/a/mcp/`,
    `http://LOCALHOST:${proxy.port}/a/mcp`,
    `${proxy.url}/`,
    `${proxy.url}/servers/a/mcp`,
  ]) {
    expect([resource, (await open({ resource })).response.status]).toEqual([resource, 200]);
  }
});

test("26: the answer keeps the query of the redirect URI, and carries state and iss as they are", async () => {
  const { client_id } = await client(proxy.url, { redirect_uris: [WEB] });
  const state = 'a b&c=d#e%20"<>';
  const response = await submit(proxy.url, await open({ client_id, redirect_uri: WEB, state }));
  expect(response.status).toBe(303);
  const to = await destination(response);
  expect(to.href).toStartWith("https://app.example.com/cb?tenant=1&code=");
  expect(to.searchParams.get("state")).toBe(state);
  expect(to.searchParams.getAll("iss")).toEqual([issuer()]);
});

test("27: the page names the app, where the answer goes and what it may reach, and warns of a local one", async () => {
  const local = await open({ resource: `${proxy.url}/a/mcp` });
  expect(local.html).toContain("Test app");
  expect(local.html).toContain("by its own account");
  expect(local.html).toContain(`title="${CALLBACK}"`);
  expect(local.html).toContain("an app on your computer");
  const { client_id } = await client(proxy.url, { redirect_uris: [WEB] });
  const web = await open({ client_id, redirect_uri: WEB });
  expect(web.html).toContain(">app.example.com<");
  expect(web.html).not.toContain("an app on your computer");
  // It asks again, also where the same was allowed a moment ago.
  await submit(proxy.url, web);
  expect((await open({ client_id, redirect_uri: WEB })).html).toContain('type="password"');
});

test("28: a form counts only in the browser the page was made for, and only from our own page", async () => {
  const page = await open();
  const other = await open();
  const cookie = page.response.headers.get("set-cookie") ?? "";
  for (const attribute of ["HttpOnly", "SameSite=Lax", "Path=/"]) expect(cookie).toContain(attribute);
  const attempts: [string, Promise<Response>][] = [
    ["no cookie", submit(proxy.url, { ...page, cookie: "" })],
    ["another browser", submit(proxy.url, { ...page, cookie: other.cookie })],
    ["no transaction", submit(proxy.url, page, { transaction: "" })],
    ["a changed one", submit(proxy.url, page, { transaction: `${page.fields["transaction"]}x` })],
    ["another site", submit(proxy.url, page, {}, { "Sec-Fetch-Site": "cross-site" })],
    ["a neighbour", submit(proxy.url, page, {}, { "Sec-Fetch-Site": "same-site" })],
  ];
  for (const [name, attempt] of attempts) {
    const response = await attempt;
    expect([name, response.status, response.headers.get("location")]).toEqual([name, 400, null]);
    expect(await response.text()).not.toContain("code=");
  }
  // Fields of the form beside the transaction change nothing.
  const answer = await destination(
    await submit(proxy.url, page, { redirect_uri: "https://evil.example/", client_id: "other", state: "other" }),
  );
  expect(answer.href).toStartWith(CALLBACK);
  expect(answer.searchParams.get("state")).toBe("some state");
});

test("28: behind an https base URL the cookie is __Host- and Secure, whatever the socket is", async () => {
  await using secure = await startLogin(
    {},
    { mcpProxy: { baseURL: "https://mcp.example.com", allowedHosts: ["127.0.0.1"] } },
  );
  const { client_id } = await client(secure.url);
  const page = await openPage(authorizeUrl(secure.url, { client_id, code_challenge: challenge }));
  const cookie = page.response.headers.get("set-cookie") ?? "";
  expect(cookie).toStartWith("__Host-");
  expect(cookie).toContain("; Secure");
  expect((await submit(secure.url, page)).status).toBe(200);
});

test("29: the headers of pages", async () => {
  for (const { response } of [
    await open(),
    await open({ client_id: "nobody" }),
    await readPage(await submit(proxy.url, await open()), ""),
  ]) {
    const { headers } = response;
    const policy = headers.get("content-security-policy") ?? "";
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"])
      expect(policy).toContain(part);
    expect(policy).not.toContain("form-action");
    expect(policy).not.toContain("unsafe");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("content-type")).toBe("text/html; charset=utf-8");
  }
});

test("30: an unknown user sees the same text as a wrong password, and the typed name stays", async () => {
  const page = await open();
  const texts: string[] = [];
  for (const username of ["alice", "mallory"]) {
    const response = await submit(proxy.url, page, { username, password: "wrong" });
    expect(response.status).toBe(401);
    const html = await response.text();
    expect(html).toContain(`value="${username}"`);
    expect(html).not.toContain('wrong"');
    texts.push(html.replaceAll(username, "NAME").replace(/name="transaction" value="[^"]*"/, ""));
  }
  expect(texts[0]).toBe(texts[1] ?? "");
});

test("30: guessing is slowed down by account and address, and the owner elsewhere still gets in", async () => {
  await using guarded = await startLogin({}, { mcpProxy: { trustedProxies: ["127.0.0.1"] } });
  const { client_id } = await client(guarded.url);
  const page = await openPage(authorizeUrl(guarded.url, { client_id, code_challenge: challenge }));
  const attempt = (from: string, password: string, username = "alice"): Promise<Response> =>
    submit(guarded.url, page, { username, password }, { "X-Forwarded-For": from });
  const flood = await Promise.all(Array.from({ length: 14 }, () => attempt("203.0.113.1", "wrong")));
  expect(flood.filter(({ status }) => status === 401)).toHaveLength(10);
  const slow = flood.find(({ status }) => status === 429);
  expect(Number(slow?.headers.get("retry-after"))).toBeGreaterThan(200);
  expect((await attempt("203.0.113.1", "correct horse")).status).toBe(429);
  expect((await attempt("203.0.113.2", "correct horse")).status).toBe(200);
  for (let i = 10; i < 50; i++) await attempt(`198.51.100.${i}`, "wrong");
  // Beyond the account's limit: one try for each address that has not failed.
  expect((await attempt("198.51.100.10", "correct horse")).status).toBe(429);
  expect((await attempt("203.0.113.9", "wrong")).status).toBe(401);
  expect((await attempt("203.0.113.9", "correct horse")).status).toBe(429);
  expect((await attempt("203.0.113.8", "correct horse")).status).toBe(200);
});

test("30: passwords as text and as bcrypt hashes of every kind, cut at 72 bytes as bcrypt does", async () => {
  const { hashSync } = await import("bcryptjs");
  const long = `${"ü".repeat(36)}beyond`;
  const hash = hashSync("secret", 4);
  await using mixed = await startLogin({
    users: {
      alice: "text",
      b: hash,
      y: hash.replace("$2b$", "$2y$"),
      a: hash.replace("$2b$", "$2a$"),
      l: hashSync(long, 4),
    },
  });
  const { client_id } = await client(mixed.url);
  const page = await openPage(authorizeUrl(mixed.url, { client_id, code_challenge: challenge }));
  const status = async (username: string, password: string): Promise<number> =>
    (await submit(mixed.url, page, { username, password })).status;
  for (const [name, password] of [
    ["alice", "text"],
    ["b", "secret"],
    ["y", "secret"],
    ["a", "secret"],
    ["l", long],
    ["l", "ü".repeat(36)],
  ] as const)
    expect([name, await status(name, password)]).toEqual([name, 200]);
  for (const [name, password] of [
    ["alice", "Text"],
    ["alice", hash],
    ["b", hash],
    ["b", "secret\0"],
    ["l", "ü".repeat(35)],
    ["", "x"],
    ["b", ""],
    ["constructor", "x"],
    ["__proto__", "x"],
  ] as const)
    expect([name, password, (await status(name, password)) >= 400]).toEqual([name, password, true]);
});

test("31: whatever a client or a user wrote stays text", async () => {
  const evil = `"><script>alert(1)</script>'&{{x}}`;
  const { client_id } = await client(proxy.url, { client_name: evil });
  const page = await open({ client_id, state: evil, scope: evil });
  const failed = await submit(proxy.url, page, { username: evil, password: "x" });
  for (const html of [
    page.html,
    await failed.text(),
    (await open({ client_id, redirect_uri: `http://localhost:1/${evil}` })).html,
  ]) {
    expect(html).not.toContain("<script>");
    expect(html).not.toContain('"><script');
    expect(html).not.toContain("<img");
  }
  expect(page.fields["state"]).toBe(evil);
});

test("no header is made of what somebody sent", async () => {
  const answer = await submit(proxy.url, await open({ state: "a\r\nSet-Cookie: x=y" }), { action: "cancel" });
  expect(answer.status).toBe(303);
  expect(answer.headers.get("set-cookie")).toBeNull();
  expect(new URL(answer.headers.get("location") ?? "").searchParams.get("state")).toBe("a\r\nSet-Cookie: x=y");
});

test("an oversized form is refused", async () => {
  const response = await fetch(`${proxy.url}/oauth/authorize`, {
    method: "POST",
    headers: FORM,
    body: `username=${"x".repeat(70_000)}`,
  });
  expect(response.status).toBe(413);
  await logIn(proxy.url);
});
