import { describe, expect, test } from "bun:test";
import { displayName } from "../../src/config/problem.ts";
import { good, lines, load, loadText } from "./helpers.ts";

/** One text with one mistake, and the line that must be reported. */
const MISTAKES: readonly (readonly [string, string, string])[] = [
  [
    "wrong type",
    '{\n  "mcpServers": { "github": {\n    "command": 5 } } }',
    "error 3:16 mcpServers.github.command: expected a string, got a number",
  ],
  [
    "missing comma",
    '{ "mcpServers": {\n  "a": { "command": "x" }\n  "b": { "command": "x" } } }',
    'error 3:3 : expected "," before this',
  ],
  [
    "open text",
    '{ "mcpServers": { "a": { "command": "x } } }',
    "error 1:37 : this text is not closed with a double quote",
  ],
  ["text after the end", '{ "mcpServers": {} } {}', "error 1:22 : nothing may follow the end of the configuration"],
  [
    "bare word",
    '{ "mcpServers": { "a": { "command": npx } } }',
    "error 1:37 : this is not a JSON value (text needs double quotes)",
  ],
  ["empty", "  ", "error 1:1 : the file is empty"],
  ["no object", "[1]", 'error 1:1 : expected an object with "mcpServers" in it'],
  ["no servers key", "{}", 'error 1:1 : the key "mcpServers" is missing (servers are named below "mcpServers")'],
  ["null server", '{"mcpServers":{"a":null}}', "error 1:20 mcpServers.a: expected an object, got null"],
  ["servers as list", '{"mcpServers":[]}', "error 1:15 mcpServers: expected an object, got an array"],
  [
    "neither command nor url",
    '{"mcpServers":{"a":{}}}',
    'error 1:16 mcpServers.a: server "a" has neither "command" nor "url" (a program needs "command" (and "args"), a remote server "url")',
  ],
  [
    "url of another kind",
    '{"mcpServers":{"a":{"url":"ftp://x/y"}}}',
    "error 1:27 mcpServers.a.url: expected an http or https URL",
  ],
  [
    "url without host",
    '{"mcpServers":{"a":{"url":"http:///y"}}}',
    "error 1:27 mcpServers.a.url: expected an http or https URL",
  ],
  [
    "stdio without command",
    '{"mcpServers":{"a":{"url":"http://x/y","type":"stdio"}}}',
    'error 1:16 mcpServers.a: the transport is stdio, but there is no "command"',
  ],
  [
    "unknown transport",
    '{"mcpServers":{"a":{"url":"http://x/y","type":"ws"}}}',
    'error 1:47 mcpServers.a.type: expected "stdio" or "sse" or "http" or "streamable-http" or "streamablehttp" or "streamableHttp"',
  ],
  [
    "unknown proxy type",
    '{"mcpProxy":{"type":"stdio"},"mcpServers":{}}',
    'error 1:21 mcpProxy.type: expected "sse" or "http" or "streamable-http" or "streamablehttp" or "streamableHttp"',
  ],
  [
    "bad address",
    '{"mcpProxy":{"addr":"9090"},"mcpServers":{}}',
    'error 1:21 mcpProxy.addr: expected ":9090", "host:port", "[::1]:9090" or "unix:/path" (did you mean ":9090"?)',
  ],
  [
    "port too large",
    '{"mcpProxy":{"addr":":70000"},"mcpServers":{}}',
    'error 1:21 mcpProxy.addr: expected ":9090", "host:port", "[::1]:9090" or "unix:/path"',
  ],
  [
    "base URL",
    '{"mcpProxy":{"baseURL":"mcp.example.com"},"mcpServers":{}}',
    "error 1:24 mcpProxy.baseURL: expected an http or https URL without query, fragment, user and password",
  ],
  [
    "range",
    '{"mcpProxy":{"trustedProxies":["10.0.0.0/40"]},"mcpServers":{}}',
    'error 1:32 mcpProxy.trustedProxies[0]: expected an IP address or a range such as "10.0.0.0/8"',
  ],
  [
    "duration",
    '{"mcpServers":{"a":{"command":"x","timeout":"5 minutes"}}}',
    'error 1:45 mcpServers.a.timeout: expected a duration such as "30s", "5m", "1h30m" or "500ms", at most 24 days',
  ],
  [
    "negative",
    '{"mcpServers":{"a":{"command":"x","timeout":-1}}}',
    "error 1:45 mcpServers.a.timeout: expected at least 0",
  ],
  [
    "none allowed",
    '{"mcpServers":{"a":{"command":"x","maxConnections":0}}}',
    "error 1:52 mcpServers.a.maxConnections: expected at least 1",
  ],
  [
    "fraction",
    '{"mcpServers":{"a":{"command":"x","maxConnections":1.5}}}',
    "error 1:52 mcpServers.a.maxConnections: expected a whole number",
  ],
  [
    "header line break",
    '{"mcpServers":{"a":{"url":"http://x","headers":{"X-A":"a\\r\\nB: c"}}}}',
    "error 1:55 mcpServers.a.headers.X-A: a header value must not hold a line break",
  ],
  [
    "header name",
    '{"mcpServers":{"a":{"url":"http://x","headers":{"X A":"a"}}}}',
    "error 1:55 mcpServers.a.headers.X A: this is no HTTP header name",
  ],
  [
    "empty token",
    '{"mcpServers":{"a":{"command":"x","options":{"authTokens":[""]}}}}',
    "error 1:60 mcpServers.a.options.authTokens[0]: must not be empty",
  ],
  [
    "broken hash",
    '{"mcpProxy":{"users":{"al":"$2b$10$short"}},"mcpServers":{}}',
    "error 1:28 mcpProxy.users.al: this looks like a bcrypt hash but is none; make it again",
  ],
  [
    "union",
    '{"mcpProxy":{"users":{"al":7}},"mcpServers":{}}',
    "error 1:28 mcpProxy.users.al: expected a string or an object, got a number",
  ],
  [
    "missing key",
    '{"mcpProxy":{"tls":{"cert":"/c"}},"mcpServers":{}}',
    "error 1:20 mcpProxy.tls.key: this key is missing; expected a string",
  ],
  [
    "dots in a name",
    '{"mcpServers":{"a/../b":{"command":"x"}}}',
    'error 1:16 mcpServers.a: a name must not hold "." or ".." between slashes, which clients resolve away',
  ],
  ["empty name", '{"mcpServers":{"":{"command":"x"}}}', "error 1:16 mcpServers.: a name must not be empty"],
  [
    "question mark",
    '{"mcpServers":{"a?b":{"command":"x"}}}',
    'error 1:16 mcpServers.a?b: a name must not hold "?", "#" or a backslash, which end the path of a URL',
  ],
  [
    "control character",
    '{"mcpServers":{"a\\u0007":{"command":"x"}}}',
    "error 1:16 mcpServers.a\u0007: a name must not hold control or invisible characters",
  ],
  [
    "double slash",
    '{"mcpServers":{"a//b":{"command":"x"}}}',
    "error 1:16 mcpServers.a: a name must not begin or end with a slash, nor hold two in a row",
  ],
  [
    "group of a missing server",
    '{"mcpServers":{"github":{"command":"x"}},"groups":{"g":{"servers":["gihtub"]}}}',
    'error 1:68 groups.g.servers[0]: there is no server "gihtub" (did you mean "github"?)',
  ],
  [
    "group named like a server",
    '{"mcpServers":{"a":{"command":"x"}},"groups":{"a":{"servers":["a"]}}}',
    "error 1:47 groups.a: a server has this name too, and both would have the same URL",
  ],
];

const WARNINGS: readonly (readonly [string, string, string])[] = [
  [
    "a group with one server twice",
    '{"mcpServers":{"a":{"command":"x"}},"groups":{"g":{"servers":["a","a"]}}}',
    'warning 1:67 groups.g.servers[1]: "a" stands here a second time, which has no effect',
  ],
  [
    "a group with no server",
    '{"mcpServers":{"a":{"command":"x"}},"groups":{"g":{"servers":[]}}}',
    "warning 1:62 groups.g.servers: this group has no server, so nobody finds anything there",
  ],
  [
    "unknown key",
    '{"mcpServers":{"a":{"command":"x","agrs":[]}}}',
    'warning 1:35 mcpServers.a.agrs: unknown key "agrs", it has no effect (did you mean "args"?)',
  ],
  [
    "key one level too high",
    '{"mcpServers":{"a":{"command":"x","authTokens":["t"]}}}',
    'warning 1:35 mcpServers.a.authTokens: unknown key "authTokens", it has no effect ("authTokens" belongs into "options")',
  ],
  [
    "misspelt and too high",
    '{"mcpServers":{"a":{"command":"x","toolFiler":{}}}}',
    'warning 1:35 mcpServers.a.toolFiler: unknown key "toolFiler", it has no effect (did you mean "toolFilter"? It belongs into "options")',
  ],
  [
    "unknown and far from all",
    '{"mcpServers":{"a":{"command":"x"}},"zzzzzz":1}',
    'warning 1:37 zzzzzz: unknown key "zzzzzz", it has no effect',
  ],
  [
    "unknown inside a union",
    '{"mcpProxy":{"users":{"al":{"password":"p","rolse":[]}}},"mcpServers":{"a":{"command":"x"}}}',
    'warning 1:44 mcpProxy.users.al.rolse: unknown key "rolse", it has no effect (did you mean "roles"?)',
  ],
  [
    "duplicate key",
    '{"mcpServers":{"a":{"command":"x"},\n"a":{"command":"y"}}}',
    "warning 2:1 mcpServers.a: this key stands here a second time (first at 1:16); the last one counts",
  ],
  [
    "prototype key",
    '{"mcpServers":{"a":{"command":"x","env":{"__proto__":"y"}}}}',
    'warning 1:42 mcpServers.a.env.__proto__: "__proto__" is not supported as a key and has no effect',
  ],
  [
    "own path",
    '{"mcpServers":{"health":{"command":"x"}}}',
    'warning 1:16 mcpServers.health: /health is a path of the proxy itself, so "health" is not served there, but below it and below /servers/',
  ],
  [
    "command line in command",
    '{"mcpServers":{"a":{"command":"npx -y foo"}}}',
    'warning 1:31 mcpServers.a.command: this names one program, blanks included; it is not split (put the arguments into "args")',
  ],
  [
    "command and url",
    '{"mcpServers":{"a":{"command":"x","url":"http://h/"}}}',
    'warning 1:35 mcpServers.a.url: "command" is there too, so "url" has no effect',
  ],
  ["no server", '{"mcpServers":{}}', "warning 1:15 mcpServers: no server is configured"],
  [
    "filter of the proxy",
    '{"mcpProxy":{"addr":"127.0.0.1:1","options":{"toolFilter":{"mode":"block","list":["a"]}}},"mcpServers":{"a":{"command":"x"}}}',
    "warning 1:46 mcpProxy.options.toolFilter: a filter has no effect here (put it into the options of a server)",
  ],
];

describe("each mistake is reported with its place and what was expected", () => {
  test.each(MISTAKES)("%s", async (_, text, expected) => {
    const loaded = await loadText(text);
    expect(lines(loaded)).toContain(expected);
    expect(loaded.config).toBeUndefined();
  });
});

describe("each oddity is a warning and the configuration is used", () => {
  test.each(WARNINGS)("%s", async (_, text, expected) => {
    const loaded = await loadText(text);
    expect(lines(loaded)).toContain(expected);
    good(loaded);
  });
});

test("all mistakes are reported at once, in the order of the text", async () => {
  const text = `{
  "mcpProxy": { "addr": "x", "startPage": 1, "options": { "authTokens": ["\${UNSET}"] } },
  "mcpServers": {
    "a": { "command": 5, "isolation": "never" },
    "b": {},
    "c?": { "command": "x" },
    "d": { "url": "gopher://x" }
  },
  "groups": { "g": { "servers": ["nobody", "a"] } }
}`;
  const errors = (await loadText(text)).problems.filter((problem) => problem.severity === "error");
  expect(errors.map((problem) => `${problem.line} ${problem.path}`)).toEqual([
    "2 mcpProxy.addr",
    "2 mcpProxy.startPage",
    "2 mcpProxy.options.authTokens[0]",
    "4 mcpServers.a.command",
    "4 mcpServers.a.isolation",
    "5 mcpServers.b",
    "6 mcpServers.c?",
    "7 mcpServers.d.url",
    "9 groups.g.servers[0]",
  ]);
});

test("several syntax errors are all reported", async () => {
  const loaded = await loadText('{ "mcpServers": {\n "a": { "command": nope },\n "b": { "command": maybe } } }');
  expect(loaded.problems.map((problem) => problem.line)).toEqual([2, 3]);
});

test("no message holds a secret", async () => {
  const secrets = ["hunter2secret", "sk-veryhidden", "tokeninname", "envsecret", "usersecret"];
  const loaded = await loadText(
    `{ "mcpProxy": { "addr": "127.0.0.1:1", "apiKeys": { "sk-veryhidden": { "client_id": 4, "extra": 1 } }, "users": { "al": { "password": "usersecret", "x": 1 } },
        "options": { "authTokens": [ "hunter2secret", 5, "\${UNSET}" ] } },
       "mcpServers": { "fetch/tokeninname": { "command": 5, "foo": 1 }, "fetch/tokeninname": { "command": "\${SECRET}", "url": "envsecret", "isolation": "hunter2secret", "headers": { "A": "envsecret\\n" }, "env": { "A": "\${NONE}" } } },
       "groups": { "g": { "servers": ["other/tokeninname"] } } }`,
    { env: { SECRET: "envsecret" } },
  );
  expect(loaded.problems.length).toBeGreaterThan(8);
  const text = JSON.stringify(loaded.problems) + JSON.stringify(loaded.notes);
  for (const secret of secrets) expect(text).not.toContain(secret);
});

test("a missing file is named", async () => {
  const loaded = await load({ kind: "location", location: "/nowhere/config.json" });
  expect(loaded.problems).toEqual([
    {
      code: "config.not_found",
      severity: "error",
      file: "/nowhere/config.json",
      line: undefined,
      column: undefined,
      path: "",
      message: "the file does not exist",
      hint: "check the path, or name another one with --config",
    },
  ]);
});

test("only the first segment of a name with slashes is shown", () => {
  expect(displayName("fetch/secret/more")).toBe("fetch");
  expect(displayName("fetch")).toBe("fetch");
});
