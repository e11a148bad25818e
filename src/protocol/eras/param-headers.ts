import { find } from "../json.ts";
import { skipSpace } from "../strict-json.ts";
import { stringAt } from "../message.ts";
import { decodeHeader, encodeHeader } from "./header-value.ts";

/** An argument that is mirrored in a header `Mcp-Param-<name>` (MCP 2026-07-28, basic/transports/streamable-http). */
export interface ParamHeader {
  readonly name: string;
  /** Keys from the root of the arguments. */
  readonly path: readonly string[];
  readonly integer: boolean;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const TYPES = new Set(["string", "integer", "boolean"]);
const ANNOTATION = "x-mcp-header";

/**
 * The arguments of a tool that travel in headers too.
 * @param schema its parsed `inputSchema`
 * @returns a sentence when an annotation is invalid: then clients must not offer the tool
 */
export function paramHeaders(schema: unknown): readonly ParamHeader[] | string {
  const found: ParamHeader[] = [];
  const wrong = collect(schema, [], true, found);
  if (wrong !== undefined) return wrong;
  const names = new Set<string>();
  for (const { name } of found) {
    if (names.has(name.toLowerCase())) return `${ANNOTATION} "${name}" stands there twice`;
    names.add(name.toLowerCase());
  }
  return found;
}

function collect(
  schema: unknown,
  path: readonly string[],
  reachable: boolean,
  found: ParamHeader[],
): string | undefined {
  if (typeof schema !== "object" || schema === null) return undefined;
  if (Array.isArray(schema)) {
    for (const each of schema) {
      const wrong = collect(each, path, false, found);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }
  const object = schema as Record<string, unknown>;
  if (ANNOTATION in object) {
    const name = object[ANNOTATION];
    const at = path.join(".");
    if (typeof name !== "string" || !TOKEN.test(name)) return `${ANNOTATION} at ${at} is no name of a header`;
    if (!reachable || path.length === 0) return `${ANNOTATION} "${name}" is not reached through properties alone`;
    const { type } = object;
    if (typeof type !== "string" || !TYPES.has(type))
      return `${ANNOTATION} "${name}" needs a string, integer or boolean`;
    found.push({ name, path, integer: type === "integer" });
  }
  for (const [key, value] of Object.entries(object)) {
    // What stands in these is data, not schema.
    if (key === "default" || key === "const" || key === "enum" || key === "examples") continue;
    if (key === "properties" && typeof value === "object" && value !== null) {
      for (const [property, inner] of Object.entries(value)) {
        const wrong = collect(inner, [...path, property], reachable, found);
        if (wrong !== undefined) return wrong;
      }
    } else {
      const wrong = collect(value, path, false, found);
      if (wrong !== undefined) return wrong;
    }
  }
  return undefined;
}

/** Raw value of an argument, undefined when it is absent or null. */
function argument(args: string | undefined, path: readonly string[]): string | undefined {
  if (args === undefined) return undefined;
  const span = find(args, skipSpace(args, 0), ...path);
  const raw = span === undefined ? undefined : args.slice(span.start, span.end);
  return raw === "null" ? undefined : raw;
}

/** The headers for the arguments of one call. @param args raw text of `arguments` */
export function produceParamHeaders(headers: readonly ParamHeader[], args: string | undefined): Record<string, string> {
  const produced: Record<string, string> = {};
  for (const { name, path } of headers) {
    const raw = argument(args, path);
    if (raw === undefined || raw.startsWith("{") || raw.startsWith("[")) continue;
    produced[`mcp-param-${name.toLowerCase()}`] = encodeHeader(plain(raw));
  }
  return produced;
}

/**
 * Compares the headers of a call with its arguments.
 * @returns a sentence about the first that differs
 */
export function checkParamHeaders(
  headers: readonly ParamHeader[],
  args: string | undefined,
  given: (name: string) => string | null,
): string | undefined {
  for (const { name, path, integer } of headers) {
    const header = given(`mcp-param-${name}`);
    const raw = argument(args, path);
    if (raw === undefined) {
      if (header !== null) return `Mcp-Param-${name} is there and the argument ${path.join(".")} is not`;
      continue;
    }
    if (header === null) return `Mcp-Param-${name} is missing`;
    const value = decodeHeader(header);
    if (value === undefined) return `Mcp-Param-${name} is not valid base64`;
    const body = plain(raw);
    const same =
      value === body || (integer && value.trim() !== "" && isNumber(value) && Number(value) === Number(body));
    if (!same) return `Mcp-Param-${name} differs from the argument ${path.join(".")}`;
  }
  return undefined;
}

function isNumber(text: string): boolean {
  return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text.trim());
}

function plain(raw: string): string {
  return stringAt(raw, { start: 0, end: raw.length }) ?? raw;
}

/** The member of params that `Mcp-Name` repeats, undefined for methods without one. */
export function namedBy(method: string): string | undefined {
  switch (method) {
    case "tools/call":
    case "prompts/get":
      return "name";
    case "resources/read":
      return "uri";
    case "tasks/get":
    case "tasks/update":
    case "tasks/cancel":
      return "taskId";
    default:
      return undefined;
  }
}
