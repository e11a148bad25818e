import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start, urlOf } from "../support/bridge.ts";
import type { Run } from "../support/bridge.ts";

/**
 * The examples that the Python bridge's manual prints, line by line. What stands for what: `uvx mcp-server-fetch` and
 * other programs are `TOOLS`, a small server that lists its environment; ports are free ones.
 */
const TOOLS = [process.execPath, join(import.meta.dir, "../fixtures/bridge-tools.ts")] as const;
const [BUN, SCRIPT] = TOOLS;

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } },
};
const JSON_HEADERS = { "content-type": "application/json", accept: "application/json, text/event-stream" };

const post = (url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { method: "POST", headers: { ...JSON_HEADERS, ...headers }, body: JSON.stringify(body) });

interface About {
  readonly env: Record<string, string>;
  readonly cwd: string;
  readonly args: readonly string[];
}

/** What the child behind an endpoint says of itself. */
async function about(url: string, headers: Record<string, string> = {}): Promise<About> {
  const hello = await post(url, INITIALIZE, headers);
  expect(hello.status).toBe(200);
  const session = { "mcp-session-id": hello.headers.get("mcp-session-id") ?? "", ...headers };
  const call = { jsonrpc: "2.0", id: 2, method: "tools/call", params: { name: "about" } };
  const answer = (await (await post(url, call, session)).json()) as { result: { content: [{ text: string }] } };
  return JSON.parse(answer.result.content[0].text) as About;
}

/** The place to post to that an SSE endpoint announces. */
async function announced(url: string): Promise<string> {
  const response = await fetch(url, { headers: { accept: "text/event-stream" } });
  expect(response.status).toBe(200);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return /data: (.*)/.exec(new TextDecoder().decode(value))?.[1] ?? "";
}

const ended = async (run: Run): Promise<number> => {
  const code = await run.process.exited;
  await run.finish();
  return code;
};

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "mcp-proxy-manual-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

function file(name: string, content: unknown): string {
  const path = join(home, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

describe("one command", () => {
  const examples: readonly (readonly string[])[] = [
    [BUN, SCRIPT],
    ["--port=0", BUN, SCRIPT],
    ["--sse-port=0", BUN, SCRIPT],
    ["--sse-host=127.0.0.1", "--sse-port", "0", "--", BUN, SCRIPT, "--user-agent=YourUserAgent"],
    ["--port=0", "--", BUN, SCRIPT, "--user-agent=YourUserAgent"],
    [BUN, SCRIPT, "--port", "0", "-e", "KEY", "VALUE", "-e", "ANOTHER_KEY", "ANOTHER_VALUE"],
    [BUN, SCRIPT, "--port", "0", "--allow-origin=*"],
    ["--pass-environment", "--port=0", "--sse-host", "0.0.0.0", BUN, SCRIPT],
  ];
  for (const args of examples) {
    test(`mcp-proxy ${args.map((arg) => (arg.startsWith("/") ? "…" : arg)).join(" ")}`, async () => {
      await using run = start(args, { env: { OF_THE_PROXY: "yes" } });
      const url = (await urlOf(run)).replace("0.0.0.0", "127.0.0.1");
      const child = await about(`${url}/mcp`);
      expect((await about(`${url}/mcp/`)).args).toEqual(child.args);
      expect(await announced(`${url}/sse`)).toMatch(/^\/messages\/\?session_id=./);
      expect(child.args).toEqual(args.includes("--user-agent=YourUserAgent") ? ["--user-agent=YourUserAgent"] : []);
      expect(child.env["OF_THE_PROXY"]).toBe(args.includes("--pass-environment") ? "yes" : (undefined as never));
      if (args.includes("-e")) expect(child.env).toMatchObject({ KEY: "VALUE", ANOTHER_KEY: "ANOTHER_VALUE" });
      const status = (await (await fetch(`${url}/status`)).json()) as Record<string, unknown>;
      expect(Object.keys(status["server_instances"] as object)).toEqual(["default"]);
      expect(String(status["api_last_activity"])).toMatch(/^\d{4}-\d\d-\d\dT/);
      run.process.kill("SIGTERM");
      expect(await run.process.exited).toBe(0);
    }, 20_000);
  }

  test("--cwd; what looks like a variable is the child's own", async () => {
    await using run = start(["--cwd", home, "-e", "ODD", "${HOME} $HOME", "--", BUN, SCRIPT, "${HOME}"]);
    const child = await about(`${await urlOf(run)}/mcp`);
    expect(child.cwd.endsWith(home)).toBe(true);
    expect(child.args).toEqual(["${HOME}"]);
    expect(child.env["ODD"]).toBe("${HOME} $HOME");
  });

  test("--stateless: each request stands alone; without it a session is needed", async () => {
    await using free = start(["--stateless", "--", BUN, SCRIPT]);
    await using bound = start(["--", BUN, SCRIPT]);
    const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    expect((await post(`${await urlOf(free)}/mcp`, list)).status).toBe(200);
    expect((await post(`${await urlOf(bound)}/mcp`, list)).status).toBe(400);
  });

  test("--allow-origin with several values, repeated, and --expose-header", async () => {
    const origins = ["--allow-origin", "https://a.example", "https://b.example", "--allow-origin", "https://c.example"];
    await using run = start([...origins, "--expose-header", "X-More", "--", BUN, SCRIPT]);
    const url = `${await urlOf(run)}/mcp`;
    for (const origin of ["https://a.example", "https://b.example", "https://c.example"]) {
      const { headers, status } = await post(url, INITIALIZE, { origin });
      expect(status).toBe(200);
      expect(headers.get("access-control-allow-origin")).toBe(origin);
      expect(headers.get("access-control-expose-headers")).toMatch(/Mcp-Session-Id.*X-More/);
    }
    const other = await post(url, INITIALIZE, { origin: "https://other.example" });
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("a bridge to it, as the manual tests itself", async () => {
    await using run = start([BUN, SCRIPT]);
    await using bridge = start([`${await urlOf(run)}/sse`]);
    bridge.write(JSON.stringify(INITIALIZE), '{"jsonrpc":"2.0","id":2,"method":"tools/list"}');
    expect(await bridge.finish()).toBe(0);
    expect(bridge.out()).toContain('"about"');
  });
});

describe("named servers", () => {
  test("two of them; quotes as in a shell; nothing at the root", async () => {
    const command = `'${BUN}' "${SCRIPT}" "two words" a\\ b '$HOME'`;
    await using run = start(["--named-server", "fetch", command, "--named-server", "fetch2", `${BUN} ${SCRIPT}`]);
    const url = await urlOf(run);
    expect((await about(`${url}/servers/fetch/mcp`)).args).toEqual(["two words", "a b", "$HOME"]);
    expect((await about(`${url}/servers/fetch2/mcp/`)).args).toEqual([]);
    expect(await announced(`${url}/servers/fetch/sse`)).toMatch(/^\/servers\/fetch\/messages\/\?session_id=./);
    for (const path of ["/mcp", "/servers/nobody/mcp"]) expect((await post(url + path, INITIALIZE)).status).toBe(404);
    for (const path of ["/sse", "/servers/nobody/sse"]) expect((await fetch(url + path)).status).toBe(404);
  });

  test("beside a default server, whose variables are its own; one of them may be called default", async () => {
    const named = ["--named-server", "default", `${BUN} ${SCRIPT} named`];
    await using run = start([...named, "-e", "MINE", "1", "--", BUN, SCRIPT, "root"]);
    const url = await urlOf(run);
    const root = await about(`${url}/mcp`);
    const other = await about(`${url}/servers/default/mcp`);
    expect([root.args, root.env["MINE"]]).toEqual([["root"], "1"]);
    expect(other.args).toEqual(["named"]);
    expect(other.env["MINE"]).toBeUndefined();
  });

  test("the file of the manual, with a token from a header", async () => {
    const servers = file("servers.json", {
      mcpServers: {
        fetch: { disabled: false, timeout: 60, command: BUN, args: [SCRIPT, "fetch"], transportType: "stdio" },
        github: {
          timeout: 60,
          command: BUN,
          args: [SCRIPT],
          env: { GITHUB_PERSONAL_ACCESS_TOKEN: "<YOUR_TOKEN>" },
          transportType: "stdio",
          headerToEnv: { GITHUB_PERSONAL_ACCESS_TOKEN: "GITHUB_PERSONAL_ACCESS_TOKEN" },
        },
        off: { enabled: false, command: BUN, args: [SCRIPT] },
        broken: { args: ["x"] },
        missing: { command: join(home, "no-such-program") },
      },
    });
    const ignored = ["--named-server", "ignored", `${BUN} ${SCRIPT}`];
    await using run = start(["--named-server-config", servers, ...ignored, "--", BUN, SCRIPT, "root"]);
    const url = await urlOf(run);
    expect((await about(`${url}/mcp`)).args).toEqual(["root"]);
    expect((await about(`${url}/servers/fetch/mcp`)).args).toEqual(["fetch"]);
    const [one, two] = await Promise.all(
      ["ghp_one", "ghp_two"].map((token) =>
        about(`${url}/servers/github/mcp`, { GITHUB_PERSONAL_ACCESS_TOKEN: token }),
      ),
    );
    expect(one?.env["GITHUB_PERSONAL_ACCESS_TOKEN"]).toBe("ghp_one");
    expect(two?.env["GITHUB_PERSONAL_ACCESS_TOKEN"]).toBe("ghp_two");
    for (const name of ["off", "broken", "ignored"]) {
      expect((await post(`${url}/servers/${name}/mcp`, INITIALIZE)).status).toBe(404);
    }
    expect((await post(`${url}/servers/missing/mcp`, INITIALIZE)).status).toBe(503);
    expect(run.err()).toContain("broken");
    expect(run.err()).toContain("--named-server is ignored");
  }, 20_000);

  const wrong: readonly (readonly [string, string | undefined, RegExp])[] = [
    ["missing.json", undefined, /missing\.json/],
    ["broken.json", '{\n  "mcpServers": {\n', /broken\.json:\d/],
    ["empty.json", "{}", /mcpServers/],
  ];
  for (const [name, content, expected] of wrong) {
    test(`${name}: exit code 1 and the reason`, async () => {
      const path = content === undefined ? join(home, name) : file(name, content);
      await using run = start(["--named-server-config", path]);
      expect(await ended(run)).toBe(1);
      expect(run.err()).toMatch(expected);
    });
  }
});

describe("wrong use", () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["--bogus", "http://127.0.0.1:9/sse"], /--bogus/],
    [["http://127.0.0.1:9/sse", "-H", "ONE"], /two arguments/],
    [["-e", "KEY=VALUE", "cmd"], /blank/],
    [["--transport", "carrier-pigeon", "http://127.0.0.1:9/sse"], /streamablehttp/],
    [["--log-level", "loud", "cmd"], /debug/],
    [["--port", "99999", "cmd"], /65535/],
    [["--named-server", "x", "'unclosed"], /not closed/],
    [["--client-id", "x", "http://127.0.0.1:9/sse"], /belong together/],
  ];
  for (const [args, expected] of wrong) {
    test(`mcp-proxy ${args.join(" ")}: exit code 2`, async () => {
      await using run = start(args);
      const code = await ended(run);
      expect(code).toBe(2);
      expect(run.err()).toMatch(expected);
      expect(run.out()).toBe("");
    });
  }

  test("a port in use: not 0, and the port", async () => {
    await using first = start([BUN, SCRIPT]);
    const { port } = new URL(await urlOf(first));
    await using second = start(["--port", port, BUN, SCRIPT]);
    expect(await ended(second)).toBe(1);
    expect(second.err()).toContain(port);
  });
});
