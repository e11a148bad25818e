import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import { HttpClient, tools } from "../http/client.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { authorizeUrl, callStatus, client, logIn, obtainCode, pkce, post, redeem, refresh, register } from "./login.ts";
import { startLogin } from "./login.ts";
import type { Registered, Tokens } from "./login.ts";

test("6: the client's token reaches no server, no log and no error", async () => {
  await using upstream = new RelayHttp(new RelayServer());
  const oauth2 = { enabled: true, users: { alice: "correct horse" }, persistenceDir: "state" };
  await using proxy = await startProxy(
    {
      named: { ...upstream.entry, forwardHeaders: ["Authorization", "X-Named"] },
      env: tools({ headerToEnv: { Authorization: "CALLER" } }),
    },
    { mcpProxy: { options: { oauth2 } }, args: ["--log-level", "debug"] },
  );
  const tokens = await logIn(proxy.url);
  const headers = { Authorization: `Bearer ${tokens.access_token}`, "X-Named": "it travels" };
  let heard = "";
  for (const name of ["named", "env"]) {
    const caller = new HttpClient(`${proxy.url}/${name}/mcp`, headers);
    await caller.initialize();
    heard += (await caller.request("tools/call", { name: "echo", arguments: { text: "x" } })).text;
    if (name === "env") heard += (await caller.request("tools/call", { name: "no such tool" })).text;
  }
  for (const spoiled of [`${tokens.access_token}x`, `${tokens.access_token}, Bearer y`])
    heard += await (await fetch(`${proxy.url}/env/mcp`, { headers: { Authorization: `Bearer ${spoiled}` } })).text();
  const seen = upstream.seen.map(({ headers: sent, body }) => JSON.stringify([...sent]) + body).join("\n");
  expect(seen).toContain("it travels");
  for (const secret of [tokens.access_token, tokens.access_token.slice(-30), tokens.refresh_token])
    for (const place of [seen, heard, JSON.stringify(proxy.log)]) expect(place).not.toContain(secret);
});

test("4: all forms of an endpoint's URL are one audience", async () => {
  await using proxy = await startLogin();
  const forms = ["/a/mcp", "/a", "/servers/a/mcp", "/servers/a"];
  const streams = ["/a/sse", "/servers/a/sse"];
  for (const named of [...forms, ...streams]) {
    const { access_token } = await logIn(proxy.url, { resource: proxy.url + named });
    for (const form of forms)
      expect([named, form, await callStatus(proxy.url + form, access_token)]).toEqual([named, form, 200]);
    for (const path of streams) {
      const headers = { Authorization: `Bearer ${access_token}`, Accept: "text/event-stream" };
      const response = await fetch(proxy.url + path, { headers });
      expect([named, path, response.status]).toEqual([named, path, 200]);
      await response.body?.cancel();
    }
    expect(await callStatus(`${proxy.url}/b/mcp`, access_token)).toBe(401);
  }
});

describe("12: what the metadata promises is what is accepted, and nothing else is", () => {
  let proxy: RunningProxy;
  let metadata: Record<string, string[]>;
  let app: Registered;
  beforeAll(async () => {
    proxy = await startLogin({ registrationsPerMinute: 0 });
    metadata = (await (await fetch(`${proxy.url}/.well-known/oauth-authorization-server`)).json()) as typeof metadata;
    app = await client(proxy.url);
  });
  afterAll(() => proxy[Symbol.asyncDispose]());

  const promised = (list: string): string[] => {
    const values = metadata[list] ?? [];
    expect([list, values.length > 0]).toEqual([list, true]);
    return values;
  };
  /** What the authorization endpoint says to a request with this parameter: undefined is the login page. */
  const authorizeError = async (name: string, value: string): Promise<string | undefined> => {
    const address = authorizeUrl(proxy.url, {
      client_id: app.client_id,
      code_challenge: pkce().challenge,
      [name]: value,
    });
    const response = await fetch(address, { redirect: "manual" });
    const location = response.headers.get("location");
    return location === null ? undefined : (new URL(location).searchParams.get("error") ?? "");
  };

  test("12: at the authorization endpoint", async () => {
    for (const [list, name, others] of [
      ["response_types_supported", "response_type", ["token", "id_token", "code token", "CODE"]],
      ["response_modes_supported", "response_mode", ["fragment", "form_post"]],
      ["code_challenge_methods_supported", "code_challenge_method", ["plain", "s256", "S512"]],
    ] as const) {
      for (const value of promised(list))
        expect([value, await authorizeError(name, value)]).toEqual([value, undefined]);
      for (const value of others) {
        expect(promised(list)).not.toContain(value);
        expect([value, await authorizeError(name, value)]).not.toEqual([value, undefined]);
      }
    }
  });

  test("12: at registration and wherever a client shows who it is", async () => {
    for (const method of promised("token_endpoint_auth_methods_supported")) {
      const { client_id, client_secret } = await client(proxy.url, { token_endpoint_auth_method: method });
      expect([method, client_secret === undefined]).toEqual([method, method === "none"]);
      const basic = `Basic ${btoa(`${client_id}:${client_secret}`)}`;
      const headers: Record<string, string> = method === "client_secret_basic" ? { Authorization: basic } : {};
      const body: Record<string, string> =
        method === "client_secret_basic"
          ? {}
          : { client_id, ...(client_secret === undefined ? {} : { client_secret }) };
      const status = async (path: string): Promise<number> =>
        (await post(proxy.url, path, { token: "none", ...body }, headers)).status;
      const can = (list: string): number => (promised(list).includes(method) ? 200 : 401);
      expect([method, await status("/oauth/revoke")]).toEqual([
        method,
        can("revocation_endpoint_auth_methods_supported"),
      ]);
      expect([method, await status("/oauth/introspect")]).toEqual([
        method,
        can("introspection_endpoint_auth_methods_supported"),
      ]);
    }
    for (const method of ["private_key_jwt", "client_secret_jwt", "tls_client_auth"])
      expect((await register(proxy.url, { token_endpoint_auth_method: method })).status).toBe(400);
  });

  test("12: at the token endpoint", async () => {
    const error = async (type: string): Promise<string> => {
      const answer = await post(proxy.url, "/oauth/token", { grant_type: type, client_id: app.client_id });
      return ((await answer.json()) as { error: string }).error;
    };
    for (const type of promised("grant_types_supported")) expect(await error(type)).toBe("invalid_request");
    for (const type of ["password", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"])
      expect(await error(type)).toBe("unsupported_grant_type");
    const scopes = promised("scopes_supported").join(" ");
    expect((await logIn(proxy.url, { scope: `${scopes} admin` })).scope).toBe(scopes);
  });
});

describe("37: lifetimes", () => {
  const lives = async (oauth2: Record<string, unknown>): Promise<number[]> => {
    await using proxy = await startLogin(oauth2);
    const app = await client(proxy.url, { token_endpoint_auth_method: "client_secret_post" });
    const secret = { client_secret: app.client_secret ?? "" };
    const before = Math.floor(Date.now() / 1_000);
    const answer = await redeem(proxy.url, await obtainCode(proxy.url, app.client_id), secret);
    const tokens = (await answer.json()) as Tokens;
    const until = async (token: string): Promise<number> => {
      const body = { token, client_id: app.client_id, ...secret };
      return ((await (await post(proxy.url, "/oauth/introspect", body)).json()) as { exp: number }).exp;
    };
    const rounded = (seconds: number): number => Math.floor((seconds - before) / 60) * 60;
    const ends = await Promise.all([until(tokens.access_token), until(tokens.refresh_token)]);
    return [tokens.expires_in, ...ends.map(rounded)];
  };

  test("37: an hour and 30 days, or what is configured", async () => {
    expect(await lives({})).toEqual([3_600, 3_600, 30 * 86_400]);
    expect(await lives({ tokenExpirationMinutes: 5, refreshTokenExpirationDays: 2 })).toEqual([300, 300, 2 * 86_400]);
  });

  test("37: they are lifetimes indeed: a token ends with its own, the grant with the refresh token's", async () => {
    await using short = await startLogin({ tokenExpirationMinutes: 1 / 60 });
    const tokens = await logIn(short.url);
    expect(tokens.expires_in).toBe(1);
    while ((await callStatus(`${short.url}/a/mcp`, tokens.access_token)) !== 401) await Bun.sleep(20);
    expect((await refresh(short.url, tokens)).status).toBe(200);

    await using shorter = await startLogin({ refreshTokenExpirationDays: 1 / 86_400 });
    const app = await client(shorter.url, { token_endpoint_auth_method: "client_secret_post" });
    const who = { client_id: app.client_id, client_secret: app.client_secret ?? "" };
    const answer = await redeem(shorter.url, await obtainCode(shorter.url, app.client_id), who);
    const { access_token, refresh_token } = (await answer.json()) as Tokens;
    const active = async (): Promise<unknown> =>
      (await post(shorter.url, "/oauth/introspect", { token: refresh_token, ...who })).json();
    while (!Bun.deepEquals(await active(), { active: false })) await Bun.sleep(20);
    expect((await refresh(shorter.url, { clientId: app.client_id, refresh_token }, who)).status).toBe(400);
    expect(await callStatus(`${shorter.url}/a/mcp`, access_token)).toBe(200);
  });
});
