import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chromium } from "playwright-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { authorizeUrl, client, openPage, pkce, startLogin, submit } from "../oauth/login.ts";
import { program } from "../support/programs.ts";
import type { RunningProxy } from "../support/proxy.ts";

const CHROMIUM = program("chromium").path;
/** With this variable set, the pages are kept there as pictures, to be looked at. */
const PICTURES = process.env["MCP_PROXY_TEST_PICTURES"];

const LOOKS: Record<string, BrowserContextOptions> = {
  "desktop-light": { viewport: { width: 1280, height: 860 }, colorScheme: "light" },
  "desktop-dark": { viewport: { width: 1280, height: 860 }, colorScheme: "dark" },
  "phone-light": { viewport: { width: 320, height: 640 }, colorScheme: "light", isMobile: true, hasTouch: true },
  "phone-dark": { viewport: { width: 390, height: 844 }, colorScheme: "dark", isMobile: true, hasTouch: true },
  "no-script": { viewport: { width: 1280, height: 860 }, colorScheme: "light", javaScriptEnabled: false },
};

/** Where the app waits for the answer. */
class App implements Disposable {
  readonly answers: URL[] = [];
  readonly #server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const url = new URL(request.url);
      if (url.pathname !== "/callback") return new Response(null, { status: 204 });
      this.answers.push(url);
      return new Response("<!doctype html><title>app</title>thank you", { headers: { "Content-Type": "text/html" } });
    },
  });

  get callback(): string {
    return `http://127.0.0.1:${this.#server.port}/callback`;
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}

describe.skipIf(CHROMIUM === undefined)("the login in a browser (needs chromium)", () => {
  let browser: Browser;
  let proxy: RunningProxy;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM ?? "", args: ["--no-sandbox"] });
    proxy = await startLogin({ registrationsPerMinute: 0 });
  });
  afterAll(async () => {
    await browser.close();
    await proxy[Symbol.asyncDispose]();
  });

  const picture = async (page: Page, name: string): Promise<void> => {
    if (PICTURES !== undefined) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
  };

  const address = async (app: App, name: string, params: Record<string, string> = {}): Promise<string> => {
    const { client_id } = await client(proxy.url, { redirect_uris: [app.callback], client_name: name });
    return authorizeUrl(proxy.url, {
      client_id,
      code_challenge: pkce().challenge,
      redirect_uri: app.callback,
      ...params,
    });
  };

  for (const [look, options] of Object.entries(LOOKS)) {
    test(`${look}: a wrong password, the right one, back to the app`, async () => {
      using app = new App();
      await using context = await browser.newContext(options);
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on("console", (message) => {
        // Every browser notes the status of a refused login; it is no error of the page.
        if (message.type() === "error" && !message.text().includes("status of 401")) complaints.push(message.text());
      });
      page.on("pageerror", (error) => complaints.push(error.message));
      await page.goto(await address(app, "Claude Code", { resource: `${proxy.url}/a/mcp` }));
      await picture(page, `${look}-1-login`);
      expect(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")).toBe(true);
      expect(await page.getByRole("heading").innerText()).toContain("Claude Code");
      expect(await page.locator("input:focus").getAttribute("name")).toBe("username");
      expect(await page.locator("input[type=password]").count()).toBe(1);
      for (const name of ["username", "password"]) {
        const size = await page.evaluate(
          `parseFloat(getComputedStyle(document.querySelector("input[name=${name}]")).fontSize)`,
        );
        expect(size).toBeGreaterThanOrEqual(16);
      }
      const filled = { username: "username", password: "current-password" };
      for (const [name, by] of Object.entries(filled))
        expect(await page.locator(`input[name=${name}]`).getAttribute("autocomplete")).toBe(by);
      await page.getByLabel("User name").fill("alice");
      await page.getByLabel("Password").fill("wrong");
      await page.getByRole("button", { name: "Allow" }).click();
      await picture(page, `${look}-2-wrong`);
      expect(await page.getByRole("alert").innerText()).toBe("User name or password is wrong.");
      expect(await page.getByLabel("User name").inputValue()).toBe("alice");
      expect(await page.getByLabel("Password").inputValue()).toBe("");
      await page.getByLabel("Password").fill("correct horse");
      await page.getByLabel("Password").press("Enter");
      await page.waitForURL(`${app.callback}**`);
      const [answer] = app.answers;
      expect(answer?.searchParams.get("code")).toStartWith("mcpc.");
      expect(answer?.searchParams.get("state")).toBe("some state");
      expect(answer?.searchParams.getAll("iss")).toEqual([`http://localhost:${proxy.port}`]);
      expect(complaints).toEqual([]);
    });
  }

  test("Cancel goes back with an error, without asking for anything", async () => {
    using app = new App();
    await using context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(await address(app, "Inspector"));
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.waitForURL(`${app.callback}**`);
    expect(app.answers[0]?.searchParams.get("error")).toBe("access_denied");
  });

  test("a hostile name stays text, and nothing of it runs or leaves the page", async () => {
    using app = new App();
    await using context = await browser.newContext();
    const page = await context.newPage();
    const requests: string[] = [];
    page.on("request", (request) => requests.push(new URL(request.url()).origin));
    const name = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>"'><b>`;
    await page.goto(await address(app, name));
    await picture(page, "hostile-name");
    expect(await page.getByRole("heading").innerText()).toContain("<script>");
    expect(await page.title()).not.toBe("owned");
    expect(await page.locator("img, script, b").count()).toBe(0);
    expect(new Set(requests.filter((origin) => origin !== "null"))).toEqual(new Set([proxy.url]));
  });

  test("the page is not shown in a frame", async () => {
    using app = new App();
    await using context = await browser.newContext();
    const page = await context.newPage();
    const target = (await address(app, "Framed")).replaceAll("&", "&amp;");
    await page.setContent(`<iframe name="f" src="${target}"></iframe>`);
    await page.waitForLoadState("networkidle");
    const framed = page.frame({ name: "f" });
    expect(await framed?.locator("input[type=password]").count()).toBe(0);
  });

  test("an app whose login is in a window of its own hears from it when that comes back", async () => {
    using app = new App();
    await using context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(app.callback);
    const login = await address(app, "Window");
    const opened = context.waitForEvent("page");
    await page.evaluate(`void window.open(${JSON.stringify(login)}, "_blank")`);
    const popup = await opened;
    await popup.getByRole("button", { name: "Cancel" }).click();
    await popup.waitForURL((url) => url.pathname === "/callback");
    expect(await popup.evaluate("window.opener !== null")).toBeTrue();
  });

  test("success and error pages", async () => {
    using app = new App();
    for (const look of ["desktop-light", "phone-dark"] as const) {
      await using context = await browser.newContext(LOOKS[look]);
      const page = await context.newPage();
      await page.goto(`${proxy.url}/oauth/authorize?client_id=nobody`);
      expect(await page.getByRole("alert").innerText()).toContain("not registered");
      await picture(page, `${look}-3-error`);
      const { client_id } = await client(proxy.url);
      await page.goto(authorizeUrl(proxy.url, { client_id, redirect_uri: "https://evil.example/callback" }));
      await picture(page, `${look}-3-error-redirect`);
      expect(await page.getByText("https://evil.example/callback", { exact: true }).count()).toBe(1);
      const login = await openPage(await address(app, "Cursor"));
      const success = await (await submit(proxy.url, login)).text();
      await page.route("**/*", (route) =>
        route.request().url().includes("style.css")
          ? route.fallback()
          : route.fulfill({ body: success.replace(/<meta http-equiv="refresh"[^>]*>/, ""), contentType: "text/html" }),
      );
      await page.goto(`${proxy.url}/oauth/authorize?shown`);
      await picture(page, `${look}-4-success`);
      expect(await page.getByRole("link").getAttribute("href")).toStartWith(app.callback);
      await page.unrouteAll();
    }
  });
});
