import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { makeCertificate } from "../support/certificate.ts";
import type { Certificate } from "../support/certificate.ts";
import { startBehind } from "../support/behind-provider.ts";
import { startIdentityProvider } from "../support/identity-provider.ts";
import type { IdentityProvider } from "../support/identity-provider.ts";
import { program } from "../support/programs.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { tools } from "../http/client.ts";
import { authorizeUrl, client, pkce } from "../oauth/login.ts";

const CHROMIUM = program("chromium").path;
const OPENSSL = program("openssl").path;
/** With this variable set, the pages are kept there as pictures, to be looked at. */
const PICTURES = process.env["MCP_PROXY_TEST_PICTURES"];

const LOOKS: Record<string, BrowserContextOptions> = {
  "desktop-light": { viewport: { width: 1280, height: 860 }, colorScheme: "light" },
  "phone-dark": { viewport: { width: 320, height: 640 }, colorScheme: "dark", isMobile: true, hasTouch: true },
  "no-script": { viewport: { width: 1280, height: 860 }, colorScheme: "light", javaScriptEnabled: false },
};

const needed = CHROMIUM !== undefined && OPENSSL !== undefined;

describe.skipIf(!needed)("the login through a provider in a browser (needs chromium and openssl)", () => {
  const directory = mkdtempSync(join(tmpdir(), "provider-pages-"));
  let browser: Browser;
  let certificate: Certificate;
  let provider: IdentityProvider;
  let only: RunningProxy;
  let both: RunningProxy;
  let app: Bun.Server<undefined>;
  const answers: URL[] = [];

  const start = async (users: Record<string, object>): Promise<RunningProxy> => {
    const mcpProxy = { name: "Office tools", users };
    const proxy = await startBehind({ issuer: provider.issuer, certificate }, { github: tools() }, mcpProxy);
    provider.redirectUris.push(`http://localhost:${proxy.port}/auth/callback`);
    return proxy;
  };

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM ?? "", args: ["--no-sandbox"] });
    certificate = await makeCertificate(OPENSSL ?? "", directory);
    const people = {
      "auth0|1": { email: "you@example.com", email_verified: true },
      "auth0|2": { email: "stranger@example.com", email_verified: true },
    };
    provider = await startIdentityProvider({ certificate, people });
    [only, both] = await Promise.all([
      start({ "you@example.com": {} }),
      start({ "you@example.com": {}, alice: { password: "correct horse" } }),
    ]);
    app = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        const url = new URL(request.url);
        if (url.pathname === "/callback") answers.push(url);
        return new Response("<!doctype html><title>app</title>thank you", { headers: { "Content-Type": "text/html" } });
      },
    });
  });
  afterAll(async () => {
    await browser.close();
    await Promise.all([only[Symbol.asyncDispose](), both[Symbol.asyncDispose]()]);
    await provider[Symbol.asyncDispose]();
    await app.stop(true);
    rmSync(directory, { recursive: true });
  });

  const picture = async (page: Page, name: string): Promise<void> => {
    if (PICTURES !== undefined) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
  };
  const open = async (page: Page, proxy: RunningProxy): Promise<void> => {
    const at = `http://localhost:${proxy.port}`;
    const callback = `http://127.0.0.1:${app.port}/callback`;
    const { client_id } = await client(at, { redirect_uris: [callback], client_name: "Claude Code" });
    const resource = `${at}/github/mcp`;
    await page.goto(
      authorizeUrl(at, { client_id, code_challenge: pkce().challenge, redirect_uri: callback, resource }),
    );
  };
  const fitsIn = (page: Page): Promise<boolean> =>
    page.evaluate("document.documentElement.scrollWidth <= window.innerWidth");

  for (const [look, options] of Object.entries(LOOKS)) {
    test(`${look}: allow, log in there, back to the app`, async () => {
      await using context = await browser.newContext({ ...options, ignoreHTTPSErrors: true });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on("console", (message) => {
        // The provider's pages are not ours.
        if (message.type() === "error" && message.location().url.startsWith("http://localhost"))
          complaints.push(message.text());
      });
      await open(page, only);
      await picture(page, `provider-only-${look}`);
      if (options.javaScriptEnabled !== false) expect(await fitsIn(page)).toBe(true);
      expect(await page.locator("input[type=password]").count()).toBe(0);
      await page.getByRole("button", { name: "Allow" }).click();
      await page.getByLabel("Account").fill("auth0|1");
      const before = answers.length;
      await page.getByRole("button", { name: "Log in" }).click();
      await page.waitForURL((url) => url.pathname === "/callback");
      expect(answers.length).toBe(before + 1);
      expect(answers.at(-1)?.searchParams.get("code")).toStartWith("mcpc.");
      expect(complaints).toEqual([]);
    });

    test(`${look}: a password, or the provider`, async () => {
      await using context = await browser.newContext({ ...options, ignoreHTTPSErrors: true });
      const page = await context.newPage();
      await open(page, both);
      await picture(page, `provider-both-${look}`);
      if (options.javaScriptEnabled !== false) expect(await fitsIn(page)).toBe(true);
      // The fields of the other way need not be filled in.
      await page.getByRole("button", { name: "Continue with" }).click();
      await page.getByLabel("Account").fill("auth0|2");
      await page.getByRole("button", { name: "Log in" }).click();
      await page.getByRole("alert").waitFor();
      expect(await page.getByRole("alert").textContent()).toContain("stranger@example.com is not among the users");
      await picture(page, `provider-stranger-${look}`);
      // Enter in the password field means the password.
      await open(page, both);
      await page.getByLabel("User name").fill("alice");
      await page.getByLabel("Password").fill("correct horse");
      await page.getByLabel("Password").press("Enter");
      await page.waitForURL((url) => url.pathname === "/callback");
    });
  }

  test("the start page: there and back, a stranger, and who cancels", async () => {
    const at = `http://localhost:${both.port}`;
    const arrive = async (look: string): Promise<Page> => {
      const context = await browser.newContext({ ...LOOKS[look], ignoreHTTPSErrors: true });
      const page = await context.newPage();
      await page.goto(`${at}/login`);
      await picture(page, `start-login-${look}`);
      await page.getByRole("button", { name: "Continue with" }).click();
      return page;
    };
    const page = await arrive("desktop-light");
    await page.getByLabel("Account").fill("auth0|1");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("button", { name: "Log out" }).waitFor();
    expect([page.url(), await page.getByText("you@example.com").count()]).toEqual([`${at}/`, 1]);
    await picture(page, "start-provider-desktop-light");
    await page.context().close();
    const stranger = await arrive("phone-dark");
    await stranger.getByLabel("Account").fill("auth0|2");
    await stranger.getByRole("button", { name: "Log in" }).click();
    await stranger.getByRole("alert").waitFor();
    expect(await fitsIn(stranger)).toBe(true);
    await picture(stranger, "start-stranger-phone-dark");
    await stranger.context().close();
    const quitter = await arrive("no-script");
    await quitter.getByRole("button", { name: "Cancel" }).click();
    await quitter.waitForURL((url) => url.origin === at && url.pathname === "/");
    await picture(quitter, "start-cancelled-no-script");
    await quitter.context().close();
  });

  test("the provider is down: the page says so, and keeps the other way open", async () => {
    await using gone = await startIdentityProvider({ certificate, people: {} });
    const issuer = gone.issuer;
    await gone[Symbol.asyncDispose]();
    const mcpProxy = { name: "Office tools", users: { alice: { password: "correct horse" } } };
    await using proxy = await startBehind({ issuer }, { github: tools() }, mcpProxy);
    await using context = await browser.newContext(LOOKS["desktop-light"]);
    const page = await context.newPage();
    await open(page, proxy);
    await page.getByRole("button", { name: "Continue with" }).click();
    expect(await page.getByRole("alert").textContent()).toContain("does not answer at the moment");
    await picture(page, "provider-down");
    await page.getByLabel("User name").fill("alice");
    await page.getByLabel("Password").fill("correct horse");
    await page.getByRole("button", { name: "Allow" }).click();
    await page.waitForURL((url) => url.pathname === "/callback");
  });
});
