import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { makeCertificate } from "../support/certificate.ts";
import { program, testWith } from "../support/programs.ts";
import { context, directory, good, lines, load, server } from "./helpers.ts";
import { loadConfig } from "../../src/config/load.ts";
import { MAX_CONFIG_BYTES } from "../../src/config/read-source.ts";

const BARE = { mcpServers: { a: { command: "x" } } };
const GO = { mcpProxy: { addr: "127.0.0.1:1" }, mcpServers: { g: { command: "x" } } };
const KEYS = { MCP_API_KEYS: "sk-test-key:tester" };

describe("a file", () => {
  test("relative paths start in the working directory", async () => {
    using dir = directory({ "sub/my.jsonc": BARE });
    const loaded = await load({ kind: "location", location: "sub/my.jsonc" }, { cwd: dir.path });
    expect(good(loaded).source).toBe("sub/my.jsonc");
    expect(good(loaded).flavour).toBe("plain");
  });
  test("${file:} is relative to the file", async () => {
    using dir = directory({
      "sub/my.json": { mcpServers: { a: { command: "x", args: ["${file:key.txt}"] } } },
      "sub/key.txt": "k\n",
    });
    const loaded = await load({ kind: "location", location: "sub/my.json" }, { cwd: dir.path });
    expect(server(loaded, "a").target).toMatchObject({ args: ["k"] });
  });
  test("a directory and a file that is too large are named", async () => {
    using dir = directory({ "big.json": " ".repeat(MAX_CONFIG_BYTES + 1) });
    expect(lines(await load({ kind: "location", location: dir.path }))[0]).toContain("this is a directory");
    const big = await load({ kind: "location", location: join(dir.path, "big.json") });
    expect(big.problems[0]).toMatchObject({
      file: join(dir.path, "big.json"),
      message: expect.stringContaining("larger than"),
    });
  });
  test("a byte order mark does no harm", async () => {
    using dir = directory({ "bom.json": `\ufeff${JSON.stringify(BARE)}` });
    good(await load({ kind: "location", location: join(dir.path, "bom.json") }));
  });
});

describe("a URL", () => {
  let http: Bun.Server<undefined>;
  const seen: Headers[] = [];

  beforeAll(async () => {
    http = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      routes: {
        "/good.json": (request) => {
          seen.push(new Headers(request.headers));
          return Response.json(BARE);
        },
        "/broken.json": () => new Response('{\n "mcpServers": nope }'),
        "/large.json": () =>
          new Response(new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array(1024 * 1024).fill(32)) })),
        "/slow.json": () => new Promise<Response>(() => {}),
        "/drip.json": () =>
          new Response(new ReadableStream({ start: (stream) => stream.enqueue(new Uint8Array([32])) })),
        "/moved.json": () => new Response(null, { status: 302, headers: { Location: "/good.json" } }),
        "/away.json": () =>
          new Response(null, { status: 302, headers: { Location: `http://localhost:${http.port}/good.json` } }),
        "/loop.json": () => new Response(null, { status: 302, headers: { Location: "/loop.json" } }),
        "/file.json": () => new Response(null, { status: 302, headers: { Location: "file:///etc/passwd" } }),
      },
      fetch: () => new Response("no", { status: 404 }),
    });
  });
  afterAll(async () => {
    await http.stop(true);
  });
  const get = (path: string, overrides = {}) =>
    load({ kind: "location", location: `http://127.0.0.1:${http.port}${path}` }, { overrides });

  test("is read, and its credentials and query are not shown", async () => {
    const location = `http://user:secret@127.0.0.1:${http.port}/good.json?token=hidden`;
    const loaded = await load({ kind: "location", location });
    expect(good(loaded).source).toBe(`http://127.0.0.1:${http.port}/good.json`);
    expect(loaded.location).toBe(location);
    expect(seen.at(-1)?.get("authorization")).toBe(`Basic ${btoa("user:secret")}`);
  });
  test("headers reach it, also after a redirect to the same place, but no other place", async () => {
    const overrides = { httpHeaders: [["X-Key", "v"]] };
    good(await get("/moved.json", overrides));
    expect(seen.at(-1)?.get("x-key")).toBe("v");
    good(await get("/away.json", overrides));
    expect(seen.at(-1)?.get("x-key")).toBeNull();
  });
  test.each([
    ["/missing.json", "the URL answered 404"],
    ["/large.json", "the configuration is larger than 4194304 bytes"],
    ["/loop.json", "the URL redirects more than 5 times"],
    ["/file.json", "the URL redirects to a place that is not safe to follow"],
    ["/broken.json", "this is not a JSON value (text needs double quotes)"],
  ])("%s is an error: %s", async (path, message) => {
    const loaded = await get(path);
    expect(loaded.config).toBeUndefined();
    expect(loaded.problems[0]).toMatchObject({
      severity: "error",
      file: `http://127.0.0.1:${http.port}${path}`,
      message,
    });
  });
  test.each(["/slow.json", "/drip.json"])("%s: the timeout holds for head and body", async (path) => {
    expect((await get(path, { httpTimeoutMs: 50 })).problems[0]?.message).toBe("the URL did not answer within 0.05 s");
  });
  test("a port where nobody listens", async () => {
    const closed = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const { port } = closed;
    await closed.stop(true);
    const loaded = await load({ kind: "location", location: `http://127.0.0.1:${port}/c.json` });
    expect(loaded.problems[0]?.message).toContain("the URL cannot be reached");
  });
  testWith(
    program("openssl"),
    "a certificate nobody signed is refused, and accepted with --insecure",
    async (openssl) => {
      using dir = directory({});
      const { cert, key } = await makeCertificate(openssl, dir.path);
      const tls = { cert, key };
      using https = Bun.serve({ port: 0, hostname: "127.0.0.1", tls, fetch: () => Response.json(BARE) });
      const location = `https://127.0.0.1:${https.port}/c.json`;
      const refused = await load({ kind: "location", location });
      expect(refused.problems[0]).toMatchObject({
        message: expect.stringContaining("the certificate of the URL is not trusted"),
        hint: "--insecure accepts it, for this URL only",
      });
      good(await load({ kind: "location", location }, { overrides: { insecure: true } }));
    },
  );
  test("a URL that is none", async () => {
    expect((await load({ kind: "location", location: "http://[" })).problems[0]?.message).toBe(
      "this is not a valid URL",
    );
  });
});

describe("nothing named", () => {
  const find = (cwd: string, env: Record<string, string> = {}) =>
    loadConfig({ kind: "discover" }, context({ cwd, env }));

  test.each<[string, Record<string, object>, Record<string, string>, string, string]>([
    ["config.json", { "config.json": GO }, {}, "config.json", "go"],
    ["a bare config.json is nobody's", { "config.json": BARE }, {}, "config.json", "plain"],
    ["config.jsonc", { "config.jsonc": GO }, {}, "config.jsonc", "go"],
    ["mcp_config.json", { "mcp_config.json": BARE }, KEYS, "mcp_config.json", "env"],
    ["config.json before mcp_config.json", { "config.json": GO, "mcp_config.json": BARE }, {}, "config.json", "go"],
    [
      "unless a variable of env mode is set",
      { "config.json": GO, "mcp_config.json": BARE },
      KEYS,
      "mcp_config.json",
      "env",
    ],
    [
      "our own variables do not count",
      { "config.json": GO, "mcp_config.json": BARE },
      { MCP_PROXY_IMAGE: "1" },
      "config.json",
      "go",
    ],
    [
      "MCP_CONFIG_PATH before all",
      { "config.json": GO, "x/other.json": BARE },
      { ...KEYS, MCP_CONFIG_PATH: "x/other.json" },
      "x/other.json",
      "env",
    ],
    ["a file before SSE_URL", { "config.json": GO }, { SSE_URL: "http://h/sse" }, "config.json", "go"],
  ])("%s", async (_, files, env, source, flavour) => {
    using dir = directory(files);
    const loaded = await find(dir.path, env);
    expect(good(loaded)).toMatchObject({ source, flavour });
    expect(loaded.notes.join()).toContain(source);
  });

  test("the log says which file was not read", async () => {
    using dir = directory({ "config.json": GO, "mcp_config.json": BARE });
    expect((await find(dir.path, KEYS)).notes).toEqual([
      "using mcp_config.json of the working directory: MCP_API_KEYS is set; not read: config.json",
    ]);
  });
  test("SSE_URL, then nothing", async () => {
    using dir = directory({});
    expect(await find(dir.path, { SSE_URL: "http://h/sse" })).toMatchObject({
      found: "sse-url",
      sseUrl: "http://h/sse",
      config: undefined,
    });
    expect(await find(dir.path)).toMatchObject({ found: "nothing", config: undefined, problems: [] });
  });
  test("a MCP_CONFIG_PATH that does not exist is an error that names it", async () => {
    using dir = directory({ "config.json": GO });
    const loaded = await find(dir.path, { MCP_CONFIG_PATH: "missing.json" });
    expect(loaded.problems[0]).toMatchObject({ file: "missing.json", message: "the file does not exist" });
  });
});

test("--named-server-config: commands only, timeouts without effect, a missing key is an error", async () => {
  using dir = directory({
    "servers.json": {
      mcpServers: {
        a: { command: "x", timeout: 1, transportType: "stdio" },
        b: { url: "http://h/" },
        c: { command: "y", enabled: false },
      },
    },
    "empty.json": {},
  });
  const loaded = await load({ kind: "named-servers", location: "servers.json" }, { cwd: dir.path });
  expect([...good(loaded).servers.keys()]).toEqual(["a"]);
  expect(server(loaded, "a").timeoutMs).toBe(300_000);
  expect(good(loaded).listen).toEqual({ kind: "tcp", host: "127.0.0.1", port: 0 });
  expect(lines(loaded).join()).toContain('server "b" is left out: it has no "command"');
  const empty = await load({ kind: "named-servers", location: "empty.json" }, { cwd: dir.path });
  expect(lines(empty)).toEqual(['error 1:1 : the key "mcpServers" is missing (servers are named below "mcpServers")']);
});
