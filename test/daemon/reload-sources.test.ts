import { describe, expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { connect } from "../http/client.ts";
import { Launched, Place, faulty } from "./launch.ts";

const TAKEN = "the configuration was taken over";
const WATCHED = "the configuration is watched";

/** A configuration as text. */
function textOf(place: Place, servers: readonly string[], mcpProxy: Record<string, unknown> = {}): string {
  const common = { addr: "127.0.0.1:0", options: { oauth2: { persistenceDir: place.file("state") } } };
  const mcpServers = Object.fromEntries(servers.map((name) => [name, faulty()]));
  return JSON.stringify({ mcpProxy: { ...common, ...mcpProxy }, mcpServers });
}

async function works(proxy: Launched, server: string): Promise<string> {
  const client = await connect(`${proxy.url}/${server}/mcp`);
  return await client.call("pid");
}

const ways = [
  { how: "--watch", args: ["--watch"], mcpProxy: {}, env: {} },
  { how: "liveReload", args: [], mcpProxy: { liveReload: true }, env: {} },
  { how: "MCP_LIVE_RELOAD=yes", args: [], mcpProxy: {}, env: { MCP_LIVE_RELOAD: "yes" } },
] as const;

describe.concurrent("by itself a change of the file takes effect", () => {
  for (const { how, args, mcpProxy, env } of ways) {
    test(`with ${how}: replaced by renaming, written in place, gone for a moment`, async () => {
      using place = new Place();
      place.replace(textOf(place, ["a"], mcpProxy));
      // The environment names the file where no argument does.
      const environment = { ...env, ...("MCP_LIVE_RELOAD" in env ? { MCP_CONFIG_PATH: place.config } : {}) };
      const named = "MCP_LIVE_RELOAD" in env ? [] : ["--config", place.config];
      await using proxy = await Launched.up(place, {
        args: [...named, ...args],
        env: { MCP_HOST: "127.0.0.1", MCP_PORT: "0", ...environment },
      });
      await proxy.said(WATCHED);
      const pid = await works(proxy, "a");
      await proxy.after(TAKEN, () => place.replace(textOf(place, ["a", "b"], mcpProxy)));
      await works(proxy, "b");
      await proxy.after(TAKEN, () => writeFileSync(place.config, textOf(place, ["a", "c"], mcpProxy)));
      await works(proxy, "c");
      unlinkSync(place.config);
      // A look or two at the file that is not there.
      await Bun.sleep(1_500);
      expect(await works(proxy, "a")).toBe(pid);
      await proxy.after(TAKEN, () => place.replace(textOf(place, ["a", "d"], mcpProxy)));
      await works(proxy, "d");
      expect(await works(proxy, "a")).toBe(pid);
    });
  }

  test("when the links of a Kubernetes volume are swapped", async () => {
    using place = new Place();
    const version = (n: number, servers: readonly string[]): void => {
      mkdirSync(place.file(`..v${n}`));
      writeFileSync(place.file(`..v${n}/config.json`), textOf(place, servers));
      symlinkSync(`..v${n}`, place.file("..data_tmp"));
      renameSync(place.file("..data_tmp"), place.file("..data"));
      if (n > 1) rmSync(place.file(`..v${n - 1}`), { recursive: true });
    };
    version(1, ["a"]);
    symlinkSync("..data/config.json", place.config);
    await using proxy = await Launched.up(place, { args: ["--config", place.config, "--watch"] });
    await proxy.said(WATCHED);
    const pid = await works(proxy, "a");
    await proxy.after(TAKEN, () => version(2, ["a", "b"]));
    await works(proxy, "b");
    await proxy.after(TAKEN, () => version(3, ["a", "c"]));
    await works(proxy, "c");
    expect(await works(proxy, "a")).toBe(pid);
  });

  test("from a URL, and while the URL fails nothing changes", async () => {
    using place = new Place();
    let text: string | undefined = textOf(place, ["a"]);
    let asked = 0;
    using source = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => {
        asked++;
        return text === undefined ? new Response("no", { status: 500 }) : new Response(text);
      },
    });
    await using proxy = await Launched.up(place, { args: ["--config", `${source.url.href}c.json`, "--watch"] });
    await proxy.said(WATCHED);
    const pid = await works(proxy, "a");
    await proxy.after(TAKEN, () => (text = textOf(place, ["a", "b"])));
    await works(proxy, "b");
    text = undefined;
    const before = asked;
    while (asked === before) await Bun.sleep(100);
    expect(await works(proxy, "a")).toBe(pid);
    await works(proxy, "b");
    await proxy.after(TAKEN, () => (text = textOf(place, ["a"])));
  }, 60_000);

  test("a change that is made while the proxy starts is not lost", async () => {
    using place = new Place();
    place.replace(textOf(place, ["a"]));
    const starting = new Launched(place, { args: ["--config", place.config, "--watch"] });
    await using proxy = starting;
    await proxy.said("listening on ");
    place.replace(textOf(place, ["a", "b"]));
    await proxy.said(TAKEN);
    await works(proxy, "b");
  });

  test("a file that breaks is not taken over, is told of with its place, and works again when it is mended", async () => {
    using place = new Place();
    place.replace(textOf(place, ["a"]));
    await using proxy = await Launched.up(place, { args: ["--config", place.config, "--watch"] });
    await proxy.said(WATCHED);
    const pid = await works(proxy, "a");
    await proxy.after("was not taken over", () => place.replace('{\n "mcpServers": {\n  "a": {"command": []}}}'));
    expect(proxy.log.some(({ msg }) => String(msg).includes("config.json:3:"))).toBe(true);
    expect(await works(proxy, "a")).toBe(pid);
    await proxy.after(TAKEN, () => place.replace(textOf(place, ["a", "b"])));
    expect(await works(proxy, "a")).toBe(pid);
    await works(proxy, "b");
  });
});

test("without any of them a change waits for SIGHUP", async () => {
  using place = new Place();
  place.replace(textOf(place, ["a"]));
  await using proxy = await Launched.up(place);
  await works(proxy, "a");
  place.replace(textOf(place, ["a", "b"]));
  await Bun.sleep(2_500);
  expect((await fetch(`${proxy.url}/b/mcp`, { method: "POST" })).status).toBe(404);
  await proxy.reload();
  await works(proxy, "b");
});
