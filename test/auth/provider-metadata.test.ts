import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ProviderDirectory } from "../../src/auth/provider-metadata.ts";
import { presetOf } from "../../src/auth/provider-presets.ts";
import type { Clock } from "../../src/telemetry/clock.ts";
import { BareProvider } from "../support/bare-provider.ts";
import { failure } from "../oauth/login.ts";

const DISCOVERY = "/.well-known/openid-configuration";

class HandClock implements Clock {
  time = 1_000_000;
  now(): number {
    return this.time;
  }
  after(): () => void {
    return () => undefined;
  }
  every(): () => void {
    return () => undefined;
  }
}

let provider: BareProvider;
beforeAll(async () => {
  provider = await BareProvider.start(undefined);
});
beforeEach(() => {
  provider.odd.clear();
  provider.asked.length = 0;
});
afterAll(() => provider[Symbol.asyncDispose]());

const directory = (
  clock: Clock = new HandClock(),
  more: { issuer?: string; jwksUri?: string } = {},
): ProviderDirectory =>
  new ProviderDirectory(
    {
      issuer: more.issuer ?? provider.issuer,
      clientId: "proxy",
      clientSecret: undefined,
      audience: undefined,
      scopes: ["openid"],
      jwksUri: more.jwksUri,
    },
    clock,
  );

test("the document is fetched once by many, and again after an hour; the old one serves while that fails", async () => {
  const clock = new HandClock();
  const one = directory(clock);
  const all = await Promise.all(Array.from({ length: 10 }, () => one.metadata()));
  expect(new Set(all).size).toBe(1);
  expect(provider.times(DISCOVERY)).toBe(1);
  clock.time += 61 * 60_000;
  provider.odd.set(DISCOVERY, () => new Response("down", { status: 503 }));
  expect((await one.metadata()).issuer).toBe(provider.issuer);
  expect((await one.metadata()).issuer).toBe(provider.issuer);
  expect(provider.times(DISCOVERY)).toBe(2);
});

test("after a failure nobody asks for five seconds; then it is found again", async () => {
  const clock = new HandClock();
  const one = directory(clock);
  provider.odd.set(DISCOVERY, () => new Response("down", { status: 503 }));
  expect(await failure(one.metadata())).toContain("status 503");
  provider.odd.clear();
  expect(await failure(one.metadata())).toContain("status 503");
  expect(provider.times(DISCOVERY)).toBe(1);
  clock.time += 5_000;
  expect((await one.metadata()).issuer).toBe(provider.issuer);
});

test("an issuer is found with a slash too many, and with a path", async () => {
  expect((await directory(undefined, { issuer: `${provider.issuer}/` }).metadata()).issuer).toBe(provider.issuer);
  const realm = `${provider.issuer}/realms/office`;
  provider.odd.set(`/realms/office${DISCOVERY}`, () => Response.json({ ...provider.metadata, issuer: realm }));
  for (const issuer of [realm, `${realm}/`])
    expect((await directory(undefined, { issuer }).metadata()).issuer).toBe(realm);
});

test("an issuer whose own name ends in a slash behind a path is found, however it is written", async () => {
  const own = `${provider.issuer}/application/o/office/`;
  provider.odd.set(`/application/o/office${DISCOVERY}`, () => Response.json({ ...provider.metadata, issuer: own }));
  for (const issuer of [own, own.slice(0, -1)])
    expect((await directory(undefined, { issuer }).metadata()).issuer).toBe(own);
});

describe("what a discovery document may not say", () => {
  const documents: Record<string, [document: (document: Record<string, unknown>) => Response, reason: string]> = {
    "another issuer": [(d) => Response.json({ ...d, issuer: "https://accounts.example.com" }), "issuer"],
    "a template for an issuer": [
      (d) => Response.json({ ...d, issuer: "https://login.example.com/{tenantid}/v2.0" }),
      "issuer",
    ],
    "a token endpoint without https": [
      (d) => Response.json({ ...d, token_endpoint: "http://192.0.2.1/token" }),
      "token_endpoint",
    ],
    "keys without https": [(d) => Response.json({ ...d, jwks_uri: "http://192.0.2.1/keys" }), "jwks_uri"],
    "UserInfo without https": [
      (d) => Response.json({ ...d, userinfo_endpoint: "http://192.0.2.1/me" }),
      "userinfo_endpoint",
    ],
    "no token endpoint": [(d) => Response.json({ ...d, token_endpoint: undefined }), "token_endpoint"],
    "a script for an address": [
      (d) => Response.json({ ...d, authorization_endpoint: "javascript:alert(1)" }),
      "authorization_endpoint",
    ],
    "a password in an address": [
      (d) => Response.json({ ...d, token_endpoint: "https://a:b@example.com/" }),
      "token_endpoint",
    ],
    "a page": [
      () => new Response("<script>alert(1)</script>", { headers: { "Content-Type": "text/html" } }),
      "discovery document",
    ],
    nothing: [() => new Response(null), "discovery document"],
    "more than anybody reads": [(d) => Response.json({ ...d, x: "x".repeat(400_000) }), "larger than 256 KB"],
    "a redirect": [() => Response.redirect("https://192.0.2.1/"), "status 302"],
  };
  for (const [name, [answer, reason]] of Object.entries(documents)) {
    test(name, async () => {
      provider.odd.set(DISCOVERY, () => answer(provider.metadata));
      const said = await failure(directory().metadata());
      expect(said).toContain(reason);
      expect(said).not.toContain("<script");
    });
  }
});

test("presets are found by the issuer, or by their name", () => {
  const label = (issuer: string, kind?: string): string | undefined => presetOf(new URL(issuer), kind).label;
  expect([
    label("https://tenant.eu.auth0.com/"),
    label("https://accounts.google.com"),
    label("https://sso.example.com/realms/office"),
    label("https://company.okta.com/oauth2/default"),
    label("https://login.microsoftonline.com/7e8f/v2.0"),
    label("https://login.example.com/"),
    label("https://login.example.com/", "auth0"),
    label("https://evilauth0.com/"),
    label("https://auth0.com.example.com/"),
  ]).toEqual(["Auth0", "Google", "Keycloak", "Okta", "Microsoft", undefined, "Auth0", undefined, undefined]);
});

test("a refresh token is asked for as each provider knows it", () => {
  const asked = (issuer: string): string => {
    const { offline, offlineScope } = presetOf(new URL(issuer));
    return `${new URLSearchParams(offline).toString()} ${offlineScope}`;
  };
  expect([
    asked("https://login.example.com/"),
    asked("https://tenant.eu.auth0.com/"),
    asked("https://accounts.google.com"),
    asked("https://login.microsoftonline.com/7e8f/v2.0"),
  ]).toEqual(["prompt=consent true", " true", "access_type=offline&prompt=select_account+consent false", " true"]);
});
