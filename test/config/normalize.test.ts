import { describe, expect, test } from "bun:test";
import type { HttpTarget, StdioTarget } from "../../src/config/config.ts";
import { directory, good, lines, loadText, server } from "./helpers.ts";
import type { World } from "./helpers.ts";

const LOCAL = { addr: "127.0.0.1:9090" };

async function stdio(entry: object, world?: World): Promise<StdioTarget> {
  return server(await loadText({ mcpServers: { a: { command: "x", ...entry } } }, world), "a").target as StdioTarget;
}

async function http(entry: object): Promise<HttpTarget> {
  return server(await loadText({ mcpServers: { a: entry } }), "a").target as HttpTarget;
}

test("defaults of a file that says little", async () => {
  const loaded = await loadText(
    { mcpServers: { time: { command: "uvx", args: ["mcp-server-time"] } } },
    { env: { PATH: "/bin" } },
  );
  expect(loaded.problems).toEqual([]);
  const { servers, ...rest } = good(loaded);
  expect(rest).toEqual({
    source: "config.jsonc",
    flavour: "plain",
    listen: { kind: "tcp", host: "127.0.0.1", port: 9090 },
    baseURL: undefined,
    pathPrefix: "",
    name: "mcp-proxy",
    version: "1.0.0",
    serves: { streamableHttp: true, sse: true },
    stateless: false,
    liveReload: false,
    allowedHosts: [],
    allowedOrigins: [],
    trustedProxies: undefined,
    clientAddressHeader: undefined,
    maxRequestBytes: 4_194_304,
    maxMessageBytes: 67_108_864,
    replayEvents: 256,
    replayBytes: 1_048_576,
    sessionIdleMs: 1_800_000,
    sessionMaxAgeMs: 2_592_000_000,
    drainMs: 10_000,
    log: { level: "info", format: "auto" },
    persistenceDir: "/home/me/.mcpproxy",
    tls: undefined,
    startPage: "private",
    limits: { requestsPerMinute: 0, concurrent: 0 },
    auditFile: undefined,
    aggregate: { enabled: true, separator: "__", prefixSingle: true, resourcesByServer: false },
    groups: new Map(),
    users: new Map(),
    usersFile: undefined,
    apiKeys: undefined,
    apiKeysFile: undefined,
    identityProvider: undefined,
    oauth: undefined,
    authDisabled: false,
    restartDelayMs: 1000,
  });
  expect([...servers]).toEqual([
    [
      "time",
      {
        name: "time",
        displayName: "time",
        target: {
          kind: "stdio",
          command: "uvx",
          args: ["mcp-server-time"],
          cwd: undefined,
          env: { PATH: "/bin" },
          headerToEnv: new Map(),
        },
        isolation: "auto",
        maxConnections: 32,
        roots: false,
        connectTimeoutMs: 60_000,
        timeoutMs: 300_000,
        panicIfInvalid: false,
        logEnabled: false,
        authTokens: undefined,
        toolFilter: undefined,
        prefix: undefined,
        oauth: false,
        limits: undefined,
        invalid: undefined,
      },
    ],
  ]);
});

describe("addresses", () => {
  const cases: readonly (readonly [string, object, World, string])[] = [
    ["Go user", { mcpProxy: {} }, {}, "0.0.0.0:9090"],
    ["nobody's", {}, {}, "127.0.0.1:9090"],
    ["nobody's in the image", {}, { env: { MCP_PROXY_IMAGE: "1" } }, "0.0.0.0:9090"],
    [":port", { mcpProxy: { addr: ":8" } }, {}, "0.0.0.0:8"],
    ["host:port", { mcpProxy: { addr: "localhost:8" } }, {}, "localhost:8"],
    ["IPv6", { mcpProxy: { addr: "[::1]:8" } }, {}, "::1:8"],
    ["the environment beats the default", {}, { env: { MCP_HOST: "::1", MCP_PORT: "7" } }, "::1:7"],
    [
      "the file beats the environment",
      { mcpProxy: { addr: ":8" } },
      { env: { MCP_HOST: "::1", MCP_PORT: "7" } },
      "0.0.0.0:8",
    ],
    ["flags beat the file", { mcpProxy: { addr: "1.2.3.4:8" } }, { overrides: { port: 5 } }, "1.2.3.4:5"],
    ["the host flag alone", { mcpProxy: { addr: "1.2.3.4:8" } }, { overrides: { host: "::" } }, ":::8"],
    ["flags beat a socket", { mcpProxy: { addr: "unix:/s" } }, { overrides: { port: 5 } }, "0.0.0.0:5"],
  ];
  test.each(cases)("%s", async (_, file, world, expected) => {
    const { listen } = good(await loadText({ mcpServers: { a: { command: "x" } }, ...file }, world));
    expect(listen.kind === "tcp" && `${listen.host}:${listen.port}`).toBe(expected);
  });

  test("a socket, with its mode", async () => {
    const loaded = await loadText({
      mcpProxy: { addr: "unix:/run/mcp.sock", socketMode: "600", options: { authTokens: ["t"] } },
      mcpServers: { a: { command: "x" } },
    });
    expect(good(loaded).listen).toEqual({ kind: "unix", path: "/run/mcp.sock", mode: 0o600 });
    expect(loaded.problems).toEqual([]);
  });

  test("MCP_PORT that is no port is an error that names it", async () => {
    const loaded = await loadText({ mcpServers: { a: { command: "x" } } }, { env: { MCP_PORT: "http" } });
    expect(lines(loaded).join()).toContain("MCP_PORT must be a number from 0 to 65535");
    expect(loaded.config).toBeUndefined();
  });
});

describe("transports", () => {
  test.each([
    [{ url: "https://h/mcp" }, "detect"],
    [{ url: "https://h/sse" }, "sse"],
    [{ url: "https://h/sse?key=1" }, "sse"],
    [{ url: "https://h/mcp", type: "sse" }, "sse"],
    [{ url: "https://h/sse", transport: "http" }, "http"],
    [{ url: "https://h/x", transportType: "streamable-http" }, "http"],
    [{ url: "https://h/x", transport: "streamablehttp" }, "http"],
    [{ url: "https://h/x", type: "streamableHttp" }, "http"],
    [{ command: "", url: "https://h/x", type: "http" }, "http"],
    [{ command: "x", transportType: "stdio" }, "stdio"],
  ])("%j is %s", async (entry, kind) => {
    expect((await http(entry)).kind as string).toBe(kind);
  });

  test("what travels to a remote server", async () => {
    const entry = {
      url: "https://h/x",
      headers: { "X-Key": "pa$$word" },
      forwardHeaders: ["X-Tenant"],
      verifyTls: false,
      oauth: { clientId: "i", clientSecret: "s", tokenUrl: "https://h/t" },
    };
    expect(await http(entry)).toEqual({
      kind: "detect",
      url: "https://h/x",
      headers: { "X-Key": "pa$$word" },
      forwardHeaders: ["x-tenant"],
      verifyTls: false,
      oauth: { clientId: "i", clientSecret: "s", tokenUrl: "https://h/t", scope: undefined },
    });
  });
});

describe("timeouts", () => {
  test.each([
    [undefined, 300_000],
    [60, 60_000],
    [999, 999_000],
    [1000, 1000],
    [30_000, 30_000],
    [999_999, 999_999],
    [10_000_000_000, 10_000],
    [0, 0],
    ["30s", 30_000],
    ["1h30m", 5_400_000],
    ["500ms", 500],
    ["0", 0],
    ["1.5s", 1500],
  ])("%p is %d ms", async (timeout, expected) => {
    const entry = timeout === undefined ? { command: "x" } : { command: "x", timeout };
    expect(server(await loadText({ mcpServers: { a: entry } }), "a").timeoutMs).toBe(expected);
  });

  test("an odd number is shown as it was read", async () => {
    const loaded = await loadText({ mcpServers: { a: { command: "x", timeout: 30_000 } } });
    expect(lines(loaded)).toEqual([
      'warning 1:45 mcpServers.a.timeout: 30000 was read as milliseconds: 30 s (write the unit, for instance "30s")',
    ]);
  });

  test("what the Go program documents, and what its users write by habit", async () => {
    const file = (timeout: number) => ({ mcpProxy: LOCAL, mcpServers: { a: { url: "http://h/x", timeout } } });
    expect((await loadText(file(10_000_000_000))).problems).toEqual([]);
    expect(lines(await loadText(file(60))).join()).toContain("60 was read as seconds: 1 min");
  });
});

describe("variables", () => {
  const env = { A: "1", EMPTY: "", DOLLAR: "${A}" };
  test.each([
    ["${A}", "1"],
    ["x${A}y${A}", "x1y1"],
    ["${NO:-d}", "d"],
    ["${EMPTY:-d}", "d"],
    ["${NO:-http://h:1/x}", "http://h:1/x"],
    ["${NO:-}", ""],
    ["${NO:-${A}}", "1"],
    ["$A", "$A"],
    ["pa$$word", "pa$$word"],
    ["${A", "${A"],
    ["${1}", "${1}"],
    ["${A-b}", "${A-b}"],
    ["${DOLLAR}", "${A}"],
    ["${NO}", ""],
  ])("%s becomes %s", async (text, expected) => {
    expect((await stdio({ args: [text] }, { env })).args).toEqual([expected]);
  });

  test("--expand-env takes the bare form too, --expand-env=false none", async () => {
    const args = ["$A-${A}", "100$", "$"];
    expect((await stdio({ args }, { env, overrides: { expandEnv: true } })).args).toEqual(["1-1", "100$", "$"]);
    expect((await stdio({ args }, { env, overrides: { expandEnv: false } })).args).toEqual(args);
  });

  test("keys are never expanded", async () => {
    expect((await stdio({ env: { "${A}": "x" } }, { env })).env).toMatchObject({ "${A}": "x" });
  });

  test("a file gives its text without the last line break", async () => {
    using dir = directory({ "secret.txt": "line 1\nline 2\n" });
    expect((await stdio({ args: [`\${file:${dir.path}/secret.txt}`] })).args).toEqual(["line 1\nline 2"]);
    expect((await stdio({ args: ["${file:secret.txt}"] }, { cwd: dir.path })).args).toEqual(["line 1\nline 2"]);
  });

  test("unset without default: a warning names variable, server and key", async () => {
    const loaded = await loadText({ mcpServers: { gh: { command: "x", env: { TOKEN: "${MISSING}" } } } });
    expect(lines(loaded)).toEqual([
      'warning 1:51 mcpServers.gh.env.TOKEN: the variable MISSING is not set and has no default: env.TOKEN of server "gh" is EMPTY (set MISSING, or write ${MISSING:-default})',
    ]);
  });

  test.each([
    [{ command: "${MISSING}" }, '"command" is empty: the variable MISSING is not set'],
    [{ url: "${MISSING}" }, '"url" is empty: the variable MISSING is not set'],
    [{ url: "http://${MISSING}/mcp" }, '"url" is no URL: the variable MISSING is not set'],
    [{ command: "x", env: { A: "${file:/nowhere/x}" } }, "the file /nowhere/x cannot be read (ENOENT)"],
    [{ command: "" }, '"command" is empty'],
  ])("%j fails that server only", async (entry, message) => {
    const loaded = await loadText({ mcpServers: { bad: entry, good: { command: "x" } } });
    expect(server(loaded, "bad").invalid).toEqual({ message });
    expect(server(loaded, "good").invalid).toBeUndefined();
  });

  test.each([
    ["mcpProxy.options.authTokens[0]", { mcpProxy: { options: { authTokens: ["${NO}"] } } }],
    ["mcpProxy.options.oauth2.users.al", { mcpProxy: { options: { oauth2: { users: { al: "${NO}" } } } } }],
    ["mcpProxy.users.al.password", { mcpProxy: { users: { al: { password: "x${NO}" } } } }],
    ["mcpProxy.trustedProxies[0]", { mcpProxy: { trustedProxies: ["${NO}"] } }],
    ["mcpProxy.tls.cert", { mcpProxy: { tls: { cert: "${NO}", key: "k" } } }],
    [
      "mcpProxy.identityProvider.clientSecret",
      { mcpProxy: { identityProvider: { issuer: "https://i/", clientId: "c", clientSecret: "${NO}" } } },
    ],
    ["mcpServers.b.options.authTokens[0]", { mcpServers: { b: { command: "x", options: { authTokens: ["${NO}"] } } } }],
    ["clients.b.authTokens[0]", { clients: { b: { type: "stdio", config: { command: "x" }, authTokens: ["${NO}"] } } }],
    ["server.globalAuthTokens[0]", { server: { globalAuthTokens: ["${NO}"] } }],
  ])("in %s it is an error", async (path, file) => {
    const loaded = await loadText(file);
    const errors = loaded.problems.filter((problem) => problem.severity === "error" && problem.path === path);
    expect(errors.map((problem) => problem.message)).toEqual([
      "the variable NO is not set and has no default; an empty text must not decide who gets in",
    ]);
    expect(loaded.config).toBeUndefined();
  });

  test("a server called like an access key is an ordinary server", async () => {
    good(await loadText({ mcpServers: { users: { command: "x", env: { A: "${NO}" } } } }));
  });
});

describe("the environment of children", () => {
  const env = {
    PATH: "/bin",
    HOME: "/h",
    HTTPS_PROXY: "p",
    NODE_EXTRA_CA_CERTS: "c",
    OTHER: "o",
    MCP_API_KEYS: "k",
    AUTH0_CLIENT_SECRET: "s",
    API_ACCESS_TOKEN: "t",
    MCP_PROXY_SECRET: "m",
    MCP_PROXY_SECRET_OLD: "n",
  };
  const safe = { PATH: "/bin", HOME: "/h", HTTPS_PROXY: "p", NODE_EXTRA_CA_CERTS: "c" };

  test("the safe list and what is named", async () => {
    expect((await stdio({ env: { A: "b", N: 1, B: true } }, { env })).env).toEqual({
      ...safe,
      A: "b",
      N: "1",
      B: "true",
    });
  });
  test("everything for the Go program's users, but never our secrets", async () => {
    const loaded = await loadText({ mcpProxy: LOCAL, mcpServers: { a: { command: "x" } } }, { env });
    expect((server(loaded, "a").target as StdioTarget).env).toEqual({ ...safe, OTHER: "o" });
  });
  test("the key, and the flags that beat it", async () => {
    expect((await stdio({ passEnvironment: true }, { env })).env).toEqual({ ...safe, OTHER: "o" });
    expect((await stdio({ passEnvironment: true }, { env, overrides: { passEnvironment: false } })).env).toEqual(safe);
    expect((await stdio({}, { env, overrides: { passEnvironment: true } })).env).toEqual({ ...safe, OTHER: "o" });
  });
  test("a child that is another proxy can be given a token by name", async () => {
    expect((await stdio({ env: { API_ACCESS_TOKEN: "x" } }, { env })).env).toEqual({ ...safe, API_ACCESS_TOKEN: "x" });
  });
});

describe("tokens", () => {
  const withTokens = (own: string[] | undefined, proxy: object = {}) => ({
    mcpProxy: { ...LOCAL, options: { authTokens: ["shared"] }, ...proxy },
    mcpServers: { a: { command: "x", ...(own === undefined ? {} : { options: { authTokens: own } }) } },
  });
  test("the proxy's are the default, a server's own replace them, an empty list opens", async () => {
    expect(server(await loadText(withTokens(undefined)), "a").authTokens).toEqual(["shared"]);
    expect(server(await loadText(withTokens(["Bearer own"])), "a").authTokens).toEqual(["own"]);
    const open = await loadText(withTokens([]));
    expect(server(open, "a").authTokens).toBeUndefined();
    expect(open.problems).toEqual([]);
  });
  test("an open server is a loud warning where others can reach it", async () => {
    for (const addr of [":1", "unix:/run/s"]) {
      expect(lines(await loadText(withTokens([], { addr }))).join()).toContain('authentication is OFF for "a"');
    }
  });
  test.each(["DefaultTokens", "SpecificTokens", "<YOUR_TOKEN>", "sk-abc123def456", "sk-your-api-key-here"])(
    "%s lets nobody in off loopback",
    async (token) => {
      const loaded = await loadText(withTokens([token], { addr: ":1" }));
      expect(server(loaded, "a").authTokens).toEqual([]);
      expect(lines(loaded).join()).toContain("printed in a manual");
      expect(server(await loadText(withTokens([token])), "a").authTokens).toEqual([token]);
    },
  );
  test("nor on loopback once OAuth is on", async () => {
    const options = { authTokens: ["DefaultTokens", "real"], oauth2: { enabled: true, users: { a: "b" } } };
    expect(server(await loadText(withTokens(undefined, { options })), "a").authTokens).toEqual(["real"]);
  });
});

describe("tool filters", () => {
  const filtered = (toolFilter: object) => loadText({ mcpServers: { a: { command: "x", options: { toolFilter } } } });
  test.each([
    [
      { mode: "allow", list: ["t"] },
      { mode: "allow", names: new Set(["t"]) },
    ],
    [
      { mode: " BLOCK ", list: ["t"] },
      { mode: "block", names: new Set(["t"]) },
    ],
    [{ mode: "allow", list: [] }, undefined],
    [{ mode: "allow" }, undefined],
  ])("%j", async (filter, expected) => {
    const loaded = await filtered(filter);
    expect(server(loaded, "a").toolFilter as unknown).toEqual(expected);
    expect(loaded.problems).toEqual([]);
  });
  test.each([{ list: ["t"] }, { mode: "deny", list: ["t"] }, { mode: "", list: ["t"] }])(
    "%j is ignored loudly",
    async (filter) => {
      const loaded = await filtered(filter);
      expect(server(loaded, "a").toolFilter).toBeUndefined();
      expect(lines(loaded).join()).toContain("so the filter is IGNORED and every tool stays available");
    },
  );
});

test("servers that are switched off are left out, unchecked and without warnings", async () => {
  const loaded = await loadText({
    mcpServers: {
      a: { command: "x", enabled: false, env: { T: "${NO}" } },
      b: { disabled: true },
      c: { command: "x", options: { disabled: true } },
      d: { command: "x", enabled: true, disabled: false },
    },
    groups: { g: { servers: ["a", "d"] } },
  });
  expect(loaded.problems).toEqual([]);
  expect([...good(loaded).servers.keys()]).toEqual(["d"]);
  expect(good(loaded).groups.get("g")?.servers).toEqual(["d"]);
});

test("servers keep the order of the file, names that look like numbers too", async () => {
  const loaded = await loadText(
    '{"mcpServers":{"z":{"command":"x"},"2":{"command":"x"},"1":{"command":"x"},"fetch/s3cret":{"command":"x"}}}',
  );
  expect([...good(loaded).servers.keys()]).toEqual(["z", "2", "1", "fetch/s3cret"]);
  expect(server(loaded, "fetch/s3cret").displayName).toBe("fetch");
});

test("numbers among the arguments stay as they were written", async () => {
  const loaded = await loadText('{"mcpServers":{"a":{"command":"x","args":["-p",8080,1.0,12345678901234567890]}}}');
  expect((server(loaded, "a").target as StdioTarget).args).toEqual(["-p", "8080", "1.0", "12345678901234567890"]);
});

test("header names of headerToEnv are compared without case", async () => {
  expect((await stdio({ headerToEnv: { GITHUB_TOKEN: "T", "X-A": "B" } })).headerToEnv).toEqual(
    new Map([
      ["github_token", "T"],
      ["x-a", "B"],
    ]),
  );
});

test("null is the same as nothing", async () => {
  const loaded = await loadText({
    mcpProxy: { ...LOCAL, options: null, name: null },
    mcpServers: { a: { command: "x", args: null, env: null } },
  });
  expect(good(loaded).name).toBe("mcp-proxy");
  expect(loaded.problems).toEqual([]);
});

test("the old format is converted, and its mistakes are reported where they stand", async () => {
  const loaded = await loadText(`{
    "server": { "addr": "127.0.0.1:1", "globalAuthTokens": ["g"], "name": "n" },
    "clients": {
      "a": { "type": "stdio", "config": { "command": "x", "args": ["y"] }, "authTokens": ["o"], "panicIfInvalid": true },
      "b": { "type": "sse", "config": { "url": "http://h/events" } },
      "c": { "type": "streamable-http", "config": { "url": "http://h/x", "headers": { "A": "b" } } },
      "d": { "type": "carrier-pigeon" },
      "/e": { "type": "stdio", "config": { "command": "x" } }
    } }`);
  expect(lines(loaded)).toEqual([
    'warning 7:22 clients.d.type: client "d" is left out: its type is unknown (use one of stdio, sse, streamable-http)',
    "error 8:7 clients.: a name must not begin or end with a slash, nor hold two in a row",
  ]);
});

test("old format: tokens add up", async () => {
  const loaded = await loadText({
    server: { addr: "127.0.0.1:1", globalAuthTokens: ["g"] },
    clients: {
      a: { type: "stdio", config: { command: "x" }, authTokens: ["o"] },
      b: { type: "sse", config: { url: "http://h/events" } },
    },
  });
  expect(server(loaded, "a").authTokens).toEqual(["o", "g"]);
  expect(server(loaded, "b").authTokens).toEqual(["g"]);
  expect(server(loaded, "b").target.kind).toBe("sse");
  expect(good(loaded).flavour).toBe("go");
});

test("OAuth that cannot apply leaves no open door", async () => {
  const file = (addr: string) => ({
    mcpProxy: { addr, type: "sse", options: { oauth2: { enabled: true, users: { a: "b" } } } },
    mcpServers: { a: { command: "x" } },
  });
  expect(server(await loadText(file("127.0.0.1:1")), "a").invalid).toBeUndefined();
  expect(server(await loadText(file(":1")), "a").invalid?.message).toContain('"oauth2" does not apply to type "sse"');
});

test("what later rooms need is there: users, keys, provider, OAuth, groups", async () => {
  const loaded = await loadText({
    mcpProxy: {
      ...LOCAL,
      users: { al: { password: "p", allowed_tools: ["a:*"], roles: ["r"] }, bo: { email: "b@x" } },
      apiKeys: { "sk-real": { client_id: "ci", scopes: ["a:*"] } },
      identityProvider: { issuer: "https://i/", clientId: "c" },
      options: {
        oauth2: {
          users: { bo: "q" },
          allowedIPs: ["claude", "10.0.0.0/8"],
          tokenExpirationMinutes: 5,
          persistenceDir: "/data",
        },
      },
    },
    mcpServers: { a: { command: "x" } },
    groups: { dev: { servers: ["a"], tools: ["a:t"], options: { authTokens: ["t"] } } },
  });
  const config = good(loaded);
  expect(config.users.get("al")).toEqual({
    password: "p",
    allowedTools: ["a:*"],
    deniedTools: [],
    roles: ["r"],
    email: undefined,
    limits: undefined,
  });
  expect(config.users.get("bo")).toMatchObject({ password: "q", email: "b@x" });
  expect(config.apiKeys).toEqual(new Map([["sk-real", { clientId: "ci", scopes: ["a:*"] }]]));
  expect(config.identityProvider).toMatchObject({ issuer: "https://i/", scopes: ["openid", "email", "profile"] });
  expect(config.oauth).toMatchObject({
    allowedIPs: ["claude", "10.0.0.0/8"],
    tokenExpirationMs: 300_000,
    templateDir: "templates",
  });
  expect(config.persistenceDir).toBe("/data");
  expect(server(loaded, "a").oauth).toBe(true);
  expect(config.groups.get("dev")).toEqual({
    name: "dev",
    servers: ["a"],
    tools: ["a:t"],
    options: { authTokens: ["t"], oauth: true },
  });
});
