import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { JWTPayload } from "jose";
import { BareProvider } from "../../support/bare-provider.ts";
import { CLIENT_SECRET, startBehind } from "../../support/behind-provider.ts";
import { makeCertificate } from "../../support/certificate.ts";
import type { Certificate } from "../../support/certificate.ts";
import { program } from "../../support/programs.ts";
import type { RunningProxy } from "../../support/proxy.ts";
import { tools } from "../../http/client.ts";
import { ask, Person } from "./person.ts";
import type { Place } from "./person.ts";

const OPENSSL = program("openssl").path;
const DISCOVERY = "/.well-known/openid-configuration";
const NOW = (): number => Math.floor(Date.now() / 1_000);

describe.skipIf(OPENSSL === undefined)("a provider that misbehaves (needs openssl)", () => {
  const directory = mkdtempSync(join(tmpdir(), "provider-trouble-"));
  let certificate: Certificate;
  let provider: BareProvider;
  let proxy: RunningProxy;

  const start = ({ trusted } = { trusted: true }): Promise<RunningProxy> =>
    startBehind(
      { issuer: provider.issuer, certificate: trusted ? certificate : undefined },
      { a: tools() },
      { users: { alice: { password: "correct horse" }, "you@example.com": {} } },
    );
  const at = (running: RunningProxy): string => `http://localhost:${running.port}`;
  /** Allows on our page, and has the provider answer. */
  const there = async (running: RunningProxy): Promise<{ person: Person; place: Place }> => {
    const asked = await ask(at(running), new Person(certificate.cert));
    return { person: asked.person, place: await asked.person.submit(asked.page, { action: "provider" }) };
  };
  const passwordStillWorks = async (running: RunningProxy): Promise<void> => {
    const asked = await ask(at(running), new Person(certificate.cert));
    const back = await asked.person.submit(asked.page, {
      action: "allow",
      username: "alice",
      password: "correct horse",
    });
    expect(back.url.searchParams.get("code")).not.toBeNull();
  };

  beforeAll(async () => {
    certificate = await makeCertificate(OPENSSL ?? "", directory);
    provider = await BareProvider.start(certificate);
    proxy = await start();
  });
  beforeEach(() => {
    provider.odd.clear();
    provider.asked.length = 0;
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  test("a discovery document of another issuer: the page says whose turn it is, the log says why", async () => {
    provider.odd.set(DISCOVERY, () => Response.json({ ...provider.metadata, issuer: "https://accounts.example.com" }));
    await using other = await start();
    const { place } = await there(other);
    expect([place.status, place.url.origin]).toEqual([502, at(other)]);
    expect(place.html).toContain("cannot be used: the owner of this server has to look into its log");
    await other.logged((line) => String(line["reason"]).includes("compare the issuer"));
    const metrics = await (await fetch(`${at(other)}/metrics`)).text();
    expect(metrics).toContain('mcp_proxy_logins_total{outcome="provider_failed"} 1\n');
    await passwordStillWorks(other);
  });

  test("down at the start: the proxy serves, passwords work, the page says so, and nobody is asked in vain", async () => {
    provider.odd.set(DISCOVERY, () => new Response("down", { status: 503 }));
    await using other = await start();
    const { place, person } = await there(other);
    expect([place.status, place.headers.get("retry-after")]).toEqual([503, "10"]);
    expect(place.html).toContain("does not answer at the moment");
    await passwordStillWorks(other);
    const home = new Person(certificate.cert);
    const page = await home.submit(await home.open(`${at(other)}/login`), { action: "provider" });
    expect([page.status, page.url.pathname]).toEqual([503, "/login"]);
    const said = other.log.filter((line) => line["msg"] === "the identity provider cannot be used");
    expect(said.map((line) => String(line["reason"]))).toEqual(Array(2).fill("it answered with status 503"));
    provider.odd.clear();
    // Nobody asks it again for a few seconds: a crowd at our page must not become a crowd at its.
    provider.asked.length = 0;
    await person.submit(place, { action: "provider" });
    expect(provider.asked).toEqual([]);
  });

  test("slow: the page comes after a few seconds, and nobody else waits", async () => {
    provider.odd.set(DISCOVERY, () => new Promise<Response>(() => undefined));
    await using other = await start();
    const waiting = there(other);
    await passwordStillWorks(other);
    expect((await waiting).place.status).toBe(503);
  });

  test("a certificate nobody trusts: the log names the remedy", async () => {
    await using other = await start({ trusted: false });
    const { place } = await there(other);
    expect(place.status).toBe(503);
    const line = await other.logged((each) => String(each["reason"]).includes("NODE_EXTRA_CA_CERTS"));
    expect(line).toBeDefined();
  });

  describe("at the callback", () => {
    /** @param make what the token endpoint answers, given the nonce that was asked with */
    const callback = async (make: (nonce: string) => Promise<Response> | Response): Promise<Place> => {
      const { person, place } = await there(proxy);
      expect(place.url.pathname).toBe("/authorize");
      const { searchParams } = place.url;
      const answer = await make(searchParams.get("nonce") ?? "");
      provider.odd.set("/token", () => answer);
      return await person.open(`${at(proxy)}/auth/callback?code=c0de&state=${searchParams.get("state")}`);
    };
    const tokens = (idToken: string): Response =>
      Response.json({ access_token: "opaque-access", token_type: "Bearer", expires_in: 60, id_token: idToken });
    const claims = (nonce: string, more: JWTPayload = {}): JWTPayload => ({
      aud: "proxy",
      sub: "1",
      nonce,
      email: "you@example.com",
      email_verified: true,
      ...more,
    });

    test("a good answer, to see that the bad ones below fail for what is bad about them", async () => {
      const back = await callback(async (nonce) => tokens(await provider.sign(claims(nonce))));
      expect(back.url.searchParams.get("code")).not.toBeNull();
    });

    const bad: Record<string, (nonce: string) => Promise<Response> | Response> = {
      "a nonce of another login": async () => tokens(await provider.sign(claims("another"))),
      "no nonce": async (nonce) => tokens(await provider.sign({ ...claims(nonce), nonce: undefined })),
      "a token for another client": async (nonce) => tokens(await provider.sign(claims(nonce, { aud: "other" }))),
      "a token of another issuer": async (nonce) =>
        tokens(await provider.sign(claims(nonce, { iss: "https://evil.example.com" }))),
      "an expired token": async (nonce) => tokens(await provider.sign(claims(nonce, { exp: NOW() - 600 }))),
      "a forged token": async (nonce) => {
        const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
        const forged = new SignJWT({ iss: provider.issuer, iat: NOW(), exp: NOW() + 60, ...claims(nonce) });
        const jwk = await exportJWK(publicKey);
        return tokens(await forged.setProtectedHeader({ alg: "RS256", kid: "key-1", jwk }).sign(privateKey));
      },
      "an unsigned token": (nonce) => {
        const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
        const body = { iss: provider.issuer, iat: NOW(), exp: NOW() + 60, ...claims(nonce) };
        return tokens(`${part({ alg: "none" })}.${part(body)}.`);
      },
      "no ID token": () => Response.json({ access_token: "x", token_type: "Bearer" }),
      "a page with a script": () =>
        new Response("<script>alert(1)</script>", { headers: { "Content-Type": "text/html" } }),
      "an error with a script in it": () =>
        Response.json({ error: "invalid_grant", error_description: "<script>alert(1)</script>" }, { status: 400 }),
      "an error that is one": () => Response.json({ error: "<script>alert(1)</script>" }, { status: 400 }),
      "a breakdown": () => new Response("oops", { status: 500 }),
    };
    for (const [name, make] of Object.entries(bad)) {
      test(name, async () => {
        const back = await callback(make);
        expect([back.status, back.url.pathname]).toEqual([502, "/auth/callback"]);
        expect(back.html).toContain("answered in a way that cannot be trusted or used");
        expect(back.html).not.toContain("<script");
        expect(back.headers.get("content-security-policy")).toContain("default-src 'none'");
        const log = JSON.stringify(proxy.log);
        for (const secret of ["c0de", "opaque-access", CLIENT_SECRET]) expect(log).not.toContain(secret);
      });
    }

    test("an error of the authorization endpoint with a script in it", async () => {
      const { person, place } = await there(proxy);
      const query = new URLSearchParams({
        state: place.url.searchParams.get("state") ?? "",
        error: "server_error",
        error_description: "<script>alert(1)</script>",
      });
      const back = await person.open(`${at(proxy)}/auth/callback?${query.toString()}`);
      expect(back.status).toBe(502);
      expect(back.html).not.toContain("<script");
    });

    test("a secret that is refused one way is shown the other way, once", async () => {
      const { person, place } = await there(proxy);
      const { searchParams } = place.url;
      const idToken = await provider.sign(claims(searchParams.get("nonce") ?? ""));
      const ways: string[] = [];
      provider.odd.set("/token", async (request) => {
        const body = new URLSearchParams(await request.text());
        ways.push(request.headers.has("authorization") ? "basic" : body.has("client_secret") ? "post" : "none");
        return ways.at(-1) === "post" ? tokens(idToken) : Response.json({ error: "invalid_client" }, { status: 401 });
      });
      const back = await person.open(`${at(proxy)}/auth/callback?code=c&state=${searchParams.get("state")}`);
      expect(back.url.searchParams.get("code")).not.toBeNull();
      expect(ways).toEqual(["basic", "post"]);
    });
  });
});
