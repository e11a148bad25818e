import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Loaded, LoadContext, Reading, Source } from "./context.ts";
import { discover } from "./discover.ts";
import { Document } from "./document.ts";
import { parseDotenv } from "./dotenv.ts";
import { flavourOf, interpret } from "./interpret.ts";
import { isUrl, readSource, showLocation } from "./read-source.ts";

/**
 * Finds, reads, checks and normalizes a configuration. It never throws and never stops at the first mistake: what is
 * wrong is in `problems`, and `config` is there only when none of them is an error.
 */
export async function loadConfig(source: Source, context: LoadContext): Promise<Loaded> {
  const found = discover(source, context);
  const base = { config: undefined, problems: [], notes: [], location: undefined, sseUrl: undefined, env: context.env };
  if (found.kind === "nothing") return { ...base, found: "nothing" };
  if (found.kind === "sse-url") return { ...base, found: "sse-url", sseUrl: found.url, notes: found.notes };
  if (found.kind === "text") return { ...base, ...load(found.text, found.name, "config", context), found: "config" };

  const notes = [...found.notes];
  let { location } = found;
  let read = await readSource(location, context);
  if ("text" in read && found.habit === "env" && flavourOf(read.text, "env") === "env") {
    // In env mode `.env` may name another file, but only where the environment itself does not.
    const other = context.env["MCP_CONFIG_PATH"] ? undefined : readDotenv(context.cwd)["MCP_CONFIG_PATH"];
    if (other && resolve(context.cwd, other) !== resolve(context.cwd, location)) {
      notes.push(`using ${showLocation(other)} instead: .env names it in MCP_CONFIG_PATH`);
      location = other;
      read = await readSource(location, context);
    }
  }
  const file = showLocation(location);
  if (!("text" in read)) {
    const { message, hint } = read;
    const code = read.missing === true ? "config.not_found" : "config.unreadable";
    const problem = { code, severity: "error", file, line: undefined, column: undefined, path: "", message } as const;
    return {
      ...base,
      found: "config",
      location,
      notes,
      attempts: found.habit === "env" ? attemptsOf(context) : 1,
      problems: [hint === undefined ? problem : { ...problem, hint }],
    };
  }
  const loaded = load(read.text, file, found.habit, context, isUrl(location) ? undefined : location);
  return { ...base, ...loaded, found: "config", location, text: read.text, notes: [...notes, ...loaded.notes] };
}

function load(text: string, file: string, habit: Reading["habit"], context: LoadContext, path?: string) {
  const flavour = flavourOf(text, habit);
  const notes: string[] = [];
  let { env } = context;
  if (flavour === "env") {
    const extra = readDotenv(context.cwd);
    if (Object.keys(extra).length > 0) notes.push(".env of the working directory was read; the environment wins");
    env = { ...extra, ...definedOnly(context.env) };
  }
  const directory = path === undefined ? context.cwd : dirname(resolve(context.cwd, path));
  if (flavour === "bridge") notes.push('"timeout" is ignored for servers of --named-server-config');
  const attempts = habit === "env" && "errors" in Document.parse(text) ? attemptsOf(context) : 1;
  return { ...interpret(text, flavour, { file, directory, habit, context, env }), notes, env, attempts };
}

/** `MCP_MAX_RETRIES`, also of `.env`: in a container the file may be mounted a moment after the start. */
function attemptsOf(context: LoadContext): number {
  const given = context.env["MCP_MAX_RETRIES"] ?? readDotenv(context.cwd)["MCP_MAX_RETRIES"];
  const value = Number(given?.trim() || DEFAULT_ATTEMPTS);
  return Number.isInteger(value) && value >= 1 ? Math.min(value, MOST_ATTEMPTS) : 1;
}

const DEFAULT_ATTEMPTS = 3;
/** Each wait is twice as long as the one before. */
const MOST_ATTEMPTS = 10;

function definedOnly(env: LoadContext["env"]): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** A missing or unreadable `.env` is no mistake: nobody promised one. */
function readDotenv(cwd: string): Record<string, string> {
  try {
    return parseDotenv(readFileSync(resolve(cwd, ".env"), "utf8"));
  } catch {
    return {};
  }
}
