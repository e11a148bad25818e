import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { chromium } from "playwright-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { tools } from "../http/client.ts";
import { callStatus, logIn } from "../oauth/login.ts";
import { program } from "../support/programs.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";

const CHROMIUM = program("chromium").path;
/** With this variable set, the pages are kept there as pictures, to be looked at. */
const PICTURES = process.env["MCP_PROXY_TEST_PICTURES"];

const LOOKS: Record<string, BrowserContextOptions> = {
  "desktop-light": { viewport: { width: 1280, height: 860 }, colorScheme: "light" },
  "phone-dark": { viewport: { width: 320, height: 640 }, colorScheme: "dark", isMobile: true, hasTouch: true },
  "no-script": { viewport: { width: 1280, height: 860 }, colorScheme: "light", javaScriptEnabled: false },
};
const MORE_LOOKS: Record<string, BrowserContextOptions> = {
  "desktop-dark": { viewport: { width: 1280, height: 860 }, colorScheme: "dark" },
  "phone-light": { viewport: { width: 320, height: 640 }, colorScheme: "light", isMobile: true, hasTouch: true },
};

const ELSEWHERE = { "X-Forwarded-For": "203.0.113.9" };

describe.skipIf(CHROMIUM === undefined)("the start page in a browser (needs chromium)", () => {
  let browser: Browser;
  let proxy: RunningProxy;
  let base: string;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM ?? "", args: ["--no-sandbox"] });
    const hostile = join(import.meta.dir, "../fixtures/hostile-tools.ts");
    const filter = { toolFilter: { mode: "block", list: ["hang", "shout"] } };
    proxy = await startProxy(
      {
        github: tools({ options: filter }),
        hostile: { command: process.execPath, args: [hostile] },
        broken: { command: "sh", args: ["-c", "exit 3"] },
        open: tools({ options: { oauth2: { enabled: false } } }),
      },
      {
        mcpProxy: {
          name: "Team tools",
          options: { oauth2: { enabled: true, users: { alice: "correct horse" }, persistenceDir: "state" } },
        },
      },
    );
    base = `http://localhost:${proxy.port}`;
    await proxy.logged((line) => String(line["msg"]).includes("<hostile> Adding tool odd"));
    await proxy.logged((line) => String(line["msg"]).includes("<github> Adding tool"));
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    await proxy[Symbol.asyncDispose]();
  });

  /** A page that remembers what it complained about. */
  async function open(context: BrowserContext): Promise<{ page: Page; complaints: string[] }> {
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      // Every browser notes the status of an address it was sent to; it is no error of the page.
      if (message.type() === "error" && !message.text().includes("status of 40")) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    return { page, complaints };
  }

  async function enter(page: Page): Promise<void> {
    await page.goto(`${base}/login`);
    await page.getByLabel("User name").fill("alice");
    await page.getByLabel("Password").fill("correct horse");
    await page.getByLabel("Password").press("Enter");
    await page.waitForURL(`${base}/`);
  }

  const picture = async (page: Page, name: string): Promise<void> => {
    if (PICTURES !== undefined) await page.screenshot({ path: `${PICTURES}/start-${name}.png`, fullPage: true });
  };

  const fits = (page: Page): Promise<boolean> =>
    page.evaluate("document.documentElement.scrollWidth <= window.innerWidth");

  for (const [look, options] of Object.entries(PICTURES === undefined ? LOOKS : { ...LOOKS, ...MORE_LOOKS })) {
    test(`${look}: a stranger, the login, what is inside, out again`, async () => {
      await using context = await browser.newContext({ ...options, extraHTTPHeaders: ELSEWHERE });
      const { page, complaints } = await open(context);
      await page.goto(`${base}/`);
      await picture(page, `${look}-1-stranger`);
      expect(await page.getByRole("heading").first().innerText()).toContain("MCP gateway");
      expect(await page.content()).not.toContain("github");
      await page.getByRole("link", { name: "Log in" }).click();
      expect(await page.locator("input:focus").getAttribute("name")).toBe("username");
      await picture(page, `${look}-2-login`);
      await page.getByLabel("User name").fill("alice");
      await page.getByLabel("Password").fill("wrong");
      await page.getByRole("button", { name: "Log in" }).click();
      expect(await page.getByRole("alert").innerText()).toBe("User name or password is wrong.");
      expect(await page.getByLabel("User name").inputValue()).toBe("alice");
      await picture(page, `${look}-3-wrong`);
      await page.getByLabel("Password").fill("correct horse");
      await page.getByRole("button", { name: "Log in" }).click();
      await page.waitForURL(`${base}/`);
      const { clientId } = await logIn(proxy.url);
      await page.reload();
      const github = page.getByRole("article").filter({ has: page.getByRole("heading", { name: "github" }) });
      await github.locator("summary").click();
      expect(await github.getByText("echo", { exact: true }).isVisible()).toBe(true);
      expect(await github.getByText("2 tools left out by toolFilter").isVisible()).toBe(true);
      await page.locator("#client-claude-code summary").click();
      expect(await page.getByText("claude mcp add --transport http").isVisible()).toBe(true);
      await picture(page, `${look}-4-inside`);
      expect(await fits(page)).toBe(true);
      // A button must leave room for what it copies, and a name is not broken in the middle.
      for (const code of await page.locator("#client-claude-code pre").all())
        expect((await code.boundingBox())?.width).toBeGreaterThan(180);
      const title = page.getByRole("heading", { name: "Everything" });
      expect((await title.boundingBox())?.height).toBeLessThan(40);
      expect((await page.getByRole("button", { name: "Copy" }).count()) > 0).toBe(look !== "no-script");
      const revoke = page.getByRole("listitem").filter({ has: page.locator(`input[value="${clientId}"]`) });
      await revoke.getByRole("button", { name: "Revoke" }).click();
      await page.waitForURL(`${base}/`);
      expect(await page.locator(`input[value="${clientId}"]`).count()).toBe(0);
      await page.getByRole("button", { name: "Log out" }).click();
      await page.waitForURL(`${base}/`);
      expect(await page.content()).not.toContain("github");
      await page.goto(`${base}/github/mcp`);
      await picture(page, `${look}-5-endpoint`);
      expect(await page.getByRole("heading", { name: "This is an MCP endpoint" }).count()).toBe(1);
      expect(await fits(page)).toBe(true);
      expect(complaints).toEqual([]);
    }, 60_000);
  }

  test("revoking in the browser ends the client's token", async () => {
    await using context = await browser.newContext();
    const { page } = await open(context);
    const tokens = await logIn(proxy.url);
    expect(await callStatus(`${proxy.url}/github/mcp`, tokens.access_token)).toBe(200);
    await enter(page);
    const row = page.getByRole("listitem").filter({ has: page.locator(`input[value="${tokens.clientId}"]`) });
    await row.getByRole("button", { name: "Revoke" }).click();
    await page.waitForURL(`${base}/`);
    expect(await callStatus(`${proxy.url}/github/mcp`, tokens.access_token)).toBe(401);
  });

  test("what a hostile server says stays text; nothing runs, loads or leaves the page", async () => {
    await using context = await browser.newContext();
    const { page, complaints } = await open(context);
    const origins = new Set<string>();
    page.on("request", (request) => void origins.add(new URL(request.url()).origin));
    await enter(page);
    const hostile = page.getByRole("article").filter({ has: page.getByRole("heading", { name: "hostile" }) });
    await hostile.locator("summary").click();
    await picture(page, "hostile");
    expect(await hostile.innerText()).toContain("<script>");
    expect(await hostile.innerText()).toContain("read<b>");
    expect(await hostile.innerText()).not.toMatch(/[\u202a-\u202e\u0007]/);
    expect(await page.title()).toBe("Team tools");
    expect(await hostile.locator("img, script, b").count()).toBe(0);
    expect(await hostile.getByText("read only").count()).toBe(1);
    expect(await hostile.getByText("may destroy").count()).toBe(1);
    expect([...origins].filter((origin) => origin !== "null")).toEqual([base]);
    expect(complaints).toEqual([]);
  });

  test("the copy button copies, and says so", async () => {
    await using context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
    const { page } = await open(context);
    await enter(page);
    const github = page.getByRole("article").filter({ has: page.getByRole("heading", { name: "github" }) });
    await github.getByRole("button", { name: "Copy" }).click();
    await github.getByText("Copied").waitFor();
    expect(await page.evaluate("navigator.clipboard.readText()")).toBe(`${base}/github/mcp`);
  });

  test("the instructions follow the server that was chosen, without a script", async () => {
    await using context = await browser.newContext({ javaScriptEnabled: false });
    const { page } = await open(context);
    await enter(page);
    const server = page.getByRole("article").filter({ has: page.getByRole("heading", { name: "open" }) });
    await server.getByRole("link", { name: "Add open to a client" }).click();
    const connect = page.getByRole("region", { name: "Add open to a client" });
    expect(await connect.getByRole("link", { name: "Add to Cursor" }).getAttribute("href")).toStartWith("cursor:");
    expect(await connect.innerText()).toContain("Nobody has to log in.");
    expect(await server.getByRole("region").count()).toBe(1);
    expect(await page.getByText(`${base}/open/mcp`, { exact: true }).filter({ visible: true }).count()).toBe(1);
  });

  test("a state that changes is seen without loading the page again", async () => {
    await using context = await browser.newContext();
    const { page } = await open(context);
    await enter(page);
    const state = page.locator(`[data-state="server broken"]`);
    expect(await state.innerText()).toContain("exit code 3");
    await page.evaluate(`document.querySelector('[data-state="server broken"]').textContent = "old"`);
    await state.getByText("exit code 3").waitFor({ timeout: 20_000 });
  });

  test("everything can be reached and read by keyboard and screen reader", async () => {
    await using context = await browser.newContext();
    const { page } = await open(context);
    await enter(page);
    expect(await page.getByRole("main").count()).toBe(1);
    expect(await page.getByRole("heading", { level: 1 }).count()).toBe(1);
    expect(await page.evaluate("document.documentElement.lang")).toBe("en");
    const nameless = `[...document.querySelectorAll("a, button, input:not([type=hidden])")].filter((each) =>
      !(each.textContent.trim() || each.getAttribute("aria-label") || (each.labels && each.labels.length)))
      .map((each) => each.outerHTML)`;
    expect(await page.evaluate(nameless)).toEqual([]);
    await page.keyboard.press("Tab");
    expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
  });

  for (const colorScheme of ["light", "dark"] as const) {
    test(`text has enough contrast in ${colorScheme}`, async () => {
      await using context = await browser.newContext({ colorScheme });
      const { page } = await open(context);
      await enter(page);
      for (const each of await page.locator("details.tools summary").all()) await each.click();
      // WCAG 2.2, 1.4.3: 4.5 to 1 for text of this size.
      const poor = await page.evaluate<string[]>(CONTRAST);
      expect(poor).toEqual([]);
    });
  }
});

/** Every text on the page whose contrast to what is behind it is too low. */
const CONTRAST = `(() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$|transparent/.test(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll("body *")].filter((each) =>
    [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== "") && each.offsetParent !== null,
  ).map((each) => {
    const [a, b] = [light(getComputedStyle(each).color), light(behind(each))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return ratio < 4.5 ? ratio.toFixed(2) + " " + each.className + " " + each.textContent.trim().slice(0, 30) : "";
  }).filter((each) => each !== "");
})()`;
