import { expect, test } from "bun:test";
import { callStatus, logIn, refresh, startLogin } from "./login.ts";

test("a client registers, a user logs in, a tool answers", async () => {
  await using proxy = await startLogin();
  const tokens = await logIn(proxy.url);
  expect(await callStatus(`${proxy.url}/a/mcp`, undefined)).toBe(401);
  expect(await callStatus(`${proxy.url}/a/mcp`, tokens.access_token)).toBe(200);
  const again = await refresh(proxy.url, tokens);
  expect(again.status).toBe(200);
});
