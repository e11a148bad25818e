import { convertOldFormat } from "./convert.ts";
import type { Config, Flavour } from "./config.ts";
import type { Reading } from "./context.ts";
import { Document } from "./document.ts";
import type { DuplicateKey } from "./document.ts";
import { decidesAccess, expandValue } from "./expand.ts";
import type { ExpandMode, Gap } from "./expand.ts";
import { normalize } from "./normalize.ts";
import { displayName, inTextOrder, Problems } from "./problem.ts";
import type { Locate, Path, Problem, ProblemCode } from "./problem.ts";
import { anyFile } from "./schema.ts";
import type { AnyFile } from "./schema.ts";
import { server as serverSchema } from "./schema-server.ts";
import { validate } from "./validate.ts";

type Tree = Record<string, unknown>;

export interface Interpreted {
  readonly config: Config | undefined;
  readonly problems: readonly Problem[];
}

/** Which habits a parsed text belongs to, before anything in it is checked. */
export function flavourOf(text: string, habit: Reading["habit"]): Flavour {
  const parsed = Document.parse(text);
  if (habit === "bridge") return "bridge";
  const value = "document" in parsed ? parsed.document.value() : undefined;
  if (isTree(value) && ["mcpProxy", "server", "clients"].some((key) => Object.hasOwn(value, key))) return "go";
  return habit === "env" ? "env" : "plain";
}

/** From text to internal form, with every mistake on the way. Never throws. */
export function interpret(text: string, flavour: Flavour, reading: Reading): Interpreted {
  const parsed = Document.parse(text);
  if ("errors" in parsed) {
    const problems = parsed.errors.map((error): Problem => ({
      code: "config.syntax",
      severity: "error",
      file: reading.file,
      path: "",
      ...error,
    }));
    return { config: undefined, problems };
  }
  const { document } = parsed;
  let origin = (path: Path): Path => path;
  const locate: Locate = (path, at) => document.locate(path, at);
  const problems = new Problems(reading.file, locate, (path) => origin(path));
  for (const duplicate of document.duplicates()) reportDuplicate(duplicate, problems);
  const root = document.value();
  if (!isTree(root)) {
    problems.error([], 'expected an object with "mcpServers" in it');
    return { config: undefined, problems: problems.list };
  }
  const switchedOff = removeSwitchedOff(root);
  const { value, gaps } = expandValue(withoutNulls(root, []), {
    mode: expandMode(reading.context.overrides.expandEnv),
    env: reading.env,
    directory: reading.directory,
    home: reading.context.home,
  });
  for (const gap of gaps) reportGap(gap, problems);
  checkShape(value as Tree, flavour, problems);
  const odd = takeOddName(value as Tree, problems);
  const checked = checkFile(value as Tree, problems);
  const oddServer = odd === undefined ? undefined : validate(serverSchema, odd, problems, ["mcpServers", PROTO]).data;
  if (checked === undefined) return { config: undefined, problems: inTextOrder(problems.list) };
  const converted = convertOldFormat(checked, problems);
  const servers: NonNullable<typeof converted.file.mcpServers> = Object.assign(
    Object.create(null),
    converted.file.mcpServers,
  );
  if (oddServer !== undefined) servers[PROTO] = oddServer;
  origin = converted.origin;
  const names = [...document.keys(["mcpServers"]), ...document.keys(["clients"])];
  const { config, problems: others } = normalize({
    file: converted.file.mcpServers === undefined ? converted.file : { ...converted.file, mcpServers: servers },
    flavour,
    reading,
    problems,
    gaps: gaps.map((gap) => (gap.path[0] === "clients" ? { ...gap, path: ["mcpServers", ...gap.path.slice(1)] } : gap)),
    serverOrder: [...new Set(names)],
    switchedOff,
    groupOrder: document.keys(["groups"]),
    raw: (path) => document.raw(origin(path)),
  });
  const all = inTextOrder([...problems.list, ...others]);
  return { config: all.some((problem) => problem.severity === "error") ? undefined : config, problems: all };
}

/**
 * A mistake in one place must not hide those of later checks elsewhere: what is wrong is cut out, the rest goes on.
 * The problems already say that no configuration may come of it.
 */
function checkFile(value: Tree, problems: Problems): AnyFile | undefined {
  const { data, wrong } = validate(anyFile, value, problems);
  if (data !== undefined) return data;
  for (const [first, second] of wrong) {
    const map = value[String(first)];
    if (second !== undefined && isTree(map)) delete map[String(second)];
    else delete value[String(first)];
  }
  return validate(anyFile, value, new Problems("")).data;
}

function expandMode(flag: boolean | undefined): ExpandMode {
  if (flag === undefined) return "braces";
  return flag ? "all" : "none";
}

function isTree(value: unknown): value is Tree {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function reportDuplicate({ path, first, again }: DuplicateKey, problems: Problems): void {
  const message = `this key stands here a second time (first at ${first.line}:${first.column}); the last one counts`;
  problems.warning(path, message, { code: "config.duplicate_key", place: again });
}

/** `null` means what an absent key means, as in the Go program; where something is named by the key it stays and is an error. */
function withoutNulls(value: unknown, path: Path): unknown {
  if (Array.isArray(value)) return value.map((entry, index) => withoutNulls(entry, [...path, index]));
  if (!isTree(value)) return value;
  const named = path.length === 1 && (path[0] === "mcpServers" || path[0] === "clients" || path[0] === "groups");
  const copy: Tree = Object.create(null);
  for (const [key, entry] of Object.entries(value)) {
    if (entry !== null || named) copy[key] = withoutNulls(entry, [...path, key]);
  }
  return copy;
}

/** Takes servers out that are switched off: what is not used needs no variables and may be incomplete. */
function removeSwitchedOff(root: Tree): string[] {
  const names: string[] = [];
  for (const map of [root["mcpServers"], root["clients"]]) {
    if (!isTree(map)) continue;
    for (const [name, entry] of Object.entries(map)) {
      if (!isTree(entry)) continue;
      const inOptions = isTree(entry["options"]) && entry["options"]["disabled"] === true;
      if (entry["enabled"] !== false && entry["disabled"] !== true && !inOptions) continue;
      names.push(name);
      delete map[name];
    }
  }
  return names;
}

function reportGap(gap: Gap, problems: Problems): void {
  const what =
    gap.kind === "variable"
      ? `the variable ${gap.name} ${gap.reason} and has no default`
      : `the file ${gap.name} ${gap.reason}`;
  if (decidesAccess(gap.path)) {
    problems.error(gap.path, `${what}; an empty text must not decide who gets in`, {
      code: codeOf(gap),
      hint: remedy(gap),
    });
    return;
  }
  const [map, name, ...key] = gap.path;
  const isServer = map === "mcpServers" || map === "clients";
  if (gap.kind === "file" && !isServer) {
    problems.error(gap.path, what, { code: codeOf(gap), hint: remedy(gap) });
    return;
  }
  const where = isServer ? `${key.join(".")} of server "${displayName(String(name))}"` : gap.path.join(".");
  problems.warning(gap.path, `${what}: ${where} is EMPTY`, { code: codeOf(gap), hint: remedy(gap) });
}

function codeOf(gap: Gap): ProblemCode {
  return gap.kind === "variable" ? "config.unset_variable" : "config.unreadable";
}

function remedy(gap: Gap): string {
  return gap.kind === "variable"
    ? `set ${gap.name}, or write \${${gap.name}:-default}`
    : "check the path and its permissions";
}

/** A file that is no configuration at all deserves one clear sentence. */
function checkShape(root: Tree, flavour: Flavour, problems: Problems): void {
  if (flavour === "go" || root["mcpServers"] !== undefined) return;
  problems.error([], 'the key "mcpServers" is missing', { hint: 'servers are named below "mcpServers"' });
}

const PROTO = "__proto__";

/**
 * A server may have any name; this one never gets through a schema library. Anywhere else the key has no meaning.
 * @returns the entry of the server that is called so
 */
function takeOddName(root: Tree, problems: Problems): unknown {
  let server: unknown;
  const visit = (value: unknown, path: Path): void => {
    if (Array.isArray(value)) value.forEach((entry, index) => visit(entry, [...path, index]));
    if (!isTree(value)) return;
    for (const [key, entry] of Object.entries(value)) {
      if (key !== PROTO) {
        visit(entry, [...path, key]);
        continue;
      }
      if (path.length === 1 && path[0] === "mcpServers") server = entry;
      else problems.warning([...path, key], `"${PROTO}" is not supported as a key and has no effect`, { at: "key" });
      delete value[key];
    }
  };
  visit(root, []);
  return server;
}
