import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Path } from "./problem.ts";

/** `braces`: `${VAR}` forms only. `all`: bare `$VAR` as well (`--expand-env`). */
export type ExpandMode = "none" | "braces" | "all";

export interface ExpandOptions {
  readonly mode: ExpandMode;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Directory that `${file:relative}` starts from. */
  readonly directory: string;
  readonly home: string | undefined;
}

/** A variable or file that gave nothing. */
export interface Gap {
  readonly path: Path;
  readonly kind: "variable" | "file";
  /** Name of the variable or path of the file; both are written in the configuration and no secret. */
  readonly name: string;
  readonly reason: string;
}

/** A secret is short; an endless or huge file named by mistake must not stop the start. */
const MAX_FILE_BYTES = 1024 * 1024;
/** Looking for the end of a form at every `${` of a long text would take quadratic time. */
const MAX_FORM_LENGTH = 1024;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;

/** Replaces variables in every string value (never in keys), in place of a copy of `value`. */
export function expandValue(value: unknown, options: ExpandOptions): { value: unknown; gaps: Gap[] } {
  const gaps: Gap[] = [];
  if (options.mode === "none") return { value, gaps };
  const visit = (item: unknown, path: Path): unknown => {
    if (typeof item === "string") return item.includes("$") ? expandText(item, path, options, gaps) : item;
    if (Array.isArray(item)) return item.map((entry, index) => visit(entry, [...path, index]));
    if (item === null || typeof item !== "object") return item;
    const copy: Record<string, unknown> = Object.create(null);
    for (const [key, entry] of Object.entries(item)) copy[key] = visit(entry, [...path, key]);
    return copy;
  };
  return { value: visit(value, []), gaps };
}

function expandText(text: string, path: Path, options: ExpandOptions, gaps: Gap[]): string {
  let result = "";
  let at = 0;
  while (at < text.length) {
    const dollar = text.indexOf("$", at);
    if (dollar < 0) break;
    result += text.slice(at, dollar);
    const end = text[dollar + 1] === "{" ? closingBrace(text, dollar + 2) : -1;
    const replaced = end < 0 ? undefined : expandBraces(text.slice(dollar + 2, end), path, options, gaps);
    if (replaced !== undefined) {
      result += replaced;
      at = end + 1;
      continue;
    }
    const bare = options.mode === "all" ? NAME.exec(text.slice(dollar + 1))?.[0] : undefined;
    result += bare === undefined ? "$" : lookUp(bare, undefined, path, options, gaps);
    at = dollar + 1 + (bare?.length ?? 0);
  }
  return result + text.slice(at);
}

/** Undefined when it is none of our forms: the text then stays as it is. */
function expandBraces(inner: string, path: Path, options: ExpandOptions, gaps: Gap[]): string | undefined {
  if (inner.startsWith("file:")) return readSecretFile(inner.slice(5), path, options, gaps);
  const name = NAME.exec(inner)?.[0];
  if (name === undefined) return undefined;
  const rest = inner.slice(name.length);
  if (rest === "") return lookUp(name, undefined, path, options, gaps);
  return rest.startsWith(":-") ? lookUp(name, rest.slice(2), path, options, gaps) : undefined;
}

function lookUp(name: string, fallback: string | undefined, path: Path, options: ExpandOptions, gaps: Gap[]): string {
  const value = Object.hasOwn(options.env, name) ? options.env[name] : undefined;
  if (value !== undefined && (value !== "" || fallback === undefined)) return value;
  if (fallback !== undefined) return fallback.includes("${") ? expandText(fallback, path, options, gaps) : fallback;
  gaps.push({ path, kind: "variable", name, reason: "is not set" });
  return "";
}

function readSecretFile(name: string, path: Path, options: ExpandOptions, gaps: Gap[]): string {
  const home = name.startsWith("~/") && options.home !== undefined ? options.home + name.slice(1) : name;
  const file = resolve(options.directory, home);
  const gap = (reason: string): string => {
    gaps.push({ path, kind: "file", name, reason });
    return "";
  };
  try {
    const facts = statSync(file);
    if (!facts.isFile()) return gap("is not a regular file");
    if (facts.size > MAX_FILE_BYTES) return gap(`is larger than ${MAX_FILE_BYTES} bytes`);
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    return gap(`cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown reason"})`);
  }
}

function closingBrace(text: string, from: number): number {
  let depth = 1;
  const end = Math.min(text.length, from + MAX_FORM_LENGTH);
  for (let at = from; at < end; at++) {
    if (text[at] === "}" && --depth === 0) return at;
    if (text[at] === "$" && text[at + 1] === "{") depth++;
  }
  return -1;
}

const DECIDES_ACCESS = new Set([
  "authTokens",
  "globalAuthTokens",
  "users",
  "apiKeys",
  "oauth2",
  "identityProvider",
  "allowedIPs",
  "trustedProxies",
  "tls",
]);

/** Keys in which an empty string would open a door, so that an unset variable there is an error. */
export function decidesAccess(path: Path): boolean {
  const isMap = path[0] === "mcpServers" || path[0] === "clients" || path[0] === "groups";
  const rest = path.slice(isMap ? 2 : 1);
  const key = rest[0] === "options" ? rest[1] : rest[0];
  return typeof key === "string" && DECIDES_ACCESS.has(key);
}
