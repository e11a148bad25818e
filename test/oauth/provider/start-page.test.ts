import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tools } from "../../http/client.ts";
import { makeCertificate } from "../../support/certificate.ts";
import type { Certificate } from "../../support/certificate.ts";
import { startBehind } from "../../support/behind-provider.ts";
import { startIdentityProvider } from "../../support/identity-provider.ts";
import type { IdentityProvider } from "../../support/identity-provider.ts";
import { program } from "../../support/programs.ts";
import type { RunningProxy } from "../../support/proxy.ts";
import { Person } from "./person.ts";
import type { Place } from "./person.ts";

const OPENSSL = program("openssl").path;
const PEOPLE = {
  one: { email: "team@example.org", email_verified: true },
  two: { email: "stranger@elsewhere.com", email_verified: true },
};

describe.skipIf(OPENSSL === undefined)("the start page, logged in through an identity provider (needs openssl)", () => {
  const directory = mkdtempSync(join(tmpdir(), "provider-"));
  const users = join(directory, "users.json");
  let certificate: Certificate;
  let provider: IdentityProvider;
  let proxy: RunningProxy;
  let base: string;

  beforeAll(async () => {
    certificate = await makeCertificate(OPENSSL ?? "", directory);
    provider = await startIdentityProvider({ certificate, people: PEOPLE });
    writeFileSync(users, JSON.stringify({ "team@example.org": { allowed_tools: ["a:ec*"] } }));
    const { issuer } = provider;
    proxy = await startBehind({ issuer, certificate }, { a: tools(), b: tools() }, { usersFile: users });
    base = `http://localhost:${proxy.port}`;
    provider.redirectUris.push(`${base}/auth/callback`);
    await proxy.logged((line) => String(line["msg"]).includes("<a> Adding tool echo"));
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  const arrive = async (person: Person, account: string): Promise<Place> => {
    const form = await person.open(`${base}/login`);
    expect(form.html).toContain("Continue with");
    expect(form.html).not.toContain(`type="password"`);
    // Chromium would hold it against the redirect to the provider.
    expect(form.headers.get("content-security-policy")).not.toContain("form-action");
    const there = await person.submit(form, { action: "provider" });
    return there.html.includes("Log in at the provider") ? await person.submit(there, { login: account }) : there;
  };

  test("shows a user what the patterns allow, and nothing else", async () => {
    const page = await arrive(new Person(certificate.cert), "one");
    expect([page.url.href, page.status]).toEqual([`${base}/`, 200]);
    expect(page.html).toContain("team@example.org");
    expect(page.html).toContain("/a/mcp");
    expect(page.html).toContain("echo");
    expect(page.html).not.toContain("/b/mcp");
    expect(page.html).not.toContain("<bdi>hang</bdi>");
  });

  test("keeps out who is no user", async () => {
    const person = new Person(certificate.cert);
    const page = await arrive(person, "two");
    expect(page.status).toBe(403);
    expect((await person.open(`${base}/`)).html).not.toContain("Log out");
  });

  test("a callback of somebody else's login opens nothing", async () => {
    const one = new Person(certificate.cert);
    await arrive(one, "one");
    const callback = one.way.find((address) => address.includes("/auth/callback")) ?? "";
    const other = new Person(certificate.cert);
    expect((await other.open(callback)).status).toBe(400);
    expect((await other.open(`${base}/`)).html).not.toContain("Log out");
  });

  test("who cancels at the provider is back on the start page; every end of a login is counted", async () => {
    const counted = async (): Promise<Record<string, number>> => {
      const text = await (await fetch(`${proxy.url}/metrics`)).text();
      const found = [...text.matchAll(/^mcp_proxy_logins_total\{outcome="(\w+)"\} (\d+)$/gm)];
      return Object.fromEntries(found.map(([, outcome = "", value]) => [outcome, Number(value)]));
    };
    const before = await counted();
    const person = new Person(certificate.cert);
    const there = await person.submit(await person.open(`${base}/login`), { action: "provider" });
    const back = await person.submit(there, { cancel: "1" });
    expect([back.url.pathname, back.status]).toEqual(["/", 200]);
    expect(back.html).not.toContain("alert(1)");
    expect(back.html).not.toContain("Log out");
    await proxy.logged((line) => String(line["msg"]).includes("refused a login: access_denied"));
    await arrive(new Person(certificate.cert), "one");
    await arrive(new Person(certificate.cert), "two");
    const after = await counted();
    const more = Object.entries(after).filter(([outcome, value]) => value !== before[outcome]);
    expect(Object.fromEntries(more.map(([outcome, value]) => [outcome, value - (before[outcome] ?? 0)]))).toEqual({
      ok: 1,
      denied: 1,
      not_a_user: 1,
    });
  });
});
