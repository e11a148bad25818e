import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../../support/certificate.ts";
import type { Certificate } from "../../support/certificate.ts";
import { AUDIENCE } from "../../support/bare-provider.ts";
import { CLIENT_ID, CLIENT_SECRET, startBehind } from "../../support/behind-provider.ts";
import { startIdentityProvider } from "../../support/identity-provider.ts";
import type { IdentityProvider } from "../../support/identity-provider.ts";
import { program } from "../../support/programs.ts";
import type { RunningProxy } from "../../support/proxy.ts";
import { tools } from "../../http/client.ts";
import { callStatus, redeem, refresh } from "../login.ts";
import type { Tokens } from "../login.ts";
import { ask, logInThrough, Person, through } from "./person.ts";

const OPENSSL = program("openssl").path;

const PEOPLE = {
  "auth0|1": { email: "You@Example.com", email_verified: true },
  "auth0|2": { email: "team@example.org", email_verified: true },
  "auth0|3": { email: "stranger@elsewhere.com", email_verified: true },
  "auth0|4": { email: "you@example.com", email_verified: false },
  "auth0|5": {},
  "you@example.com": {},
};

describe.skipIf(OPENSSL === undefined)("login through an identity provider (needs openssl)", () => {
  const directory = mkdtempSync(join(tmpdir(), "provider-"));
  const users = join(directory, "users.json");
  let certificate: Certificate;
  let provider: IdentityProvider;
  let proxy: RunningProxy;

  const list = (entries: Record<string, object>): void => writeFileSync(users, JSON.stringify(entries));
  const everybody = { "you@example.com": {}, "*@example.org": { allowed_tools: ["a:*"] }, "auth0|5": {} };

  const start = (more: Record<string, unknown> = {}, issuer = provider.issuer): Promise<RunningProxy> => {
    const mcpProxy = { usersFile: users, identityProvider: { audience: AUDIENCE }, ...more };
    return startBehind({ issuer, certificate }, { a: tools(), b: tools() }, mcpProxy);
  };

  beforeAll(async () => {
    certificate = await makeCertificate(OPENSSL ?? "", directory);
    provider = await startIdentityProvider({ certificate, people: PEOPLE });
    list(everybody);
    proxy = await start();
    provider.redirectUris.push(`http://localhost:${proxy.port}/auth/callback`);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  const url = (): string => `http://localhost:${proxy.port}`;
  const person = (): Person => new Person(certificate.cert);

  test("our page first, then the provider with everything it needs, then the app; the token opens the endpoint", async () => {
    provider.asked.length = 0;
    const asked = await ask(url(), person(), { resource: `${url()}/a/mcp`, state: "the app's own" });
    expect(asked.page.html).toContain(`Next, you log in with <strong>${provider.domain}</strong>`);
    expect(asked.page.html).not.toContain('type="password"');
    expect(asked.page.html).toMatch(/<button[^>]*>Allow<\/button>/);
    // Nobody has spoken to the provider before the person has said yes.
    expect(provider.asked).toEqual([]);
    const back = await through(asked, "auth0|1");
    const [query] = provider.asked;
    expect(Object.fromEntries(query ?? [])).toMatchObject({
      response_type: "code",
      client_id: CLIENT_ID,
      redirect_uri: `${url()}/auth/callback`,
      audience: AUDIENCE,
      scope: "openid email profile",
      code_challenge_method: "S256",
      nonce: expect.stringMatching(/^[\w-]{43}$/) as string,
      state: expect.stringMatching(/^[\w-]{43}$/) as string,
    });
    expect(provider.exchanged.at(-1)?.get("audience")).toBe(AUDIENCE);
    expect(back.url.searchParams.get("state")).toBe("the app's own");
    expect(back.url.searchParams.getAll("iss")).toEqual([url()]);
    const code = back.url.searchParams.get("code") ?? "";
    const response = await redeem(url(), { code, verifier: asked.verifier, clientId: asked.clientId });
    const tokens = (await response.json()) as { access_token: string };
    expect(await callStatus(`${url()}/a/mcp`, tokens.access_token)).toBe(200);
    expect(await callStatus(`${url()}/b/mcp`, tokens.access_token)).toBe(401);
  });

  test("patterns let in whole domains; subjects count where there is no verified address", async () => {
    for (const account of ["auth0|2", "auth0|5"]) {
      const tokens = await logInThrough(url(), person(), account);
      expect([account, await callStatus(`${url()}/a/mcp`, tokens.access_token)]).toEqual([account, 200]);
    }
  });

  test.each([
    ["auth0|3", "stranger@elsewhere.com is not among the users"],
    ["auth0|4", "(without a verified e-mail address) is not among the users"],
    // A subject that only looks like the address of a user.
    ["you@example.com", "(without a verified e-mail address) is not among the users"],
  ])("%s gets nothing, and reads why", async (account, text) => {
    const somebody = person();
    const page = await through(await ask(url(), somebody), account);
    expect([page.status, page.url.pathname]).toEqual([403, "/auth/callback"]);
    expect(page.html).toContain(text);
    // The next try asks who it is again, for the provider remembers the last one.
    provider.asked.length = 0;
    await through(await ask(url(), somebody), "auth0|1");
    expect(provider.asked[0]?.get("prompt")).toBe("login");
  });

  test("who is taken out of the users file is out", async () => {
    const tokens = await logInThrough(url(), person(), "auth0|2");
    expect(await callStatus(`${url()}/a/mcp`, tokens.access_token)).toBe(200);
    list({ "you@example.com": {}, "auth0|5": {} });
    const over = await proxy.logged(
      (line) => line["user"] === "team@example.org" && JSON.stringify(line["msg"]).includes("a login has ended"),
    );
    expect(over).toBeDefined();
    expect(await callStatus(`${url()}/a/mcp`, tokens.access_token)).toBe(401);
    expect((await refresh(url(), tokens)).status).toBe(400);
    list(everybody);
  });

  test("so is who was found by an address that belongs to another user's entry now", async () => {
    list({ ...everybody, "you@example.com": undefined as never, boss: { email: "you@example.com" } });
    await proxy.logged((line) => line["entries"] === 3 && String(line["msg"]).includes("taken over"));
    const tokens = await logInThrough(url(), person(), "auth0|1");
    expect(await callStatus(`${url()}/a/mcp`, tokens.access_token)).toBe(200);
    list({ ...everybody, boss: { email: "new-boss@example.com" } });
    await proxy.logged((line) => line["user"] === "boss" && String(line["msg"]).includes("a login has ended"));
    expect(await callStatus(`${url()}/a/mcp`, tokens.access_token)).toBe(401);
    list(everybody);
  });

  test("a person who cancels at the provider goes back to the app with access_denied", async () => {
    const asked = await ask(url(), person());
    const there = await asked.person.submit(asked.page, { action: "allow" });
    const back = await asked.person.submit(there, { cancel: "1" });
    expect(back.url.searchParams.get("error")).toBe("access_denied");
    expect(back.url.href).not.toContain("alert");
  });

  test("cancel on our page never reaches the provider", async () => {
    provider.asked.length = 0;
    const asked = await ask(url(), person());
    const back = await asked.person.submit(asked.page, { action: "cancel" });
    expect(back.url.searchParams.get("error")).toBe("access_denied");
    expect(provider.asked).toEqual([]);
  });

  describe("the callback", () => {
    /** A callback as the provider would send it, not followed yet. */
    const pending = async (account = "auth0|1"): Promise<{ victim: Person; callback: URL }> => {
      const victim = person();
      const asked = await ask(url(), victim);
      await through(asked, account);
      // Ask again in the same browser: the provider knows the person now, so its answer comes at once.
      const again = await ask(url(), victim);
      await again.person.submit(again.page, { action: "provider" });
      const address = victim.way.filter((each) => each.includes("/auth/callback?")).at(-1) ?? "";
      return { victim, callback: new URL(address) };
    };
    const refused = async (who: Person, address: string | URL): Promise<void> => {
      const place = await who.open(address);
      expect([place.status, place.url.pathname]).toEqual([400, "/auth/callback"]);
      expect(place.html).toContain("This login cannot go on");
      expect(place.headers.get("content-security-policy")).toContain("default-src 'none'");
    };

    test("without a state, with two, with a made-up one", async () => {
      await refused(person(), `${url()}/auth/callback?code=x`);
      await refused(person(), `${url()}/auth/callback?code=x&state=a&state=b`);
      await refused(person(), `${url()}/auth/callback?code=x&state=${"a".repeat(43)}`);
      await refused(person(), `${url()}/auth/callback?state=<script>alert(1)</script>`);
    });

    test("a second time", async () => {
      const { victim, callback } = await pending();
      await refused(victim, callback);
    });

    test("in another browser, also in one that has a login of its own under way", async () => {
      const mine = await ask(url(), person());
      const there = await mine.person.submit(mine.page, { action: "provider" });
      expect(there.html).toContain("Log in at the provider");
      const state = provider.asked.at(-1)?.get("state") ?? "";
      await refused(person(), `${url()}/auth/callback?code=stolen&state=${state}`);
      const other = await ask(url(), person());
      await other.person.submit(other.page, { action: "provider" });
      await refused(other.person, `${url()}/auth/callback?code=stolen&state=${state}`);
      // The one it belongs to is not harmed by that.
      const back = await mine.person.submit(there, { login: "auth0|1" });
      expect(back.url.searchParams.get("code")).not.toBeNull();
    });

    test("from another issuer (RFC 9207), or without the issuer where it always comes", async () => {
      for (const iss of ["https://evil.example.com", undefined]) {
        const asked = await ask(url(), person());
        await asked.person.submit(asked.page, { action: "provider" });
        const state = provider.asked.at(-1)?.get("state") ?? "";
        const query = new URLSearchParams({ code: "x", state, ...(iss === undefined ? {} : { iss }) });
        const exchanged = provider.exchanged.length;
        const place = await asked.person.open(`${url()}/auth/callback?${query.toString()}`);
        expect([iss, place.status]).toEqual([iss, 502]);
        // The code was shown to nobody: it may be that of another provider.
        expect(provider.exchanged.length).toBe(exchanged);
        expect(place.html).toContain("cannot be trusted or used");
      }
    });
  });

  test("nothing the provider gave is readable in a file or in the log, or handed out", async () => {
    const somebody = person();
    const tokens = await logInThrough(url(), somebody, "auth0|1");
    const state = join(proxy.directory, "state");
    const files = readdirSync(state).map((name) => readFileSync(join(state, name)).toString("latin1"));
    const everything = [...files, JSON.stringify(proxy.log), JSON.stringify(tokens), somebody.way.at(-1)].join("\n");
    expect(provider.given.length).toBeGreaterThan(0);
    for (const token of [...provider.given, CLIENT_SECRET]) expect(everything.includes(token)).toBe(false);
  });

  test("with offline_access the provider is asked again; a login that is over there is over here", async () => {
    await using lasting = await start({ identityProvider: { scopes: ["openid", "email", "offline_access"] } });
    const at = `http://localhost:${lasting.port}`;
    provider.redirectUris.push(`${at}/auth/callback`);
    const [asked, before] = [provider.exchanged.length, provider.given.length];
    const first = await logInThrough(at, person(), "auth0|1");
    // An access token, an ID token, and the refresh token that is kept.
    expect(provider.given.length).toBe(before + 3);
    // Not at each refresh: it has just said so.
    const second = (await (await refresh(at, first)).json()) as Tokens;
    expect(provider.exchanged.length).toBe(asked + 1);
    expect(await callStatus(`${at}/a/mcp`, second.access_token)).toBe(200);
    const files = readdirSync(join(lasting.directory, "state")).map((name) =>
      readFileSync(join(lasting.directory, "state", name)).toString("latin1"),
    );
    for (const token of provider.given) expect(files.join("\n").includes(token)).toBe(false);
  });

  test("below a path prefix the provider's callback stays where it is, at the base URL", async () => {
    await using hidden = await start({ pathPrefix: "only-for-us" });
    const at = `http://localhost:${hidden.port}`;
    provider.redirectUris.push(`${at}/auth/callback`);
    const tokens = await logInThrough(`${at}/only-for-us`, person(), "auth0|1");
    expect(provider.asked.at(-1)?.get("redirect_uri")).toBe(`${at}/auth/callback`);
    expect(await callStatus(`${at}/only-for-us/a/mcp`, tokens.access_token)).toBe(200);
    // It tells strangers nothing of the prefix.
    const page = await fetch(`${at}/auth/callback?state=x`);
    expect([page.status, (await page.text()).includes("only-for-us")]).toEqual([400, false]);
  });

  test("an address that only UserInfo has counts, if it is verified there", async () => {
    await using plain = await startIdentityProvider({ certificate, people: PEOPLE, emailInIdToken: false });
    await using other = await start({ identityProvider: {} }, plain.issuer);
    const at = `http://localhost:${other.port}`;
    plain.redirectUris.push(`${at}/auth/callback`);
    const tokens = await logInThrough(at, person(), "auth0|1");
    expect(await callStatus(`${at}/a/mcp`, tokens.access_token)).toBe(200);
    expect((await through(await ask(at, person()), "auth0|4")).status).toBe(403);
  });

  test("local passwords and the provider side by side, a button each", async () => {
    await using both = await start({ users: { alice: { password: "correct horse" } } });
    const at = `http://localhost:${both.port}`;
    provider.redirectUris.push(`${at}/auth/callback`);
    const tokens = await logInThrough(at, person(), "auth0|1");
    expect(await callStatus(`${at}/b/mcp`, tokens.access_token)).toBe(200);
    const asked = await ask(at, person());
    expect(asked.page.html).toContain(`Continue with ${provider.domain}</button>`);
    const wrong = await asked.person.submit(asked.page, { action: "allow", username: "alice", password: "wrong" });
    expect(wrong.status).toBe(401);
    const back = await asked.person.submit(wrong, { action: "allow", username: "alice", password: "correct horse" });
    expect(back.url.searchParams.get("code")).not.toBeNull();
  });
});
