import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT } from "jose";
import type { CryptoKey } from "jose";
import { BareProvider } from "../support/bare-provider.ts";
import { startBehind } from "../support/behind-provider.ts";
import { makeCertificate } from "../support/certificate.ts";
import type { Certificate } from "../support/certificate.ts";
import { AUDIENCE } from "../support/bare-provider.ts";
import { program } from "../support/programs.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { tools } from "../http/client.ts";
import { callStatus } from "../oauth/login.ts";
import { RawClient } from "../relay/raw-client.ts";
import { bearer } from "./office.ts";

const OPENSSL = program("openssl").path;
const NOW = (): number => Math.floor(Date.now() / 1_000);

describe.skipIf(OPENSSL === undefined)("tokens the provider issued itself (needs openssl)", () => {
  const directory = mkdtempSync(join(tmpdir(), "provider-tokens-"));
  const users = join(directory, "users.json");
  let certificate: Certificate;
  let provider: BareProvider;
  let proxy: RunningProxy;

  const list = (entries: Record<string, object>): void => writeFileSync(users, JSON.stringify(entries));
  const start = (more: Record<string, unknown> = {}): Promise<RunningProxy> =>
    startBehind(
      { issuer: provider.issuer, certificate },
      { a: tools(), b: tools() },
      { usersFile: users, identityProvider: { audience: AUDIENCE, ...more } },
    );
  const status = (token: string, path = "/a/mcp"): Promise<number> => callStatus(proxy.url + path, token);
  const YOU = { sub: "auth0|1", email: "you@example.com", email_verified: true };

  beforeAll(async () => {
    certificate = await makeCertificate(OPENSSL ?? "", directory);
    provider = await BareProvider.start(certificate);
    list({ "you@example.com": {}, "service-1": { allowed_tools: ["a:*"] }, "*@example.org": {} });
    proxy = await start();
  });
  beforeEach(() => {
    provider.asked.length = 0;
    provider.odd.clear();
    provider.userInfo = {};
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  test("one that is good opens every endpoint, and is checked once", async () => {
    const token = await provider.sign(YOU);
    expect([await status(token), await status(token, "/b/mcp")]).toEqual([200, 200]);
    provider.asked.length = 0;
    expect(await status(token)).toBe(200);
    expect(provider.asked).toEqual([]);
  });

  test("kinds of tokens that providers make: RFC 9068, Keycloak, several audiences", async () => {
    const tokens = await Promise.all([
      provider.sign(YOU, { typ: "at+jwt" }),
      provider.sign({ ...YOU, typ: "Bearer" }),
      provider.sign({ ...YOU, aud: ["other", AUDIENCE] }),
      provider.sign({ ...YOU, iss: `${provider.issuer}/` }),
      provider.sign({ sub: "service-1" }),
    ]);
    for (const token of tokens) expect(await status(token)).toBe(200);
  });

  test("rights hold for them", async () => {
    const token = await provider.sign({ sub: "service-1", client_id: "cron" });
    const listed = async (path: string): Promise<string> => {
      const client = await RawClient.open(proxy.url + path, { headers: bearer(token) });
      return (await client.request("tools/list").answer()).text;
    };
    expect(await listed("/a/mcp")).toContain('"echo"');
    expect(await listed("/b/mcp")).not.toContain('"echo"');
  });

  describe("refused", () => {
    const cases: Record<string, () => Promise<string>> = {
      expired: () => provider.sign({ ...YOU, exp: NOW() - 60 }),
      "not valid yet": () => provider.sign({ ...YOU, nbf: NOW() + 300 }),
      "without an end": () => provider.sign({ ...YOU, exp: undefined as never }),
      "for another API": () => provider.sign({ ...YOU, aud: "https://other-api" }),
      "for nobody": () => provider.sign({ ...YOU, aud: undefined as never }),
      "of another issuer": () => provider.sign({ ...YOU, iss: "https://evil.example.com" }),
      "without a subject": () => provider.sign({ ...YOU, sub: undefined as never }),
      "an ID token": () => provider.sign({ ...YOU, at_hash: "x" }),
      "a Keycloak ID token": () => provider.sign({ ...YOU, typ: "ID" }),
      "a log-out token": () => provider.sign({ ...YOU, events: {} }, { typ: "logout+jwt" }),
      "of a stranger": () => provider.sign({ sub: "x", email: "stranger@elsewhere.com", email_verified: true }),
      "with an address nobody verified": () =>
        provider.sign({ sub: "x", email: "you@example.com", email_verified: false }),
      "with a subject that looks like an address": () => provider.sign({ sub: "someone@example.org" }),
      "with a critical extension": () => provider.sign(YOU, { crit: ["b64x"], b64x: true }).catch(() => "eyJ.a.b"),
      unsigned: () => Promise.resolve(raw({ alg: "none", typ: "JWT" }, "")),
      "signed with the public key as a secret": async () => {
        const [jwk] = provider.keys;
        const pem = await exportSPKI((await importJWK(jwk ?? {}, "RS256")) as CryptoKey);
        return raw({ alg: "HS256", kid: "key-1" }, (text) =>
          createHmac("sha256", pem).update(text).digest("base64url"),
        );
      },
      "signed with a key it brings itself (jwk)": () => own((jwk) => ({ jwk })),
      "signed with a key it names (jku)": async () => {
        provider.odd.set("/evil-keys", () => Response.json({ keys: [] }));
        return await own(() => ({ jku: `${provider.issuer}/evil-keys`, kid: "mine" }));
      },
      "signed with a chain it names (x5u)": () => own(() => ({ x5u: `${provider.issuer}/evil-chain`, kid: "mine" })),
      "with a changed claim": async () => {
        const [header, , signature] = (await provider.sign(YOU)).split(".");
        return `${header}.${encode(claims({ sub: "auth0|2" }))}.${signature}`;
      },
      "too long": () => provider.sign({ ...YOU, filler: "x".repeat(9_500) }),
    };
    const claims = (more: object): object => ({
      iss: provider.issuer,
      aud: AUDIENCE,
      exp: NOW() + 600,
      ...YOU,
      ...more,
    });
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const raw = (header: object, sign: string | ((text: string) => string)): string => {
      const text = `${encode(header)}.${encode(claims({}))}`;
      return `${text}.${typeof sign === "string" ? sign : sign(text)}`;
    };
    const own = async (header: (jwk: object) => object): Promise<string> => {
      const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
      const jwk = await exportJWK(publicKey);
      return await new SignJWT(claims({}) as Record<string, unknown>)
        .setProtectedHeader({ alg: "RS256", kid: "key-1", ...header(jwk) })
        .sign(privateKey);
    };
    for (const [name, make] of Object.entries(cases)) {
      test(name, async () => {
        expect(await status(await make())).toBe(401);
        expect(provider.asked.filter((path) => path.startsWith("/evil"))).toEqual([]);
      });
    }
  });

  test("unknown key ids make the keys be fetched once, not once each", async () => {
    const { privateKey } = await generateKeyPair("RS256");
    const forged = (kid: string): Promise<string> =>
      new SignJWT({ iss: provider.issuer, aud: AUDIENCE, exp: NOW() + 600, ...YOU })
        .setProtectedHeader({ alg: "RS256", kid })
        .sign(privateKey);
    for (let n = 0; n < 20; n++) expect(await status(await forged(`made-up-${n}`))).toBe(401);
    expect(provider.times("/keys")).toBeLessThanOrEqual(1);
  });

  test("UserInfo is asked once where the token has no address, and must speak of the same subject", async () => {
    provider.userInfo = { sub: "auth0|7", email: "team@example.org", email_verified: true };
    const token = await provider.sign({ sub: "auth0|7" });
    for (let n = 0; n < 3; n++) expect(await status(token)).toBe(200);
    expect(provider.times("/userinfo")).toBe(1);
    const other = await provider.sign({ sub: "auth0|8" });
    for (let n = 0; n < 3; n++) expect(await status(other)).toBe(401);
    expect(provider.times("/userinfo")).toBe(2);
  });

  test("who is taken out of the users file is out at once, with what is open", async () => {
    const token = await provider.sign({ sub: "x", email: "leaver@example.org", email_verified: true });
    const headers = { Authorization: `Bearer ${token}`, Accept: "text/event-stream" };
    const stream = await fetch(`${proxy.url}/a/sse`, { headers });
    expect(stream.status).toBe(200);
    const ended = stream.text();
    list({ "you@example.com": {}, "service-1": { allowed_tools: ["a:*"] } });
    await ended;
    expect(await status(token)).toBe(401);
    list({ "you@example.com": {}, "service-1": { allowed_tools: ["a:*"] }, "*@example.org": {} });
  });

  test("a token that is good for one proxy is nothing at one without an audience", async () => {
    await using other = await start({ audience: undefined });
    expect(await callStatus(`${other.url}/a/mcp`, await provider.sign(YOU))).toBe(401);
  });

  test("keys come from the configured place, and discovery is not needed for them", async () => {
    provider.odd.set("/.well-known/openid-configuration", () => new Response("down", { status: 503 }));
    await using other = await start({ jwksUri: `${provider.issuer}/keys` });
    expect(await callStatus(`${other.url}/a/mcp`, await provider.sign(YOU))).toBe(200);
  });
});
