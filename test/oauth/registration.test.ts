import { afterAll, beforeAll, expect, test } from "bun:test";
import type { RunningProxy } from "../support/proxy.ts";
import { CALLBACK, authorizeUrl, client, openPage, pkce, post, register, startLogin } from "./login.ts";

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startLogin({
    registrationsPerMinute: 0,
    allowedRedirectURIs: ["https://app.example.com/cb", "https://*.wild.example/cb"],
  });
});
afterAll(() => proxy[Symbol.asyncDispose]());

const errorOf = async (response: Response): Promise<unknown> =>
  ((await response.json()) as Record<string, unknown>)["error"];

test("14: echoes what was registered, without what was absent, and nobody keeps the answer", async () => {
  const response = await register(proxy.url, {
    application_type: "native",
    grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    client_uri: null,
  });
  expect(response.status).toBe(201);
  expect(response.headers.get("cache-control")).toBe("no-store");
  const body = (await response.json()) as Record<string, unknown>;
  expect(body).toMatchObject({
    redirect_uris: [CALLBACK],
    application_type: "native",
    client_name: "Test app",
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code", "refresh_token"],
  });
  expect(body).not.toHaveProperty("client_secret");
  expect(Object.values(body)).not.toContain(null);
  const secret = await client(proxy.url, { token_endpoint_auth_method: undefined });
  expect(secret).toMatchObject({ token_endpoint_auth_method: "client_secret_basic", client_secret_expires_at: 0 });
  expect(secret.client_secret?.length).toBeGreaterThan(40);
});

test("14: anything but JSON, and nonsense, is refused", async () => {
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "text/plain;application/json"]) {
    expect((await register(proxy.url, {}, { "Content-Type": type })).status).toBe(415);
  }
  const raw = (body: string): Promise<Response> =>
    fetch(`${proxy.url}/oauth/register`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  for (const body of [
    "",
    "[]",
    "1",
    "null",
    "{",
    '"x"',
    JSON.stringify({ redirect_uris: [CALLBACK], client_name: 5 }),
  ]) {
    const response = await raw(body);
    expect([body, response.status, await errorOf(response)]).toEqual([
      body,
      400,
      body === "" || body === "{" || body.includes("name") || body !== "{}" ? "invalid_client_metadata" : "",
    ]);
  }
  for (const fields of [
    { token_endpoint_auth_method: "private_key_jwt" },
    { grant_types: ["password"] },
    { response_types: ["token"] },
    { application_type: "other" },
    { client_uri: "javascript:alert(1)" },
    { grant_types: "authorization_code" },
  ]) {
    const response = await register(proxy.url, fields);
    expect([fields, response.status, await errorOf(response)]).toEqual([fields, 400, "invalid_client_metadata"]);
  }
  expect((await raw(JSON.stringify({ redirect_uris: [CALLBACK], x: "y".repeat(70_000) }))).status).toBe(413);
});

test("15: the registrations of the clients people use", async () => {
  const real = [
    ["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"],
    ["http://localhost:51234/callback"],
    ["http://localhost:3334/oauth/callback"],
    ["https://chatgpt.com/connector_platform_oauth_redirect"],
    ["https://chatgpt.com/connector/oauth/abc-DEF_123"],
    [
      "https://vscode.dev/redirect",
      "https://insiders.vscode.dev/redirect",
      "http://127.0.0.1/",
      "http://127.0.0.1:33418/",
    ],
    [
      "cursor://anysphere.cursor-mcp/oauth/callback",
      "https://www.cursor.com/agents/mcp/oauth/callback",
      "http://localhost:8787/callback",
    ],
    ["http://localhost:6274/oauth/callback"],
    ["http://[::1]:9/cb"],
    ["https://app.example.com/cb"],
    ["https://a.wild.example/cb", "https://a.b.wild.example/cb"],
  ];
  for (const redirect_uris of real)
    expect([redirect_uris, (await register(proxy.url, { redirect_uris })).status]).toEqual([redirect_uris, 201]);
});

test("16: what is never a redirect target, and what is not on the list", async () => {
  const bad = [
    "https://evil.example/cb",
    "https://claude.ai.evil.example/api/mcp/auth_callback",
    "https://claude.ai/api/mcp/auth_callback/",
    "https://claude.ai/api/mcp/auth_callback?x=1",
    "https://claude.ai@evil.example/api/mcp/auth_callback",
    "https://chatgpt.com/connector/oauth/../../x",
    "http://evil.example/cb",
    "http://localhost.evil.example/cb",
    "http://localhost@evil.example/cb",
    "http://127.0.0.2/cb",
    "http://127.1/cb",
    "http://0x7f000001/cb",
    "http://localhost:1/cb#fragment",
    "http://localhost:1/cb#",
    "http://user@localhost:1/cb",
    "http://localhost:*/cb",
    "http://localhost:1/*",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\nscript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "vbscript:x",
    "http://localhost:1\\@evil.example/",
    "//evil.example/cb",
    "/cb",
    "",
    "https://wild.example/cb",
    "https://x.wild.example.evil/cb",
    "https://evil.example/.wild.example/cb",
    "https://evil.example?.wild.example/cb",
    `http://localhost:1/${"x".repeat(3_000)}`,
  ];
  for (const uri of bad) {
    const response = await register(proxy.url, { redirect_uris: [uri] });
    expect([uri, response.status, await errorOf(response)]).toEqual([uri, 400, "invalid_redirect_uri"]);
    expect([uri, (await register(proxy.url, { redirect_uris: [CALLBACK, uri] })).status]).toEqual([uri, 400]);
  }
  for (const redirect_uris of [
    undefined,
    [],
    [1],
    "http://localhost/cb",
    Array.from({ length: 21 }, (_, i) => `http://localhost/${i}`),
  ]) {
    expect(await errorOf(await register(proxy.url, { redirect_uris }))).toBe("invalid_redirect_uri");
  }
});

test("17: at authorize only the port of a loopback address may differ, and nothing else", async () => {
  const { challenge } = pkce();
  const native = await client(proxy.url, { redirect_uris: ["http://localhost/callback", "http://127.0.0.1:5/x"] });
  const status = async (id: string, redirect_uri: string): Promise<number> =>
    (await openPage(authorizeUrl(proxy.url, { client_id: id, code_challenge: challenge, redirect_uri }))).response
      .status;
  for (const uri of [
    "http://localhost/callback",
    "http://localhost:1234/callback",
    "http://127.0.0.1/x",
    "http://127.0.0.1:77/x",
  ]) {
    expect([uri, await status(native.client_id, uri)]).toEqual([uri, 200]);
  }
  for (const uri of [
    "http://127.0.0.1:1234/callback",
    "http://[::1]/callback",
    "http://localhost:1/Callback",
    "http://localhost:1/callback/",
    "http://localhost:1/callback?x",
    "https://localhost/callback",
    "http://localhost:1@evil.example/callback",
    "http://LOCALHOST/callback",
  ]) {
    expect([uri, await status(native.client_id, uri)]).toEqual([uri, 400]);
  }
  const claude = await client(proxy.url, { redirect_uris: ["https://claude.ai/api/mcp/auth_callback"] });
  expect(await status(claude.client_id, "https://claude.ai/api/mcp/auth_callback")).toBe(200);
  for (const uri of [
    "https://claude.ai:444/api/mcp/auth_callback",
    "https://claude.com/api/mcp/auth_callback",
    "https://claude.ai/api/mcp/auth_callback?a=b",
    "HTTPS://claude.ai/api/mcp/auth_callback",
  ]) {
    expect([uri, await status(claude.client_id, uri)]).toEqual([uri, 400]);
  }
});

test("18: allowedIPs holds for the real client address, with ranges, the preset, and no forged header", async () => {
  const over = { mcpProxy: { baseURL: "https://mcp.example.com", allowedHosts: ["127.0.0.1"] } };
  await using guarded = await startLogin({ allowedIPs: ["203.0.113.7", "2001:db8::/32", "claude"] }, over);
  const status = async (from: string): Promise<number> =>
    (await register(guarded.url, {}, { "X-Forwarded-For": from })).status;
  expect((await register(guarded.url)).status).toBe(403);
  for (const from of [
    "203.0.113.7",
    "160.79.104.1",
    "160.79.111.255",
    "2001:db8::5",
    "::ffff:203.0.113.7",
    "8.8.8.8, 203.0.113.7",
  ])
    expect([from, await status(from)]).toEqual([from, 201]);
  for (const from of ["203.0.113.8", "160.79.112.0", "2001:db9::5", "203.0.113.7, 8.8.8.8", "nonsense"])
    expect([from, await status(from)]).toEqual([from, 403]);
  await using direct = await startLogin({ allowedIPs: ["203.0.113.7"] }, { mcpProxy: { trustedProxies: [] } });
  expect(
    (
      await register(
        direct.url,
        {},
        { "X-Forwarded-For": "203.0.113.7", Forwarded: "for=203.0.113.7", "CF-Connecting-IP": "203.0.113.7" },
      )
    ).status,
  ).toBe(403);
});

test("19: registrations a minute, hostile names, and an unknown client", async () => {
  await using slow = await startLogin({ registrationsPerMinute: 3 });
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) {
    const response = await register(slow.url);
    statuses.push(response.status);
    if (response.status === 429) expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
  }
  expect(statuses).toEqual([201, 201, 201, 429]);
  for (const client_name of ["a\u202eb", "a\u0000b", "a\nb", "a\u200bb", "a\u2066b", "x".repeat(600)]) {
    expect([client_name, (await register(proxy.url, { client_name })).status]).toEqual([client_name, 400]);
  }
  expect((await register(proxy.url, { client_name: "Привет 你好 café 👍" })).status).toBe(201);
  const response = await post(proxy.url, "/oauth/token", {
    grant_type: "refresh_token",
    refresh_token: "x",
    client_id: "nobody",
  });
  expect([response.status, await errorOf(response)]).toEqual([401, "invalid_client"]);
});
