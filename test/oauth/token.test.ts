import { afterAll, beforeAll, expect, test } from "bun:test";
import { EventReader } from "../http/client.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { FORM, callStatus, client, logIn, obtainCode, post, redeem, refresh, startLogin } from "./login.ts";
import type { Tokens } from "./login.ts";

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startLogin({ registrationsPerMinute: 0, allowedRedirectURIs: ["https://app.example.com/cb"] });
});
afterAll(() => proxy[Symbol.asyncDispose]());

const outcome = async (response: Response): Promise<unknown[]> => [
  response.status,
  ((await response.json()) as Record<string, unknown>)["error"],
];
const basic = (id: string, secret: string): Record<string, string> => ({
  Authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString("base64")}`,
});

test("32: only forms, no parameter twice, one way of authenticating, the registered one", async () => {
  const { client_id } = await client(proxy.url);
  const raw = (body: string, headers: Record<string, string> = FORM): Promise<Response> =>
    fetch(`${proxy.url}/oauth/token`, { method: "POST", headers, body });
  expect(await outcome(await raw('{"grant_type":"x"}', { "Content-Type": "application/json" }))).toEqual([
    400,
    "invalid_request",
  ]);
  for (const twice of [
    "grant_type=authorization_code&grant_type=authorization_code",
    "client_id=a",
    "code=a&code=b",
    "code_verifier=a&code_verifier=b",
    "redirect_uri=a&redirect_uri=b",
  ]) {
    const body = `client_id=${client_id}&grant_type=authorization_code&code=x&${twice}`;
    expect([twice, ...(await outcome(await raw(body)))]).toEqual([twice, 400, "invalid_request"]);
  }
  expect(await outcome(await raw(`client_id=${client_id}&grant_type=password`))).toEqual([
    400,
    "unsupported_grant_type",
  ]);
  expect(await outcome(await raw(`client_id=${client_id}`))).toEqual([400, "invalid_request"]);

  const withSecret = await client(proxy.url, { token_endpoint_auth_method: "client_secret_basic" });
  const secret = withSecret.client_secret ?? "";
  const body = { grant_type: "refresh_token", refresh_token: "x" };
  expect(await outcome(await post(proxy.url, "/oauth/token", body, basic(withSecret.client_id, secret)))).toEqual([
    400,
    "invalid_grant",
  ]);
  const wrong = await post(proxy.url, "/oauth/token", body, basic(withSecret.client_id, "wrong"));
  expect(wrong.headers.get("www-authenticate")).toStartWith("Basic");
  expect(await outcome(wrong)).toEqual([401, "invalid_client"]);
  expect(
    await outcome(
      await post(proxy.url, "/oauth/token", { ...body, client_id: withSecret.client_id, client_secret: secret }),
    ),
  ).toEqual([401, "invalid_client"]);
  expect(
    await outcome(
      await post(proxy.url, "/oauth/token", { ...body, client_secret: secret }, basic(withSecret.client_id, secret)),
    ),
  ).toEqual([400, "invalid_request"]);
  expect(await outcome(await post(proxy.url, "/oauth/token", { ...body, client_id: withSecret.client_id }))).toEqual([
    401,
    "invalid_client",
  ]);
  const posting = await client(proxy.url, { token_endpoint_auth_method: "client_secret_post" });
  expect(
    await outcome(
      await post(proxy.url, "/oauth/token", {
        ...body,
        client_id: posting.client_id,
        client_secret: posting.client_secret ?? "",
      }),
    ),
  ).toEqual([400, "invalid_grant"]);
  expect(
    await outcome(await post(proxy.url, "/oauth/token", { ...body, client_id: posting.client_id, client_secret: "" })),
  ).toEqual([401, "invalid_client"]);
});

test("33: what a token answer holds", async () => {
  const { client_id } = await client(proxy.url);
  const response = await redeem(proxy.url, await obtainCode(proxy.url, client_id));
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(await response.json()).toMatchObject({ token_type: "Bearer", expires_in: 3600, scope: "mcp" });
});

test("34: a code is bound to client, redirect URI, verifier and resource, and a failed attempt does not consume it", async () => {
  const { client_id } = await client(proxy.url);
  const other = await client(proxy.url);
  const code = await obtainCode(proxy.url, client_id, { resource: `${proxy.url}/a/mcp` });
  const refused: [Record<string, string>, string][] = [
    [{ client_id: other.client_id }, "invalid_grant"],
    [{ redirect_uri: "http://localhost:7778/callback" }, "invalid_grant"],
    [{ redirect_uri: "" }, "invalid_grant"],
    [{ code_verifier: "x".repeat(43) }, "invalid_grant"],
    [{ code_verifier: "" }, "invalid_grant"],
    [{ code_verifier: "short" }, "invalid_grant"],
    [{ code: `${code.code}x` }, "invalid_grant"],
    [{ resource: `${proxy.url}/b/mcp` }, "invalid_target"],
    [{ resource: "https://elsewhere.example/" }, "invalid_target"],
  ];
  for (const [more, error] of refused)
    expect([more, ...(await outcome(await redeem(proxy.url, code, more)))]).toEqual([more, 400, error]);
  expect((await redeem(proxy.url, code, { resource: `${proxy.url}/a/mcp/` })).status).toBe(200);
});

test("34: of eight redemptions at once one wins, and the winner's token lives", async () => {
  const { client_id } = await client(proxy.url);
  const code = await obtainCode(proxy.url, client_id);
  const responses = await Promise.all(Array.from({ length: 8 }, () => redeem(proxy.url, code)));
  expect(responses.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 400, 400, 400, 400, 400, 400, 400]);
  const winner = responses.find(({ status }) => status === 200);
  const tokens = (await winner?.json()) as Tokens;
  expect(await callStatus(`${proxy.url}/a/mcp`, tokens.access_token)).toBe(200);
});

test("34: a replay later revokes every token that came of it", async () => {
  const { client_id } = await client(proxy.url);
  const code = await obtainCode(proxy.url, client_id);
  const tokens = { ...((await (await redeem(proxy.url, code)).json()) as Tokens), clientId: client_id };
  const more = (await (await refresh(proxy.url, tokens)).json()) as Tokens;
  await Bun.sleep(1_100);
  expect(await outcome(await redeem(proxy.url, code))).toEqual([400, "invalid_grant"]);
  for (const { access_token } of [tokens, more]) expect(await callStatus(`${proxy.url}/a/mcp`, access_token)).toBe(401);
  expect(await outcome(await refresh(proxy.url, { ...more, clientId: client_id }))).toEqual([400, "invalid_grant"]);
});

test("35: a refresh token is good again while no successor was used, eight times, each with a chain of its own", async () => {
  const tokens = await logIn(proxy.url);
  const siblings: Tokens[] = [];
  for (let i = 0; i < 8; i++)
    siblings.push({ ...((await (await refresh(proxy.url, tokens)).json()) as Tokens), clientId: tokens.clientId });
  expect(new Set(siblings.map(({ refresh_token }) => refresh_token)).size).toBe(8);
  expect(await outcome(await refresh(proxy.url, tokens))).toEqual([400, "invalid_grant"]);
  for (const sibling of siblings) {
    expect(await callStatus(`${proxy.url}/a/mcp`, sibling.access_token)).toBe(200);
    expect((await refresh(proxy.url, sibling)).status).toBe(200);
  }
});

test("35: a refresh narrows, never widens", async () => {
  const tokens = await logIn(proxy.url, { scope: "mcp offline_access" });
  expect(await outcome(await refresh(proxy.url, tokens, { scope: "mcp admin" }))).toEqual([400, "invalid_scope"]);
  const narrow = {
    ...((await (await refresh(proxy.url, tokens, { scope: "mcp", resource: `${proxy.url}/a/mcp` })).json()) as Tokens),
    clientId: tokens.clientId,
  };
  expect(narrow.scope).toBe("mcp");
  expect(await callStatus(`${proxy.url}/b/mcp`, narrow.access_token)).toBe(401);
  expect(await outcome(await refresh(proxy.url, narrow, { scope: "mcp offline_access" }))).toEqual([
    400,
    "invalid_scope",
  ]);
  expect(await outcome(await refresh(proxy.url, narrow, { resource: `${proxy.url}/b/mcp` }))).toEqual([
    400,
    "invalid_target",
  ]);
  expect(await outcome(await refresh(proxy.url, { ...tokens, clientId: (await client(proxy.url)).client_id }))).toEqual(
    [400, "invalid_grant"],
  );
});

test("36: revocation and introspection", async () => {
  const mine = await client(proxy.url, { token_endpoint_auth_method: "client_secret_post" });
  const secret = { client_id: mine.client_id, client_secret: mine.client_secret ?? "" };
  const code = await obtainCode(proxy.url, mine.client_id);
  const tokens = (await (await redeem(proxy.url, code, secret)).json()) as Tokens;
  const foreign = await logIn(proxy.url);
  const introspect = async (token: string, as: Record<string, string> = secret): Promise<unknown> =>
    (await post(proxy.url, "/oauth/introspect", { token, ...as })).json();
  expect(await introspect(tokens.access_token)).toMatchObject({
    active: true,
    client_id: mine.client_id,
    username: "alice",
    scope: "mcp",
  });
  for (const token of ["nonsense", foreign.access_token, foreign.refresh_token])
    expect(await introspect(token)).toEqual({ active: false });
  expect((await post(proxy.url, "/oauth/introspect", { token: tokens.access_token })).status).toBe(401);
  expect(
    (await post(proxy.url, "/oauth/introspect", { token: foreign.access_token, client_id: foreign.clientId })).status,
  ).toBe(401);

  const revoke = async (token: string, as: Record<string, string> = secret): Promise<number> =>
    (await post(proxy.url, "/oauth/revoke", { token, ...as })).status;
  expect(await revoke("nonsense")).toBe(200);
  expect(await revoke(foreign.refresh_token)).toBe(200);
  expect(await callStatus(`${proxy.url}/a/mcp`, foreign.access_token)).toBe(200);
  expect(await revoke(tokens.access_token)).toBe(200);
  expect(await callStatus(`${proxy.url}/a/mcp`, tokens.access_token)).toBe(401);
  const next = (await (await refresh(proxy.url, { ...tokens, clientId: mine.client_id }, secret)).json()) as Tokens;
  expect(await callStatus(`${proxy.url}/a/mcp`, next.access_token)).toBe(200);
  expect(await revoke(next.refresh_token)).toBe(200);
  expect(await callStatus(`${proxy.url}/a/mcp`, next.access_token)).toBe(401);
  expect(await introspect(next.access_token)).toEqual({ active: false });
});

test("36: open streams end with the grant, and the session with them", async () => {
  const tokens = await logIn(proxy.url);
  const headers = { Authorization: `Bearer ${tokens.access_token}` };
  const start = await fetch(`${proxy.url}/a/mcp`, {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json", Accept: "application/json, text/event-stream" },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 0,
      method: "initialize",
      params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
    }),
  });
  const session = start.headers.get("mcp-session-id") ?? "";
  const stream = await fetch(`${proxy.url}/a/mcp`, {
    headers: { ...headers, Accept: "text/event-stream", "Mcp-Session-Id": session },
  });
  expect(stream.status).toBe(200);
  const ended = stream.text();
  expect(
    (await post(proxy.url, "/oauth/revoke", { token: tokens.refresh_token, client_id: tokens.clientId })).status,
  ).toBe(200);
  await ended;
  const other = await logIn(proxy.url);
  const foreign = await fetch(`${proxy.url}/a/mcp`, {
    headers: { Authorization: `Bearer ${other.access_token}`, Accept: "text/event-stream", "Mcp-Session-Id": session },
  });
  expect(foreign.status).toBe(404);
});

test("4 and 36: streams of HTTP+SSE have the same audience, and end with the grant, initialized or not", async () => {
  const tokens = await logIn(proxy.url, { resource: `${proxy.url}/a/sse` });
  const open = (path: string, token: string): Promise<Response> =>
    fetch(proxy.url + path, { headers: { Authorization: `Bearer ${token}`, Accept: "text/event-stream" } });
  expect((await open("/b/sse", tokens.access_token)).status).toBe(401);
  expect(await callStatus(`${proxy.url}/a/mcp`, tokens.access_token)).toBe(200);
  const bare = new EventReader(await open("/a/sse", tokens.access_token));
  const begun = new EventReader(await open("/a/sse", tokens.access_token));
  for (const reader of [bare, begun]) await reader.until("\n\n");
  const announced = /data: (\S+)/.exec(begun.text)?.[1] ?? "";
  const other = await logIn(proxy.url, { resource: `${proxy.url}/b/mcp` });
  const refused = await fetch(proxy.url + announced, {
    method: "POST",
    headers: { Authorization: `Bearer ${other.access_token}` },
  });
  expect(refused.status).toBe(401);
  expect(refused.headers.get("www-authenticate")).toContain("/.well-known/oauth-protected-resource/a/sse");
  expect(await callStatus(proxy.url + announced, tokens.access_token)).toBe(202);
  await begun.until("serverInfo");
  await post(proxy.url, "/oauth/revoke", { token: tokens.refresh_token, client_id: tokens.clientId });
  await Promise.all([bare.rest(), begun.rest()]);
});

test("7: another principal's session does not exist", async () => {
  const [one, two] = [await logIn(proxy.url), await logIn(proxy.url)];
  const call = (token: string, session?: string): Promise<Response> =>
    fetch(`${proxy.url}/a/mcp`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${token}`,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        ...(session === undefined ? {} : { "Mcp-Session-Id": session }),
      },
      body: JSON.stringify(
        session === undefined
          ? {
              jsonrpc: "2.0",
              id: 0,
              method: "initialize",
              params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
            }
          : { jsonrpc: "2.0", id: 1, method: "tools/list" },
      ),
    });
  const session = (await call(one.access_token)).headers.get("mcp-session-id") ?? "";
  expect((await call(one.access_token, session)).status).toBe(200);
  expect((await call(two.access_token, session)).status).toBe(404);
  const renewed = (await (await refresh(proxy.url, one)).json()) as Tokens;
  expect((await call(renewed.access_token, session)).status).toBe(200);
});

test("6: no token is in the log", async () => {
  const tokens = await logIn(proxy.url);
  await callStatus(`${proxy.url}/a/mcp`, tokens.access_token);
  await callStatus(`${proxy.url}/a/mcp`, `${tokens.access_token}x`);
  const log = JSON.stringify(proxy.log);
  for (const secret of [tokens.access_token, tokens.refresh_token, "correct horse"]) expect(log).not.toContain(secret);
});
