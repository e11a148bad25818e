import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../../support/certificate.ts";
import type { Certificate } from "../../support/certificate.ts";
import { startBehind } from "../../support/behind-provider.ts";
import { startIdentityProvider } from "../../support/identity-provider.ts";
import type { IdentityProvider } from "../../support/identity-provider.ts";
import { program } from "../../support/programs.ts";
import type { RunningProxy } from "../../support/proxy.ts";
import { tools } from "../../http/client.ts";
import { ask, Person } from "./person.ts";
import type { Asked, Place } from "./person.ts";

const OPENSSL = program("openssl").path;

describe.skipIf(OPENSSL === undefined)("a login that waits for the provider (needs openssl)", () => {
  const directory = mkdtempSync(join(tmpdir(), "provider-waiting-"));
  let certificate: Certificate;
  let provider: IdentityProvider;
  let proxy: RunningProxy;
  let url: string;

  const start = (port?: number): Promise<RunningProxy> =>
    startBehind(
      { issuer: provider.issuer, certificate },
      { a: tools() },
      { users: { "you@example.com": {} } },
      { directory, ...(port === undefined ? {} : { port }) },
    );
  const restart = async (): Promise<void> => {
    const { port } = proxy;
    await proxy.stop();
    proxy = await start(port);
  };

  beforeAll(async () => {
    certificate = await makeCertificate(OPENSSL ?? "", directory);
    const people = { one: { email: "you@example.com", email_verified: true } };
    provider = await startIdentityProvider({ certificate, people });
    proxy = await start();
    url = `http://localhost:${proxy.port}`;
    provider.redirectUris.push(`${url}/auth/callback`);
  });
  afterAll(async () => {
    await proxy.stop();
    await provider[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  /** Allowed on our page; the person is at the provider. */
  const under = async (
    person: Person,
    params: Record<string, string> = {},
  ): Promise<{ asked: Asked; there: Place; cookies: string }> => {
    const asked = await ask(url, person, params);
    const there = await person.submit(asked.page, { action: "provider" });
    return { asked, there, cookies: person.cookies(new URL(url)) };
  };
  const finish = async (person: Person, there: Place): Promise<URL> => {
    const back = await person.submit(there, { login: "one" });
    expect([back.url.pathname, back.html]).toEqual(["/callback", ""]);
    return back.url;
  };
  const callbackOf = (person: Person): string =>
    person.way.findLast((address) => address.includes("/auth/callback?")) ?? "";
  /** A browser that gives up no cookie. */
  const replay = async (address: string, cookies: string): Promise<number> =>
    (await fetch(address, { headers: { Cookie: cookies }, redirect: "manual" })).status;

  test("38: opens once, also for a browser that keeps the cookie, and after a restart", async () => {
    const person = new Person(certificate.cert);
    const { there, cookies } = await under(person);
    await finish(person, there);
    const exchanged = provider.exchanged.length;
    expect(await replay(callbackOf(person), cookies)).toBe(400);
    await restart();
    expect(await replay(callbackOf(person), cookies)).toBe(400);
    // The provider, which takes a code once, was not even asked.
    expect(provider.exchanged.length).toBe(exchanged);
  });

  test("38: of several at the same moment one opens", async () => {
    const person = new Person(certificate.cert);
    const { cookies } = await under(person);
    const state = provider.asked.at(-1)?.get("state") ?? "";
    const address = `${url}/auth/callback?${new URLSearchParams({ state, code: "made-up", iss: provider.issuer }).toString()}`;
    const statuses = await Promise.all(Array.from({ length: 6 }, () => replay(address, cookies)));
    // The one that is first gets as far as the provider, which does not know the code.
    expect(statuses.toSorted((a, b) => a - b)).toEqual([400, 400, 400, 400, 400, 502]);
  });

  test("38: its cookie opens nothing in another browser", async () => {
    const mine = await under(new Person(certificate.cert));
    const address = `${url}/auth/callback?${new URLSearchParams({ state: provider.asked.at(-1)?.get("state") ?? "", code: "made-up", iss: provider.issuer }).toString()}`;
    const other = await under(new Person(certificate.cert));
    const named = (cookies: string, name: RegExp): string =>
      cookies.split("; ").find((cookie) => name.test(cookie)) ?? "";
    const mixed = `${named(mine.cookies, /^mcp-proxy-provider-/)}; ${named(other.cookies, /^mcp-proxy-login=/)}`;
    expect(await replay(address, mixed)).toBe(400);
    expect(await replay(address, mine.cookies)).toBe(502);
  });

  test("goes on after a restart", async () => {
    const person = new Person(certificate.cert);
    const { there } = await under(person, { state: "from before" });
    await restart();
    expect((await finish(person, there)).searchParams.get("state")).toBe("from before");
  });

  test("carries a state of any length that is accepted", async () => {
    for (const length of [10, 1_500, 3_000, 4_096]) {
      const person = new Person(certificate.cert);
      const state = "s".repeat(length);
      const { there, cookies } = await under(person, { state });
      expect(cookies.length).toBeLessThan(4_400);
      expect((await finish(person, there)).searchParams.get("state")).toBe(state);
    }
  });

  test("several in one browser wait side by side, in fewer cookies than servers refuse", async () => {
    const person = new Person(certificate.cert);
    provider.asked.length = 0;
    for (let n = 0; n < 6; n++) await under(person, { state: "s".repeat(1_000) });
    const cookies = person.cookies(new URL(url));
    expect(cookies.length).toBeLessThan(7_000);
    const statuses = await Promise.all(
      provider.asked.map((query) =>
        replay(
          `${url}/auth/callback?${new URLSearchParams({ state: query.get("state") ?? "", code: "made-up", iss: provider.issuer }).toString()}`,
          cookies,
        ),
      ),
    );
    // The latest get as far as the provider, which does not know the code; the oldest have made room.
    expect(statuses).toEqual([400, 400, 400, 502, 502, 502]);
  });
});
