import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { StdioTarget } from "../../src/config/config.ts";
import { parseDotenv } from "../../src/config/dotenv.ts";
import { directory, good, lines, load, server } from "./helpers.ts";

const FILE = { "mcp_config.json": { mcpServers: { a: { command: "x", args: ["${WHO:-nobody}"] } } } };
const KEYS = { MCP_API_KEYS: "sk-real-one:ci" };
const AUTH0 = {
  MCP_AUTH_PROVIDER: "oauth_proxy",
  AUTH0_DOMAIN: "t.example.com:8443",
  AUTH0_CLIENT_ID: "id",
  AUTH0_CLIENT_SECRET: "s3cret",
  AUTH0_AUDIENCE: "https://api",
  MCP_BASE_URL: "https://mcp.example.com/",
};

async function start(env: Record<string, string>, files: Record<string, string | object> = FILE) {
  using dir = directory(files);
  return await load({ kind: "discover" }, { cwd: dir.path, env });
}

describe("API keys", () => {
  test("blanks do not count, only the first colon separates, an entry without one is skipped", async () => {
    const loaded = await start({ MCP_API_KEYS: " sk-one : a:b , nocolon,sk-two:c," });
    expect(good(loaded).apiKeys).toEqual(
      new Map([
        ["sk-one", { clientId: "a:b", scopes: ["*"] }],
        ["sk-two", { clientId: "c", scopes: ["*"] }],
      ]),
    );
    expect(lines(loaded)).toEqual(["warning MCP_API_KEYS: entry 2 of MCP_API_KEYS is skipped: expected key:client"]);
  });
  test("the file is used without the variable, and its path is kept for reloading", async () => {
    const files = { ...FILE, "keys.json": { "sk-x": { client_id: "c", scopes: ["*"] } } };
    expect(good(await start({ MCP_API_KEYS_PATH: "keys.json" }, files)).apiKeysFile).toBe("keys.json");
    expect(good(await start({ ...KEYS, MCP_API_KEYS_PATH: "keys.json" }, files)).apiKeysFile).toBeUndefined();
  });
  test("a file that is missing, broken or wrong is named, its keys are not shown", async () => {
    expect(lines(await start({ MCP_API_KEYS_PATH: "none.json" }))).toEqual(["error : the file does not exist"]);
    const broken = await start({ MCP_API_KEYS_PATH: "keys.json" }, { ...FILE, "keys.json": "{\n nope" });
    expect(broken.problems[0]).toMatchObject({ file: "keys.json", line: 2 });
    const wrong = await start(
      { MCP_API_KEYS_PATH: "keys.json" },
      { ...FILE, "keys.json": '{\n"sk-hidden": {"client_id": 1}}' },
    );
    expect(lines(wrong)).toEqual(["error 2:28 apiKeys.(key).client_id: expected a string, got a number"]);
  });
  test("keys printed in the manual let nobody in", async () => {
    const loaded = await start({ MCP_API_KEYS: "sk-abc123:letta" });
    expect(good(loaded).apiKeys).toEqual(new Map());
    expect(JSON.stringify(loaded.problems)).not.toContain("sk-abc123");
  });
});

describe("without authentication", () => {
  test("it does not start, and says what to set", async () => {
    const loaded = await start({});
    expect(loaded.config).toBeUndefined();
    expect(lines(loaded).join()).toMatch(
      /nothing protects the endpoint.*MCP_API_KEYS.*MCP_AUTH_PROVIDER.*MCP_DISABLE_AUTH/,
    );
  });
  test.each(["true", "1", "YES"])("MCP_DISABLE_AUTH=%s opens it, with a loud warning", async (value) => {
    const loaded = await start({ MCP_DISABLE_AUTH: value });
    expect(good(loaded).authDisabled).toBe(true);
    expect(lines(loaded).join()).toContain("authentication is OFF");
  });
  test("MCP_DISABLE_AUTH=false does not", async () => {
    expect((await start({ MCP_DISABLE_AUTH: "false" })).config).toBeUndefined();
  });
});

describe("login through a provider", () => {
  test("the variables become a provider that protects everything", async () => {
    const loaded = await start(AUTH0);
    expect(good(loaded)).toMatchObject({
      baseURL: "https://mcp.example.com",
      usersFile: "/data/users.json",
      identityProvider: {
        issuer: "https://t.example.com:8443/",
        clientId: "id",
        clientSecret: "s3cret",
        audience: "https://api",
        scopes: ["openid", "profile", "email"],
      },
    });
    expect(server(loaded, "a").oauth).toBe(true);
  });
  test.each(["AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_AUDIENCE", "MCP_BASE_URL"])(
    "without %s: an error that names it",
    async (name) => {
      const loaded = await start({ ...AUTH0, [name]: "" });
      expect(loaded.config).toBeUndefined();
      expect(loaded.problems.map((problem) => problem.message)).toContain(`${name} is not set`);
    },
  );
  test("auth_config.json is used instead of AUTH0_DOMAIN", async () => {
    const auth = {
      provider: "auth0",
      auth0: { domain: "${D}", issuer: "https://${D}/", jwks_uri: "https://${D}/keys", audience: "https://b" },
    };
    const { AUTH0_DOMAIN: _, ...env } = AUTH0;
    const loaded = await start(
      { ...env, D: "other.example.com", MCP_AUTH_CONFIG_PATH: "auth.json" },
      { ...FILE, "auth.json": auth },
    );
    expect(good(loaded).identityProvider).toMatchObject({
      issuer: "https://other.example.com/",
      jwksUri: "https://other.example.com/keys",
      audience: "https://b",
    });
  });
  test("another provider name is an error", async () => {
    expect(lines(await start({ ...AUTH0, MCP_AUTH_PROVIDER: "magic" })).join()).toContain(
      'MCP_AUTH_PROVIDER must be "oauth_proxy" or unset',
    );
  });
});

test("the page about these variables names those that are read, each of them", async () => {
  const page = await Bun.file(join(import.meta.dir, "../../docs/python-gateways.md")).text();
  const named = new Set([...page.matchAll(/`((?:MCP|AUTH0)_\w+)`/g)].map(([, name]) => name ?? ""));
  const sources = new Bun.Glob("*.ts").scanSync(join(import.meta.dir, "../../src/config"));
  const code = await Promise.all(
    [...sources].map((file) => Bun.file(join(import.meta.dir, "../../src/config", file)).text()),
  );
  const read = new Set(
    [...code.join("").matchAll(/\["((?:MCP|AUTH0)_\w+)"\]|"(AUTH0_\w+)"/g)].map(([, a, b]) => a ?? b ?? ""),
  );
  for (const own of ["MCP_PROXY_IMAGE", "MCP_PROXY_SECRET"]) read.delete(own);
  expect([...named].sort()).toEqual([...read].sort());
});

test("defaults of env mode", async () => {
  expect(
    good(
      await start({
        ...KEYS,
        MCP_PATH_PREFIX: "/abc-1/",
        MCP_LIVE_RELOAD: "yes",
        MCP_RESTART_DELAY: "5",
        MCP_LOG_LEVEL: "DEBUG",
      }),
    ),
  ).toMatchObject({
    flavour: "env",
    listen: { kind: "tcp", host: "0.0.0.0", port: 8080 },
    pathPrefix: "/abc-1",
    liveReload: true,
    restartDelayMs: 5000,
    log: { level: "debug" },
    stateless: false,
    aggregate: { enabled: true, separator: "_", prefixSingle: false, resourcesByServer: true },
  });
});

test("a value that is none of the allowed is named with what is done instead", async () => {
  const loaded = await start({ ...KEYS, MCP_LOG_LEVEL: "verbose", MCP_RESTART_DELAY: "soon" });
  expect(good(loaded)).toMatchObject({ log: { level: "info" }, restartDelayMs: 5000 });
  expect(lines(loaded).sort()).toEqual([
    "warning 1:1 : MCP_LOG_LEVEL must be trace, debug, info, warning, error or critical; info is used",
    "warning 1:1 : MCP_RESTART_DELAY must be a number of seconds; 5 is used",
  ]);
  expect(lines(await start({ ...KEYS, MCP_LOG_LEVEL: " " }))).toEqual([]);
});

test("no server at all is an error", async () => {
  expect(lines(await start(KEYS, { "mcp_config.json": { mcpServers: {} } })).join()).toContain(
    'no server is configured in "mcpServers"',
  );
});

describe(".env", () => {
  const dotenv = { ...FILE, ".env": "WHO=file\nMCP_API_KEYS=sk-from-file:c\n" };
  const args = async (env: Record<string, string>) =>
    (server(await start(env, dotenv), "a").target as StdioTarget).args;

  test("is read in env mode, the environment wins, children get nothing of it", async () => {
    expect(await args({})).toEqual(["file"]);
    expect(await args({ WHO: "real" })).toEqual(["real"]);
    expect((server(await start({}, dotenv), "a").target as StdioTarget).env).toEqual({});
  });
  test("is not read in any other mode", async () => {
    using dir = directory({ "config.json": FILE["mcp_config.json"], ".env": "WHO=file" });
    const loaded = await load({ kind: "discover" }, { cwd: dir.path });
    expect((server(loaded, "a").target as StdioTarget).args).toEqual(["nobody"]);
  });
  test("may name the configuration", async () => {
    const files = {
      ...FILE,
      "other.json": { mcpServers: { b: { command: "y" } } },
      ".env": "MCP_CONFIG_PATH=other.json",
    };
    expect([...good(await start(KEYS, files)).servers.keys()]).toEqual(["b"]);
  });
  test("quotes, comments, export and blanks", () => {
    const text =
      "# c\nexport A = 1\nB='x # y'\nC=\"l1\\nl2\" # c\nD=v # c\nE=\nF=a#b\r\nnot an assignment\n__proto__=z\n";
    expect(parseDotenv(text)).toMatchObject({ A: "1", B: "x # y", C: "l1\nl2", D: "v", E: "", F: "a#b" });
  });
});
