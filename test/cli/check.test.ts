import { expect, test } from "bun:test";
import { check, renderProblem } from "../../src/cli/check.ts";
import { directory } from "../config/helpers.ts";

async function run(
  files: Record<string, string | object>,
  options: { config?: string; json?: boolean; live?: boolean; env?: Record<string, string> } = {},
) {
  using dir = directory(files);
  const out: string[] = [];
  const err: string[] = [];
  const code = await check(
    {
      source: options.config === undefined ? { kind: "discover" } : { kind: "location", location: options.config },
      overrides: {},
      json: options.json ?? false,
      live: options.live ?? false,
    },
    {
      stdout: (text) => out.push(text),
      stderr: (text) => err.push(text),
      env: options.env ?? {},
      cwd: dir.path,
      home: "/home/me",
      fetch,
    },
  );
  return { code, out: out.join(""), err: err.join("") };
}

const BROKEN = { "config.jsonc": '{\n  "mcpServers": {\n    "github": { "command": 5, "agrs": [] } } }' };

test("a good configuration", async () => {
  const result = await run(
    { "c.json": { mcpServers: { a: { command: "x" } }, groups: { g: { servers: ["a"] } } } },
    { config: "c.json" },
  );
  expect(result).toEqual({ code: 0, out: "c.json   1 server, 1 group\n0 errors, 0 warnings\n", err: "" });
});

test("mistakes, each with place, path, expectation and remedy", async () => {
  const { code, out } = await run(BROKEN, { config: "config.jsonc" });
  expect(code).toBe(1);
  expect(out).toBe(`config.jsonc
  error 3:28 mcpServers.github.command   config.invalid
        expected a string, got a number
  warning 3:31 mcpServers.github.agrs   config.unknown_key
        unknown key "agrs", it has no effect
        did you mean "args"?
1 error, 1 warning
`);
});

test("warnings alone are good", async () => {
  const { code, out } = await run({ "config.json": { mcpServers: {} } });
  expect(code).toBe(0);
  expect(out).toEndWith("0 errors, 1 warning\n");
});

test("--json is one object", async () => {
  const { code, out } = await run(BROKEN, { config: "config.jsonc", json: true });
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    ok: false,
    file: "config.jsonc",
    servers: null,
    errors: 1,
    warnings: 1,
    problems: [
      {
        severity: "error",
        line: 3,
        column: 28,
        path: "mcpServers.github.command",
        message: "expected a string, got a number",
      },
      { severity: "warning" },
    ],
  });
  expect(
    JSON.parse((await run({ "config.json": { mcpServers: { "f/secret": { command: "x" } } } }, { json: true })).out),
  ).toMatchObject({ ok: true, servers: ["f"], errors: 0 });
});

test("a missing file and no configuration at all are errors", async () => {
  expect(await run({}, { config: "none.json" })).toMatchObject({
    code: 1,
    out: expect.stringContaining("none.json\n  error   config.not_found\n        the file does not exist"),
  });
  expect(await run({})).toEqual({
    code: 1,
    out: "",
    err: "mcp-proxy: no configuration was found\n  Try: mcp-proxy check --config FILE\n",
  });
});

test("one problem as serve prints it: what, where, why, what to do", () => {
  const problem = {
    code: "config.invalid",
    severity: "error",
    file: "c.json",
    line: 3,
    column: 7,
    path: "a.b",
    message: "is wrong",
    hint: "do this",
  } as const;
  expect(renderProblem(problem)).toBe("error c.json:3:7   a.b: is wrong   config.invalid\n      do this\n");
});

test("names cannot rewrite the terminal", async () => {
  const { out } = await run({ "config.json": '{"mcpServers":{"a\\u001b[2J":{"command":"x"}}}' });
  expect(out).not.toContain("\u001b");
  expect(out).toContain("\\x1b[2J");
});

test("the files of users and keys are read too, and patterns that fit no server are told of", async () => {
  const files = {
    "c.json": {
      mcpProxy: {
        addr: "127.0.0.1:9090",
        users: { alice: "$2b$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" },
        usersFile: "users.json",
        apiKeysFile: "keys.json",
        options: { oauth2: { enabled: true } },
      },
      mcpServers: { github: { command: "x" } },
      groups: { g: { servers: ["github"], tools: ["gihtub:*"] } },
    },
    "users.json": '{\n  "bob@example.com": { "allowed_tols": ["github:*"], "denied_tools": ["gitub:*"] }\n}',
    "keys.json": { "sk-of-mine-4711": { client_id: "mine", scopes: ["*"] } },
  };
  const { code, out } = await run(files, { config: "c.json" });
  expect(code).toBe(0);
  expect(out).toContain("users.json");
  expect(out).toMatch(/warning 2:\d+ users\.bob@example\.com\.allowed_tols +config\.unknown_key/);
  expect(out).toContain('the pattern "gitub:*" fits no server; did you mean "github"?');
  expect(out).toContain('the pattern "gihtub:*" fits no server; did you mean "github"?');
  expect(out).toMatch(/warning mcpProxy\.users\.alice .*\n.*not in the users file, and may use everything/);
  expect(out).not.toContain("sk-of-mine");
  const broken = await run({ ...files, "users.json": '{ "bob": { "allowed_tools": "*" ' }, { config: "c.json" });
  expect([broken.code, broken.out]).toEqual([1, expect.stringContaining("users.json\n  error 1:")]);
  const { "users.json": _, ...without } = files;
  const missing = await run(without, { config: "c.json" });
  expect([missing.code, missing.out]).toEqual([0, expect.stringContaining("the file does not exist")]);
});
