import type { Overrides, Source } from "../config/context.ts";
import { readArguments } from "./arguments.ts";
import type { Arguments } from "./arguments.ts";
import { withoutEffect } from "./choice.ts";
import { readOverrides } from "./overrides.ts";
import { readRemote } from "./remote.ts";
import type { Remote } from "./remote.ts";
import { shellWords } from "./shell-words.ts";
import { UsageError } from "./usage-error.ts";

export { UsageError };

/** One stdio server given on the command line. */
export interface CommandServer {
  readonly command: string;
  readonly args: readonly string[];
}

/** What a command line asks for. `warnings` name flags that have no effect. */
export type Command =
  | { readonly kind: "help"; readonly all: boolean }
  | { readonly kind: "version" }
  | {
      readonly kind: "serve";
      readonly source: Source;
      readonly overrides: Overrides;
      readonly stdio: boolean;
      readonly warnings: readonly string[];
    }
  | {
      readonly kind: "check";
      readonly source: Source;
      readonly overrides: Overrides;
      readonly json: boolean;
      readonly live: boolean;
    }
  | {
      readonly kind: "check-public";
      readonly url: URL;
      readonly headers: readonly (readonly [string, string])[];
      readonly json: boolean;
    }
  | {
      readonly kind: "bridge";
      readonly remote: Remote;
      readonly overrides: Overrides;
      readonly warnings: readonly string[];
    }
  | {
      readonly kind: "command";
      readonly server: CommandServer | undefined;
      readonly env: readonly (readonly [string, string])[];
      readonly cwd: string | undefined;
      readonly named: readonly (CommandServer & { readonly name: string })[];
      /** `--named-server-config`; `named` is empty then. */
      readonly namedFile: string | undefined;
      readonly exposeHeaders: readonly string[];
      readonly stdio: boolean;
      readonly overrides: Overrides;
      readonly warnings: readonly string[];
    }
  | {
      readonly kind: "eject-templates";
      readonly to: string | undefined;
      readonly force: boolean;
      readonly source: Source;
      readonly overrides: Overrides;
    }
  | { readonly kind: "hash-password" }
  | {
      readonly kind: "connect";
      /** Undefined: those that are known are listed. */
      readonly client: string | undefined;
      /** A URL, or the name of a server in the configuration. */
      readonly target: string | undefined;
      readonly source: Source;
      readonly overrides: Overrides;
    };

/**
 * Reads a command line (without the program's own name).
 * @throws UsageError for what cannot be understood: exit code 2
 */
export function parseOptions(argv: readonly string[]): Command {
  const asked = askedForHelp(argv);
  if (asked !== undefined) return asked;
  const given = readArguments(argv);
  const [word, ...others] = given.positionals;
  if (word === "help") {
    if (others.length > 1 || (others[0] !== undefined && others[0] !== "all"))
      throw new UsageError(`unknown help topic ${others[0]}`, "mcp-proxy help all");
    return { kind: "help", all: others[0] === "all" };
  }
  const overrides = readOverrides(given);
  if (given.has("eject-templates") || given.has("eject-templates-to") || word === "eject-templates") {
    return {
      kind: "eject-templates",
      to: given.text("eject-templates-to"),
      force: given.switch("force") ?? false,
      source: readSource(given),
      overrides,
    };
  }
  if (given.rest === undefined && word === "hash-password") return alone(given, others, { kind: "hash-password" });
  if (given.rest === undefined && word === "connect") {
    const [client, target] = others;
    if (others.length > 2)
      throw new UsageError(`"${others[2]}" is one word too many`, "mcp-proxy connect CLIENT [SERVER|URL]");
    return { kind: "connect", client, target, source: readSource(given), overrides };
  }
  if (given.rest === undefined && word === "check" && given.has("public")) {
    const url = URL.parse(given.text("public") ?? "");
    if (url === null || !/^https?:$/.test(url.protocol))
      throw new UsageError(
        "--public takes the URL that clients are given",
        "mcp-proxy check --public https://HOST/NAME/mcp",
      );
    const json = given.switch("json") ?? false;
    return alone(given, others, { kind: "check-public", url, headers: given.pairs("headers"), json });
  }
  if (given.rest === undefined && word === "check") {
    const named = given.has("config") || others[0] === undefined ? undefined : others.shift();
    return alone(given, others, {
      kind: "check",
      source: named === undefined ? readSource(given) : { kind: "location", location: named },
      overrides,
      json: given.switch("json") ?? false,
      live: given.switch("live") ?? false,
    });
  }
  const words = [...given.positionals, ...(given.rest ?? [])];
  if (given.rest?.length === 0 && given.positionals.length === 0 && !given.has("config")) {
    throw new UsageError("nothing follows --", "mcp-proxy -- COMMAND ARGS…");
  }
  const first = words[0];
  if (given.has("config")) {
    if (first !== undefined) {
      const hint = given.has("named-server")
        ? undefined
        : `mcp-proxy -- ${first} …, if --config is meant for the command`;
      throw new UsageError(`--config and "${first}" exclude each other`, hint);
    }
    return serve(given, overrides);
  }
  if (first !== undefined && /^https?:\/\//i.test(first)) return bridge(first, words.slice(1), given, overrides);
  if (first !== undefined || given.has("named-server") || given.has("named-server-config"))
    return command(words, given, overrides);
  return serve(given, overrides);
}

/** Help and version are answered even when the rest of the line is wrong, as all older programs do. */
function askedForHelp(argv: readonly string[]): Command | undefined {
  const end = argv.indexOf("--");
  for (const token of end < 0 ? argv : argv.slice(0, end)) {
    if (token === "-h" || /^--?help$/.test(token)) return { kind: "help", all: false };
    if (/^--?version$/.test(token)) return { kind: "version" };
  }
  return undefined;
}

function alone<T extends Command>(given: Arguments, others: readonly string[], result: T): T {
  const word = given.positionals[0] ?? "";
  if (others[0] !== undefined)
    throw new UsageError(
      `"${word}" takes no further argument`,
      word === "check" ? "mcp-proxy check --config FILE" : `mcp-proxy ${word}`,
    );
  return result;
}

function readSource(given: Arguments): Source {
  const location = given.text("config");
  if (location === "") throw new UsageError("--config needs a value", "--config FILE or --config URL");
  return location === undefined ? { kind: "discover" } : { kind: "location", location };
}

function serve(given: Arguments, overrides: Overrides): Command {
  const ignored =
    "env cwd headers transport client-id client-secret token-url username password digest verify-ssl named-server named-server-config";
  return {
    kind: "serve",
    source: readSource(given),
    overrides,
    stdio: given.switch("stdio") ?? false,
    warnings: withoutEffect(given, ignored.split(" "), "a configuration is served"),
  };
}

function bridge(url: string, more: readonly string[], given: Arguments, overrides: Overrides): Command {
  if (!URL.canParse(url)) throw new UsageError(`"${url}" is not a URL`, "mcp-proxy https://mcp.example.com/mcp");
  if (more.length > 0) throw new UsageError(`"${more[0]}" follows the URL, which takes no arguments`, "mcp-proxy URL");
  const ignored = "named-server named-server-config port host sse-port sse-host env cwd stateless allow-origin".split(
    " ",
  );
  const warnings = withoutEffect(given, ignored, "a URL is given");
  return { kind: "bridge", remote: readRemote(url, given), overrides, warnings };
}

function command(words: readonly string[], given: Arguments, overrides: Overrides): Command {
  const [program, ...args] = words;
  const ignored = ["headers", "transport", "client-id", "client-secret", "token-url", "username", "password", "digest"];
  const warnings = withoutEffect(given, ignored, "a command is given");
  const namedFile = given.text("named-server-config");
  if (namedFile !== undefined && given.has("named-server"))
    warnings.push("--named-server is ignored: --named-server-config names all named servers");
  const named =
    namedFile !== undefined
      ? []
      : given.pairs("named-server").map(([name, text]) => {
          const [first, ...rest] = shellWords(text);
          if (first === undefined || name === "")
            throw new UsageError(`--named-server ${name} has no command`, "--named-server NAME 'COMMAND ARGS…'");
          return { name, command: first, args: rest };
        });
  return {
    kind: "command",
    server: program === undefined ? undefined : { command: program, args },
    env: given.pairs("env"),
    cwd: given.text("cwd"),
    named,
    namedFile,
    exposeHeaders: readHeaderNames(given),
    stdio: given.switch("stdio") ?? false,
    overrides,
    warnings,
  };
}

function readHeaderNames(given: Arguments): string[] {
  const names = given.texts("expose-header");
  const wrong = names.find((name) => !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name));
  if (wrong !== undefined) throw new UsageError("--expose-header takes the name of a header", "--expose-header X-Name");
  return names;
}
