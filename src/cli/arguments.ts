import { nearest } from "../config/nearest.ts";
import { FLAGS, flagOf } from "./flags.ts";
import type { Flag } from "./flags.ts";
import { UsageError } from "./usage-error.ts";

/** What was given, before it is known what it means together. */
export class Arguments {
  /** In front of `--`. */
  readonly positionals: string[] = [];
  /** Behind `--`: the child's, untouched. Undefined when there was no `--`. */
  rest: readonly string[] | undefined;
  readonly #given = new Map<string, (string | boolean | readonly [string, string])[]>();

  add(flag: Flag, value: string | boolean | readonly [string, string]): void {
    this.#given.set(flag.name, [...(this.#given.get(flag.name) ?? []), value]);
  }

  has(name: string): boolean {
    return this.#given.has(name);
  }

  /** The last one given wins. */
  text(name: string): string | undefined {
    const value = this.#given.get(name)?.at(-1);
    return typeof value === "string" ? value : undefined;
  }

  switch(name: string): boolean | undefined {
    const value = this.#given.get(name)?.at(-1);
    return typeof value === "boolean" ? value : undefined;
  }

  texts(name: string): string[] {
    return (this.#given.get(name) ?? []).filter((value) => typeof value === "string");
  }

  pairs(name: string): (readonly [string, string])[] {
    return (this.#given.get(name) ?? []).filter((value) => typeof value === "object");
  }

  /** Names of the flags given, in the order of the table. */
  names(): string[] {
    return FLAGS.map((flag) => flag.name).filter((name) => this.#given.has(name));
  }
}

/**
 * Sorts a command line into flags and the rest. Our flags count wherever they stand before `--`.
 * The pairs need to see the arguments behind them, so this walks by itself instead of using `parseArgs`, whose tokens
 * have lost where a value ended.
 * @throws UsageError
 */
export function readArguments(argv: readonly string[]): Arguments {
  const result = new Arguments();
  let at = 0;
  const next = (): string | undefined => argv[at];
  while (at < argv.length) {
    const token = argv[at++] ?? "";
    if (token === "--") {
      result.rest = argv.slice(at);
      return result;
    }
    if (!token.startsWith("-") || token === "-") {
      result.positionals.push(token);
      continue;
    }
    const found = flagOf(token);
    if (found === undefined) throw unknownFlag(token, result.positionals);
    const { flag, negated, inline } = found;
    switch (flag.kind) {
      case "switch":
        result.add(flag, readSwitch(token, inline) !== negated);
        break;
      case "value": {
        if (inline === undefined) at++;
        const value = inline ?? argv[at - 1];
        if (value === undefined || (inline === undefined && (value === "--" || flagOf(value) !== undefined))) {
          throw new UsageError(`${name(token)} needs a value`, `${name(token)} ${flag.argument ?? ""}`);
        }
        result.add(flag, value);
        break;
      }
      case "pair":
        result.add(flag, readPair(token, flag, inline, argv, at));
        at += 2;
        break;
      case "origins": {
        const values = inline === undefined ? [] : [inline];
        while (inline === undefined && looksLikeOrigin(next())) values.push(argv[at++] ?? "");
        if (values.length === 0 || values.includes("")) {
          throw new UsageError(
            `${name(token)} needs at least one origin`,
            "--allow-origin https://app.example.com, or '*' for all",
          );
        }
        for (const value of values) result.add(flag, value);
        break;
      }
      case "maybe-value": {
        const takes = inline === undefined && !negated && looksLikeSetting(next());
        result.add(flag, negated ? "false" : (inline ?? (takes ? (argv[at++] ?? "") : "true")));
      }
    }
  }
  return result;
}

const YES = /^(1|t|true|yes|on)$/i;
const NO = /^(0|f|false|no|off)$/i;

export function parseBoolean(text: string): boolean | undefined {
  if (YES.test(text)) return true;
  return NO.test(text) ? false : undefined;
}

function readSwitch(token: string, inline: string | undefined): boolean {
  const value = inline === undefined ? true : parseBoolean(inline);
  if (value === undefined)
    throw new UsageError(`${name(token)} takes true or false`, `${name(token)}=false switches it off`);
  return value;
}

function readPair(
  token: string,
  flag: Flag,
  inline: string | undefined,
  argv: readonly string[],
  at: number,
): readonly [string, string] {
  const [first, second] = [argv[at], argv[at + 1]];
  const usage = `${name(token)} ${flag.argument ?? ""}`;
  if (inline !== undefined) throw new UsageError(`${name(token)} takes two arguments, not "="`, usage);
  const missing = first === undefined || second === undefined || first === "--" || second === "--";
  if (missing || flagOf(first) !== undefined || flagOf(second) !== undefined) {
    const joined = first !== undefined && first.includes("=") ? ", with a blank between the two" : "";
    throw new UsageError(`${name(token)} needs two arguments`, `write ${usage}${joined}`);
  }
  // -e KEY=VALUE COMMAND would swallow the command as the value.
  if ((flag.name === "env" && first.includes("=")) || (flag.name === "headers" && /[=:]/.test(first))) {
    throw new UsageError(
      `${name(token)} takes a name and a value as two arguments`,
      `write ${usage}, with a blank between the two`,
    );
  }
  return [first, second];
}

function looksLikeOrigin(token: string | undefined): boolean {
  return (
    token !== undefined && (token === "*" || token === "null" || /^[a-z][a-z0-9+.-]*:\/\/[^/\s]+\/?$/i.test(token))
  );
}

/** A URL or a command behind `--verify-ssl` is what to connect to or start; a word for yes or no, or a file, is meant. */
function looksLikeSetting(token: string | undefined): boolean {
  if (token === undefined || token.startsWith("-") || /^https?:\/\//i.test(token)) return false;
  return parseBoolean(token) !== undefined || /[./\\]/.test(token);
}

/** Without the value, which may be a secret. */
function name(token: string): string {
  return token.split("=")[0] ?? token;
}

function unknownFlag(token: string, positionals: readonly string[]): UsageError {
  const near = nearest(
    name(token).replace(/^-+/, ""),
    FLAGS.map((flag) => flag.name),
  );
  const guess = near === undefined ? "" : `did you mean --${near}? `;
  const command = positionals[0];
  const separator =
    command === undefined
      ? "if it belongs to the command, put -- in front of the command: mcp-proxy -- COMMAND ARGS…"
      : `if it belongs to the command, put -- in front of the command: mcp-proxy -- ${command} …`;
  return new UsageError(`unknown flag ${name(token)}`, `${guess}${separator}`);
}
