import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { RunningProxy } from "../support/proxy.ts";
import { FORM, callStatus, logIn, startLogin } from "./login.ts";

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startLogin();
});
afterAll(() => proxy[Symbol.asyncDispose]());

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(proxy.url + path, { headers });
const json = async (path: string): Promise<Record<string, unknown>> =>
  (await (await get(path)).json()) as Record<string, unknown>;

describe("protected resource", () => {
  test("1: every endpoint has metadata whose resource is the URL that was typed", async () => {
    for (const path of ["/a/mcp", "/a", "/a/sse", "/servers/a/mcp", "/b/mcp", "/mcp"]) {
      const found = await json(`/.well-known/oauth-protected-resource${path}`);
      expect(found["resource"]).toBe(proxy.url + path);
      expect(found["authorization_servers"]).toEqual([`http://localhost:${proxy.port}`]);
      expect(found["scopes_supported"]).toEqual(["mcp"]);
    }
    expect((await json("/.well-known/oauth-protected-resource"))["resource"]).toBe(proxy.url);
    for (const path of ["/none/mcp", "/a/mcp2", "/a/mcp/x"])
      expect((await get(`/.well-known/oauth-protected-resource${path}`)).status).toBe(404);
  });

  test("2: without a token 401, for every method, before body and session are looked at", async () => {
    for (const method of ["POST", "GET", "DELETE"]) {
      const response = await fetch(`${proxy.url}/a/mcp`, {
        method,
        headers: { "Mcp-Session-Id": "nonsense", "Content-Type": "text/odd" },
        ...(method === "POST" ? { body: "{not json" } : {}),
      });
      expect(response.status).toBe(401);
      const challenge = response.headers.get("www-authenticate") ?? "";
      expect(challenge).toStartWith("Bearer ");
      expect(challenge).toContain(`resource_metadata="${proxy.url}/.well-known/oauth-protected-resource/a/mcp"`);
      expect(challenge).toContain('scope="mcp"');
      expect(challenge).not.toContain("error");
      expect(response.headers.get("cache-control")).toBe("no-store");
    }
  });

  test("3: a bad token is invalid_token; one in the query string is none", async () => {
    for (const token of ["x", "mcpa.x.y", `mcpa.${"0".repeat(32)}.zzz`]) {
      const response = await fetch(`${proxy.url}/a/mcp`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}` },
      });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toContain('error="invalid_token"');
    }
    const { access_token } = await logIn(proxy.url);
    expect(await callStatus(`${proxy.url}/a/mcp?access_token=${access_token}`, undefined)).toBe(401);
    expect(await callStatus(`${proxy.url}/a/mcp`, `${access_token}x`)).toBe(401);
  });

  test("4: a token for one endpoint is refused at another; one for the whole proxy reaches all", async () => {
    const forA = await logIn(proxy.url, { resource: `${proxy.url}/a/mcp` });
    for (const path of ["/a/mcp", "/a", "/servers/a/mcp", "/servers/a"])
      expect([path, await callStatus(proxy.url + path, forA.access_token)]).toEqual([path, 200]);
    expect(await callStatus(`${proxy.url}/b/mcp`, forA.access_token)).toBe(401);
    const whole = await logIn(proxy.url);
    for (const path of ["/a/mcp", "/b/mcp"]) expect(await callStatus(proxy.url + path, whole.access_token)).toBe(200);
    const root = await logIn(proxy.url, { resource: proxy.url });
    expect(await callStatus(`${proxy.url}/a/mcp`, root.access_token)).toBe(401);
  });

  test("5: a token without the scope mcp is 403 and told which scope it lacks", async () => {
    const tokens = await logIn(proxy.url, { scope: "offline_access" });
    const response = await fetch(`${proxy.url}/a/mcp`, {
      method: "POST",
      headers: { Authorization: `Bearer ${tokens.access_token}` },
    });
    expect(response.status).toBe(403);
    expect(response.headers.get("www-authenticate")).toContain('error="insufficient_scope"');
    expect(response.headers.get("www-authenticate")).toContain('scope="mcp"');
    for (const scope of [undefined, "unknown other"]) expect((await logIn(proxy.url, { scope })).scope).toBe("mcp");
    expect((await logIn(proxy.url, { scope: "mcp offline_access admin" })).scope).toBe("mcp offline_access");
  });

  test("8: an endpoint without a login has no metadata and no challenge", async () => {
    expect((await get("/.well-known/oauth-protected-resource/free/mcp")).status).toBe(404);
    expect((await get("/.well-known/oauth-authorization-server/free/mcp")).status).toBe(404);
    expect(await callStatus(`${proxy.url}/free/mcp`, undefined)).toBe(200);
  });
});

describe("authorization server", () => {
  test("9: its metadata", async () => {
    const issuer = `http://localhost:${proxy.port}`;
    expect(await json("/.well-known/oauth-authorization-server")).toMatchObject({
      issuer,
      authorization_endpoint: `${issuer}/oauth/authorize`,
      token_endpoint: `${issuer}/oauth/token`,
      registration_endpoint: `${issuer}/oauth/register`,
      revocation_endpoint: `${issuer}/oauth/revoke`,
      introspection_endpoint: `${issuer}/oauth/introspect`,
      response_types_supported: ["code"],
      code_challenge_methods_supported: ["S256"],
      grant_types_supported: ["authorization_code", "refresh_token"],
      token_endpoint_auth_methods_supported: ["none", "client_secret_post", "client_secret_basic"],
      scopes_supported: ["mcp", "offline_access"],
      authorization_response_iss_parameter_supported: true,
      client_id_metadata_document_supported: true,
    });
  });

  test("10: found at the path of an endpoint too, and never as half an OpenID document", async () => {
    const root = await json("/.well-known/oauth-authorization-server");
    expect(await json("/.well-known/oauth-authorization-server/a/mcp")).toEqual(root);
    expect(await json("/a/mcp/.well-known/oauth-authorization-server")).toEqual(root);
    for (const path of [
      "/.well-known/openid-configuration",
      "/.well-known/openid-configuration/a/mcp",
      "/a/mcp/.well-known/openid-configuration",
    ]) {
      expect((await get(path)).status).toBe(404);
    }
  });

  test("10: below the path of a base URL", async () => {
    await using below = await startLogin({}, { mcpProxy: { baseURL: "https://mcp.example.com/gate/way/" } });
    const read = async (path: string): Promise<[number, Record<string, unknown>]> => {
      const response = await fetch(below.url + path, { headers: { Host: "mcp.example.com" } });
      return [response.status, (await response.json()) as Record<string, unknown>];
    };
    for (const path of [
      "/.well-known/oauth-authorization-server/gate/way",
      "/gate/way/.well-known/oauth-authorization-server",
      "/.well-known/oauth-authorization-server",
    ]) {
      const [status, found] = await read(path);
      expect([path, status]).toEqual([path, 200]);
      expect(found["issuer"]).toBe("https://mcp.example.com/gate/way");
      expect(found["token_endpoint"]).toBe("https://mcp.example.com/gate/way/oauth/token");
    }
    const [, resource] = await read("/.well-known/oauth-protected-resource/gate/way/a/mcp");
    expect(resource["resource"]).toBe("https://mcp.example.com/gate/way/a/mcp");
    const response = await fetch(`${below.url}/gate/way/a/mcp`, {
      method: "POST",
      headers: { Host: "evil.example", "X-Forwarded-Host": "evil.example" },
    });
    expect(response.headers.get("www-authenticate")).toContain(
      '"https://mcp.example.com/.well-known/oauth-protected-resource/gate/way/a/mcp"',
    );
  });

  test("10: a secret path prefix is told to nobody who does not know it", async () => {
    await using hidden = await startLogin({}, { mcpProxy: { pathPrefix: "secret-prefix" } });
    const at = (path: string): Promise<Response> => fetch(hidden.url + path);
    expect((await at("/.well-known/oauth-authorization-server")).status).toBe(404);
    expect((await at("/.well-known/oauth-protected-resource")).status).toBe(404);
    expect((await at("/.well-known/oauth-protected-resource/a/mcp")).status).toBe(404);
    const found = (await (await at("/.well-known/oauth-authorization-server/secret-prefix")).json()) as Record<
      string,
      unknown
    >;
    expect(found["issuer"]).toBe(`http://localhost:${hidden.port}/secret-prefix`);
    expect((await at("/.well-known/oauth-protected-resource/secret-prefix/a/mcp")).status).toBe(200);
  });

  test("11: the bare paths answer as well", async () => {
    for (const path of ["/register", "/token", "/revoke"]) {
      const response = await fetch(proxy.url + path, { method: "POST", headers: FORM, body: "x=y" });
      expect([path, response.status >= 400 && response.status < 500 && response.status !== 404]).toEqual([path, true]);
    }
    expect((await get("/authorize")).status).toBe(400);
  });

  test("13: scripts of any site may ask for metadata and tokens, and not for pages", async () => {
    const origin = { Origin: "https://some.site" };
    for (const path of ["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/a/mcp"]) {
      const response = await get(path, origin);
      expect(response.headers.get("access-control-allow-origin")).toBe("*");
      expect(response.headers.get("access-control-allow-credentials")).toBeNull();
    }
    for (const path of [
      "/oauth/token",
      "/oauth/register",
      "/oauth/revoke",
      "/.well-known/oauth-authorization-server",
    ]) {
      const preflight = await fetch(proxy.url + path, {
        method: "OPTIONS",
        headers: { ...origin, "Access-Control-Request-Method": "POST" },
      });
      expect([path, preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([path, 204, "*"]);
      if (!path.startsWith("/.")) {
        const answer = await fetch(proxy.url + path, { method: "POST", headers: origin });
        expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      }
    }
    for (const path of ["/oauth/authorize", "/authorize"]) {
      expect((await get(path, origin)).headers.get("access-control-allow-origin")).toBeNull();
    }
    const page = await fetch(`${proxy.url}/a/mcp`, { method: "POST", headers: { Origin: "http://localhost:6274" } });
    expect(page.status).toBe(401);
    expect(page.headers.get("access-control-expose-headers")).toContain("WWW-Authenticate");
  });
});
