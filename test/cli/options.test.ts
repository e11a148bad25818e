import { describe, expect, test } from "bun:test";
import { HELP, helpAll } from "../../src/cli/help.ts";
import { FLAGS } from "../../src/cli/flags.ts";
import { parseOptions } from "../../src/cli/options.ts";
import type { Command } from "../../src/cli/options.ts";
import { UsageError } from "../../src/cli/usage-error.ts";

function parse(...argv: string[]): Command {
  return parseOptions(argv);
}

function as<K extends Command["kind"]>(kind: K, ...argv: string[]): Extract<Command, { kind: K }> {
  const result = parseOptions(argv);
  if (result.kind !== kind) throw new Error(`expected ${kind}, got ${result.kind}`);
  return result as Extract<Command, { kind: K }>;
}

function usage(...argv: string[]): UsageError {
  try {
    parseOptions(argv);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("no usage error");
}

describe("serving a configuration", () => {
  test.each([
    [["--config", "c.json"]],
    [["-config", "c.json"]],
    [["--config=c.json"]],
    [["-config=c.json"]],
    [["-c", "c.json"]],
  ])("%j", (argv) => {
    expect(as("serve", ...argv).source).toEqual({ kind: "location", location: "c.json" });
  });
  test("nothing at all looks for one", () => {
    expect(as("serve")).toMatchObject({ source: { kind: "discover" }, stdio: false, warnings: [] });
  });
  test("what flags say", () => {
    const { overrides } = as(
      "serve",
      "--config",
      "c",
      "--port=0",
      "--host",
      "::1",
      "--watch",
      "-insecure",
      "--expand-env=false",
      "-http-headers",
      "A: b:c;X:y",
      "--http-timeout",
      "2.5",
      "--stateless",
      "--pass-environment",
      "--log-level",
      "WARNING",
      "--log-format",
      "json",
    );
    expect(overrides).toEqual({
      host: "::1",
      port: 0,
      watch: true,
      insecure: true,
      expandEnv: false,
      httpHeaders: [
        ["A", "b:c"],
        ["X", "y"],
      ],
      httpTimeoutMs: 2500,
      stateless: true,
      passEnvironment: true,
      allowOrigins: undefined,
      logLevel: "warn",
      logFormat: "json",
    });
  });
  test("what was not given stays open", () => {
    expect(Object.values(as("serve").overrides).every((value) => value === undefined)).toBe(true);
  });
  test.each([
    ["-insecure=false", false],
    ["--no-insecure", false],
    ["-insecure=T", true],
    ["--insecure=1", true],
  ])("%s is %p", (flag, value) => {
    expect(as("serve", flag).overrides.insecure).toBe(value);
  });
  test("--debug wins over --log-level, --port over --sse-port, the last of one flag over the first", () => {
    const { overrides } = as(
      "serve",
      "--debug",
      "--log-level",
      "ERROR",
      "--port",
      "1",
      "--sse-port",
      "2",
      "--sse-host=h",
      "--port",
      "3",
    );
    expect(overrides).toMatchObject({ logLevel: "debug", port: 3, host: "h" });
  });
  test("all servers as one stdio server", () => expect(as("serve", "--config", "c", "--stdio").stdio).toBe(true));
  test("flags of other tasks are warnings", () => {
    expect(as("serve", "--config", "c", "--cwd", "/tmp").warnings).toEqual([
      "--cwd has no effect: a configuration is served",
    ]);
  });
});

describe("one command", () => {
  test("behind -- everything is the child's", () => {
    expect(as("command", "--port=1", "--", "uvx", "server", "--port", "2", "--help", "--", "-e")).toMatchObject({
      server: { command: "uvx", args: ["server", "--port", "2", "--help", "--", "-e"] },
      overrides: { port: 1 },
    });
  });
  test("our flags count wherever they stand before --", () => {
    expect(
      as("command", "your-command", "--port", "8080", "-e", "KEY", "VALUE", "-e", "ANOTHER_KEY", "-x", "arg"),
    ).toMatchObject({
      server: { command: "your-command", args: ["arg"] },
      env: [
        ["KEY", "VALUE"],
        ["ANOTHER_KEY", "-x"],
      ],
      overrides: { port: 8080 },
    });
  });
  test("the manual's compose line", () => {
    expect(
      as("command", "--pass-environment", "--port=8096", "--sse-host", "0.0.0.0", "uvx", "mcp-server-fetch"),
    ).toMatchObject({
      server: { command: "uvx", args: ["mcp-server-fetch"] },
      overrides: { passEnvironment: true, port: 8096, host: "0.0.0.0" },
    });
  });
  test("--cwd, --env, --no-pass-environment, --no-stateless", () => {
    expect(
      as("command", "--cwd", "/tmp", "--env", "A", "", "--no-pass-environment", "--no-stateless", "cmd"),
    ).toMatchObject({
      cwd: "/tmp",
      env: [["A", ""]],
      overrides: { passEnvironment: false, stateless: false },
    });
  });
  test.each([
    [
      ["--allow-origin", "https://a.example", "http://localhost:3000", "cmd", "x"],
      ["https://a.example", "http://localhost:3000"],
    ],
    [["cmd", "x", "--allow-origin", "*"], ["*"]],
    [["cmd", "x", "--allow-origin=*"], ["*"]],
    [
      ["--allow-origin", "https://a", "--allow-origin=https://b/", "cmd", "x"],
      ["https://a", "https://b"],
    ],
  ])("%j", (argv, origins) => {
    const result = as("command", ...argv);
    expect(result.overrides.allowOrigins).toEqual(origins);
    expect(result.server).toEqual({ command: "cmd", args: ["x"] });
  });
  test("words of our own are a command behind --", () => {
    expect(as("command", "--", "check").server).toEqual({ command: "check", args: [] });
  });
});

describe("named servers", () => {
  test("are split like a shell does", () => {
    expect(
      as("command", "--named-server", "a", `uvx "two words" 'it''s' b\\ c ""`, "-named-server", "b", "x"),
    ).toMatchObject({
      server: undefined,
      named: [
        { name: "a", command: "uvx", args: ["two words", "its", "b c", ""] },
        { name: "b", command: "x", args: [] },
      ],
    });
  });
  test("beside a default server", () => {
    expect(as("command", "--named-server", "a", "x", "--", "y")).toMatchObject({
      server: { command: "y" },
      named: [{ name: "a" }],
    });
  });
  test("a file overrides them, with a warning", () => {
    expect(as("command", "--named-server", "a", "x", "--named-server-config=s.json")).toMatchObject({
      named: [],
      namedFile: "s.json",
      warnings: ["--named-server is ignored: --named-server-config names all named servers"],
    });
  });
});

describe("the bridge", () => {
  test.each([
    [["http://h/sse"], undefined],
    [["--transport", "streamablehttp", "http://h/mcp"], "http"],
    [["http://h/mcp", "--transport=sse"], "sse"],
  ])("%j", (argv, transport) =>
    expect(as("bridge", ...argv).remote.transport).toBe(transport as "sse" | "http" | undefined),
  );

  test("headers, before and behind the URL", () => {
    const { remote } = as("bridge", "-H", "Authorization", "Bearer x", "http://h/sse", "--headers", "X-A", "-b");
    expect(remote).toMatchObject({
      url: "http://h/sse",
      headers: [
        ["Authorization", "Bearer x"],
        ["X-A", "-b"],
      ],
    });
  });
  test.each([
    [["--verify-ssl", "https://h/sse"], { kind: "on" }],
    [["--no-verify-ssl", "https://h/sse"], { kind: "off" }],
    [["--verify-ssl", "false", "https://h/sse"], { kind: "off" }],
    [["--verify-ssl=false", "https://h/sse"], { kind: "off" }],
    [["https://h/sse", "--verify-ssl"], { kind: "on" }],
    [["--verify-ssl", "/ca.pem", "https://h/sse"], { kind: "bundle", path: "/ca.pem" }],
    [["https://h/sse"], { kind: "on" }],
  ])("%j", (argv, verify) => {
    expect(as("bridge", ...argv).remote).toMatchObject({ url: "https://h/sse", verify });
  });
  test("credentials and basic authentication", () => {
    const { remote } = as(
      "bridge",
      "--client-id",
      "i",
      "--client-secret",
      "-s",
      "--token-url",
      "https://h/t",
      "--username",
      "u",
      "--password",
      "p",
      "https://h/",
    );
    expect(remote).toMatchObject({
      credentials: { clientId: "i", clientSecret: "-s", tokenUrl: "https://h/t" },
      digest: false,
      user: { username: "u", password: "p" },
    });
  });
  test("a named server beside it is a warning", () => {
    expect(as("bridge", "--named-server", "a", "x", "http://h/").warnings).toEqual([
      "--named-server has no effect: a URL is given",
    ]);
  });
});

describe("other commands", () => {
  test.each<[string[], Partial<Command>]>([
    [["--version"], { kind: "version" }],
    [["-version"], { kind: "version" }],
    [["-h"], { kind: "help", all: false }],
    [["-help"], { kind: "help", all: false }],
    [["--bogus", "--help"], { kind: "help", all: false }],
    [["help"], { kind: "help", all: false }],
    [["help", "all"], { kind: "help", all: true }],
    [["check"], { kind: "check", json: false, live: false, source: { kind: "discover" } }],
    [["check", "--config", "c", "--json"], { kind: "check", json: true, source: { kind: "location", location: "c" } }],
    [["check", "c.json"], { kind: "check", source: { kind: "location", location: "c.json" } }],
    [["--eject-templates"], { kind: "eject-templates", to: undefined, force: false }],
    [["-eject-templates-to", "d", "--force"], { kind: "eject-templates", to: "d", force: true }],
    [["hash-password"], { kind: "hash-password" }],
    [["connect", "claude"], { kind: "connect", client: "claude" }],
  ])("%j", (argv, expected) => expect(parse(...argv)).toMatchObject(expected));
});

describe("wrong usage names the flag and says what to do", () => {
  test.each([
    [["--bogus"], "unknown flag --bogus"],
    [["--prot", "1"], "unknown flag --prot"],
    [["-x"], "unknown flag -x"],
    [["--named-server-c", "f"], "unknown flag --named-server-c"],
    [["uvx", "server", "--user-agent=secret"], "unknown flag --user-agent"],
    [["--port"], "--port needs a value"],
    [["--port", "http"], "--port takes a number from 0 to 65535"],
    [["--port=70000"], "--port takes a number from 0 to 65535"],
    [["--config", "--debug"], "--config needs a value"],
    [["--config="], "--config needs a value"],
    [["--insecure=maybe"], "--insecure takes true or false"],
    [["-e", "K=V", "cmd"], "-e takes a name and a value as two arguments"],
    [["-e", "K"], "-e needs two arguments"],
    [["--env=K", "V"], '--env takes two arguments, not "="'],
    [["-H", "K: V", "http://h/"], "-H takes a name and a value as two arguments"],
    [["--named-server", "a"], "--named-server needs two arguments"],
    [["--transport", "ws", "http://h/"], "--transport takes one of: sse, streamablehttp"],
    [["--log-level", "loud"], "--log-level takes trace, debug, info, warning, error or critical"],
    [["--log-format", "xml"], "--log-format takes one of: pretty, json"],
    [["--allow-origin", "cmd"], "--allow-origin needs at least one origin"],
    [["--client-id", "i", "http://h/"], "--client-id, --client-secret and --token-url belong together"],
    [["--username", "u", "http://h/"], "--username and --password belong together"],
    [["--digest", "http://h/"], "--digest needs --username and --password"],
    [["--digest", "--username", "u", "http://h/"], "--digest needs --username and --password"],
    [["--digest", "--password", "p", "http://h/"], "--digest needs --username and --password"],
    [["--config", "c", "cmd"], '--config and "cmd" exclude each other'],
    [["--named-server", "a", "x 'y"], "a quote (') in the command is not closed"],
    [["--http-headers", "nonsense"], "entry 1 of --http-headers is no header"],
    [["--http-timeout", "soon"], "--http-timeout takes seconds, more than 0 and at most 3600"],
    [["check", "a", "b"], '"check" takes no further argument'],
    [["--"], "nothing follows --"],
    [["help", "me"], "unknown help topic me"],
  ])("%j", (argv, message) => expect(usage(...argv).message).toBe(message));

  test("an unknown flag before --: put -- in front of the command", () => {
    expect(usage("uvx", "server", "--user-agent=x").hint).toBe(
      "if it belongs to the command, put -- in front of the command: mcp-proxy -- uvx …",
    );
    expect(usage("--prot", "1").hint).toStartWith("did you mean --port?");
  });
  test("a value is never repeated", () => {
    const error = usage("--tokenn=sup3rsecret");
    expect(error.message + error.hint).not.toContain("sup3rsecret");
  });
});

describe("help", () => {
  test("one screen", () => {
    expect(HELP.split("\n").length).toBeLessThan(25);
    expect(HELP.split("\n").every((line) => line.length <= 90)).toBe(true);
  });
  test("help all lists every flag and how the older ones are written", () => {
    for (const flag of FLAGS) expect(helpAll()).toContain(`--${flag.name}`);
    expect(helpAll()).toContain("-config x");
  });
});
