import { expect, test } from "bun:test";
import { auth } from "@modelcontextprotocol/sdk/client/auth.js";
import { destination, openPage, startLogin, submit } from "./login.ts";
import { FormFiller, useFirstGeneration, useSecondGeneration } from "./sdk-clients.ts";
import type { Visit } from "./sdk-clients.ts";

/** Fills in the form with a password. */
const byPassword =
  (proxy: string): Visit =>
  async (page) =>
    await destination(await submit(proxy, await openPage(page.href)));

test("the TypeScript SDK of the first generation logs in with the URL alone, calls a tool, and refreshes", async () => {
  await using proxy = await startLogin();
  await useFirstGeneration(new URL(`${proxy.url}/a/mcp`), byPassword(proxy.url));
});

test("the TypeScript SDK of the second generation logs in with the URL alone", async () => {
  await using proxy = await startLogin();
  await useSecondGeneration(new URL(`${proxy.url}/a/mcp`), byPassword(proxy.url));
});

test("the bare URL of the proxy is enough to begin a login", async () => {
  await using proxy = await startLogin();
  const provider = new FormFiller(byPassword(proxy.url));
  expect(await auth(provider, { serverUrl: proxy.url })).toBe("REDIRECT");
  const code = provider.answer?.searchParams.get("code") ?? "";
  expect(await auth(provider, { serverUrl: proxy.url, authorizationCode: code })).toBe("AUTHORIZED");
});
