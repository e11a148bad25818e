import { expect, test } from "bun:test";
import { destination, openPage, startLogin, submit } from "./login.ts";
import { useMcpRemote } from "./mcp-remote.ts";

test("mcp-remote logs in with the URL alone, and a person in a browser, and calls a tool", async () => {
  await using proxy = await startLogin();
  await useMcpRemote(`${proxy.url}/a/mcp`, async (address) => {
    const page = await openPage(address);
    expect((await fetch(await destination(await submit(proxy.url, page)))).status).toBe(200);
  });
});
