import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelaySse } from "../fixtures/relay-sse.ts";
import { HttpClient, connect } from "../http/client.ts";
import { authorizeUrl, destination, openPage, pkce, redeem, register, submit } from "../oauth/login.ts";
import { RawClient } from "../relay/raw-client.ts";
import { GO_EXAMPLE } from "./go-example.ts";
import { listenTo } from "./spoken.ts";
import type { Spoken } from "./spoken.ts";

/** What the Go program's manual promises, shown with the files its users have. */
const MAIN = join(import.meta.dir, "../../src/main.ts");
const TOOLS = join(import.meta.dir, "../fixtures/http-tools.ts");
const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-go-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Started extends Spoken, AsyncDisposable {
  readonly url: string;
}

let serial = 0;

/** Runs the program as its users do: with a file, by `-config`. Packages, addresses and paths of the file are replaced. */
async function start(file: string, replaced: Readonly<Record<string, string>> = {}): Promise<Started> {
  const table: Record<string, string> = {
    '"npx"': JSON.stringify(process.execPath),
    '"uvx"': JSON.stringify(process.execPath),
    '"-y"': '"run"',
    '"@modelcontextprotocol/server-github"': JSON.stringify(TOOLS),
    '"mcp-server-fetch"': JSON.stringify(TOOLS),
    '":9090"': '"127.0.0.1:0"',
    ...replaced,
  };
  let text = file;
  for (const [from, to] of Object.entries(table)) text = text.replaceAll(from, to);
  const path = join(directory, `config-${++serial}.json`);
  writeFileSync(path, text);
  const child = Bun.spawn([process.execPath, MAIN, "-config", path], {
    cwd: directory,
    env: { PATH: process.env["PATH"], HOME: directory },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const spoken = listenTo(child);
  const url = await spoken.logged("listening on ").then(
    (line) => /listening on (http:\/\/[^/"\s]+)/.exec(line)?.[1] ?? "",
    () => "",
  );
  return {
    url,
    ...spoken,
    [Symbol.asyncDispose]: () => spoken.stop().then(() => undefined),
  };
}

describe("the example of the manual", () => {
  const launch = (type: string, amap: RelaySse): Promise<Started> =>
    start(GO_EXAMPLE, {
      '"streamable-http",//': `"${type}",//`,
      '"https://mcp.amap.com/sse?key=<YOUR_TOKEN>"': JSON.stringify(`${amap.entry.url}?key=<YOUR_TOKEN>`),
      '"create_or_update_file"': '"talk"',
      "/custom/path/oauth": join(directory, "oauth"),
    });
  const attempt = (url: string, token?: string): Promise<RawClient | "refused"> =>
    RawClient.open(url, { headers: token === undefined ? {} : { authorization: token } }).catch(
      () => "refused" as const,
    );
  /** Whether a server shows the tool that the manual's filter names. */
  const shows = async (url: string, token: string): Promise<boolean> => {
    const client = await attempt(url, token);
    if (client === "refused") throw new Error(`${url} refuses ${token}`);
    const { text } = await client.request("tools/list").answer();
    await client.end();
    return text.includes('"name":"talk"');
  };
  const closed = async (url: string): Promise<number> =>
    (await fetch(url, { headers: { accept: "text/event-stream" } })).status;

  test("as it is: a login of one of its users opens its endpoints, what it prints as tokens does not", async () => {
    await using amap = new RelaySse(new RelayServer());
    await using proxy = await launch("streamable-http", amap);
    // Names for the filter of the manual are read off these lines.
    for (const server of ["github", "fetch", "amap"]) await proxy.logged(`<${server}> Adding tool echo`);
    const url = (name: string): string => `${proxy.url}/${name}/mcp`;
    for (const token of [undefined, "DefaultTokens", "Bearer DefaultTokens", "Bearer SpecificTokens"]) {
      for (const name of ["github", "fetch", "amap"]) expect(await attempt(url(name), token)).toBe("refused");
    }
    // Registration is for the addresses of the list, seen through Cloudflare on this machine.
    expect((await register(proxy.url)).status).toBe(403);
    const registered = await register(proxy.url, {}, { "CF-Connecting-IP": "34.162.102.82" });
    expect(registered.status).toBe(201);
    const { client_id: clientId } = (await registered.json()) as { client_id: string };
    const { verifier, challenge } = pkce();
    const query = { client_id: clientId, code_challenge: challenge };
    const page = await openPage(authorizeUrl(proxy.url, query));
    expect((await submit(proxy.url, page, { username: "admin", password: "mypassword" })).headers.get("location")).toBe(
      null,
    );
    const again = await openPage(authorizeUrl(proxy.url, query));
    const answer = await submit(proxy.url, again, { username: "admin", password: "password123" });
    const code = (await destination(answer)).searchParams.get("code") ?? "";
    const tokens = (await (await redeem(proxy.url, { code, verifier, clientId })).json()) as { access_token: string };
    for (const name of ["github", "fetch", "amap"]) {
      expect([name, await shows(url(name), `Bearer ${tokens.access_token}`)]).toEqual([name, name === "fetch"]);
    }
    // `logEnabled`: requests of one server are logged, of the other not.
    await proxy.logged("<github> tools/list");
    expect(proxy.log.some((line) => line.includes("<fetch> tools/list"))).toBe(false);
    expect(await closed(`${proxy.url}/github/sse`)).toBe(404);
    expect(existsSync(join(directory, "oauth/state.db"))).toBe(true);
    expect(await proxy.stop("SIGINT")).toBe(0);
  });

  test("as type sse, where its login does not apply: URLs, tokens, filter", async () => {
    await using amap = new RelaySse(new RelayServer());
    await using proxy = await launch("sse", amap);
    for (const server of ["github", "fetch", "amap"]) await proxy.logged(`<${server}> Adding tool echo`);
    for (const [name, right, wrong] of [
      ["github", "DefaultTokens", "SpecificTokens"],
      ["fetch", "SpecificTokens", "DefaultTokens"],
      ["amap", "DefaultTokens", "x"],
    ] as const) {
      const url = `${proxy.url}/${name}/sse`;
      for (const token of [undefined, wrong, `Bearer ${wrong}`, `Bearer  ${right}x`]) {
        expect(await attempt(url, token)).toBe("refused");
      }
      for (const token of [right, `Bearer ${right}`])
        expect([name, await shows(url, token)]).toEqual([name, name === "fetch"]);
    }
    expect(await closed(`${proxy.url}/github/mcp`)).toBe(404);
    expect(await proxy.stop("SIGTERM")).toBe(0);
  });
});

describe("the first format of its configuration", () => {
  const OLD = `{
    "server": { "baseURL": "http://localhost:9090", "addr": ":9090", "name": "MCP Proxy", "version": "1.0.0", "globalAuthTokens": ["global-token-0123456789"] },
    "clients": {
      "fetch": { "type": "stdio", "config": { "command": "uvx", "args": ["mcp-server-fetch"] }, "panicIfInvalid": true, "logEnabled": true, "authTokens": ["own-token-0123456789"] },
      "amap": { "type": "sse", "config": { "url": "https://mcp.amap.com/sse?key=K" } }
    }
  }`;

  test("works from end to end: both kinds of token, both kinds of endpoint", async () => {
    const remote = new RelayServer();
    await using amap = new RelaySse(remote);
    await using proxy = await start(OLD, {
      '"https://mcp.amap.com/sse?key=K"': JSON.stringify(`${amap.entry.url}?key=K`),
    });
    for (const [name, token] of [
      ["fetch", "own-token-0123456789"],
      ["fetch", "global-token-0123456789"],
      ["amap", "global-token-0123456789"],
    ] as const) {
      for (const path of ["sse", "mcp"]) {
        const client = await RawClient.open(`${proxy.url}/${name}/${path}`, {
          headers: { authorization: `Bearer ${token}` },
        });
        expect((await client.request("ping").answer()).message.result).toEqual({});
        await client.end();
      }
    }
    expect(
      (await fetch(`${proxy.url}/amap/sse`, { headers: { authorization: "Bearer own-token-0123456789" } })).status,
    ).toBe(401);
  });
});

describe("a name with a token in it", () => {
  test("is the URL, as it is, and the token is in no log", async () => {
    await using proxy = await start(
      '{"mcpProxy":{"addr":":9090"},"mcpServers":{"fetch/s3cr3t-t0ken":{"command":"uvx","args":["mcp-server-fetch"]}}}',
    );
    for (const base of ["", "/servers"]) {
      const client = await connect(`${proxy.url}${base}/fetch/s3cr3t-t0ken/mcp`);
      expect(await client.call("echo", { text: "x" })).toContain("x");
      const sse = await RawClient.open(`${proxy.url}${base}/fetch/s3cr3t-t0ken/sse`);
      expect((await sse.request("ping").answer()).message.result).toEqual({});
      await sse.end();
    }
    for (const path of ["/fetch/mcp", "/fetch/sse", "/fetch/other/mcp", "/fetch"]) {
      expect((await fetch(proxy.url + path, { headers: { accept: "text/event-stream" } })).status).toBe(404);
    }
    const health = await (await fetch(`${proxy.url}/health`)).text();
    const status = await (await fetch(`${proxy.url}/status`)).text();
    await proxy.logged("<fetch> Adding tool echo");
    expect([...proxy.log, health, status].filter((text) => text.includes("s3cr3t"))).toEqual([]);
  });
});

describe("requests without a session", () => {
  test("are answered, on /NAME/mcp and bare, while initialize still gives one", async () => {
    await using proxy = await start(
      '{"mcpProxy":{"addr":":9090"},"mcpServers":{"fetch":{"command":"uvx","args":["mcp-server-fetch"]}}}',
    );
    for (const path of ["/fetch/mcp", "/fetch", "/servers/fetch/mcp", "/servers/fetch"]) {
      const client = new HttpClient(proxy.url + path);
      expect(await client.call("echo", { text: path })).toContain(path);
      await client.initialize();
      expect(client.session).toBeString();
      client.session = undefined;
      expect((await client.fetch("GET")).status).toBe(400);
    }
  });
});

describe("panicIfInvalid", () => {
  const file = (panic: boolean): string =>
    `{"mcpProxy":{"addr":":9090"},"mcpServers":{"bad":{"command":"no-such-command-here","options":{"panicIfInvalid":${panic}}},"fetch":{"command":"uvx","args":["mcp-server-fetch"]}}}`;

  test("ends the program with exit code 1 and names the server", async () => {
    await using proxy = await start(file(true));
    expect(await proxy.exited).toBe(1);
    expect(proxy.log.some((line) => line.includes('"bad"') && line.includes("panicIfInvalid"))).toBe(true);
  });

  test("absent, the others are served", async () => {
    await using proxy = await start(file(false));
    const client = await connect(`${proxy.url}/fetch/mcp`);
    expect(await client.call("echo", { text: "y" })).toContain("y");
    expect((await new HttpClient(`${proxy.url}/bad/mcp`).request("tools/list")).status).toBe(503);
    expect(await proxy.stop("SIGTERM")).toBe(0);
  });
});

test("flags with one dash: -version and -help end with 0, an unknown one with 2", async () => {
  const run = async (...args: string[]): Promise<[number, string]> => {
    const child = Bun.spawn([process.execPath, MAIN, ...args], {
      cwd: directory,
      stdout: "pipe",
      stderr: "pipe",
      stdin: "ignore",
    });
    const out = await new Response(child.stdout).text();
    return [await child.exited, out];
  };
  expect(await run("-version")).toEqual([0, expect.stringMatching(/^mcp-proxy \d+\.\d+\.\d+/) as never]);
  const [code, help] = await run("-help");
  expect(code).toBe(0);
  for (const flag of ["config", "insecure", "version", "help"]) expect(help).toContain(flag);
  expect((await run("-no-such-flag"))[0]).toBe(2);
  expect((await run("-config", join(directory, "not-there.json")))[0]).toBe(1);
});
