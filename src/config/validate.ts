import type { z } from "zod";
import { nearest } from "./nearest.ts";
import type { Path, Problems } from "./problem.ts";

type Issue = z.core.$ZodIssue;
type Schema = z.core.$ZodType;
/** What is read of zod's own description of a schema to learn which keys an object knows. */
interface Definition {
  readonly type: string;
  readonly innerType?: Schema;
  readonly element?: Schema;
  readonly valueType?: Schema;
  readonly options?: readonly Schema[];
  readonly shape?: Readonly<Record<string, Schema>>;
}

export interface Validated<T> {
  /** What was checked, without unknown keys; undefined when there was an error. */
  readonly data: T | undefined;
  /** Where the errors are, below `value`. */
  readonly wrong: readonly Path[];
}

/**
 * Checks `value` and reports every mistake with its place. Unknown keys are warnings.
 * @param prefix path of `value` in its file
 */
export function validate<S extends z.ZodType>(
  schema: S,
  value: unknown,
  problems: Problems,
  prefix: Path = [],
): Validated<z.infer<S>> {
  let candidate = value;
  // Unknown keys hide nothing else, but a second look is needed for the value without them.
  for (let round = 0; round < 3; round++) {
    const result = schema.safeParse(candidate, { jitless: true });
    if (result.success) return { data: result.data, wrong: [] };
    const issues = result.error.issues.flatMap((issue) => flatten(issue, []));
    const unknown = issues.filter((issue) => issue.code === "unrecognized_keys");
    const wrong = issues.filter((issue) => issue.code !== "unrecognized_keys");
    if (round === 0) for (const issue of unknown) reportUnknown(schema, issue, problems, prefix);
    for (const issue of wrong) problems.error([...prefix, ...keysOf(issue.path)], describe(issue, candidate));
    if (wrong.length > 0) return { data: undefined, wrong: wrong.map((issue) => keysOf(issue.path)) };
    candidate = without(candidate, unknown);
  }
  return { data: undefined, wrong: [[]] };
}

/** Of a union's alternatives, the one whose type fits says more than "no alternative fits". */
function flatten(issue: Issue, above: readonly PropertyKey[]): Issue[] {
  const path = [...above, ...issue.path];
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return [{ ...issue, path }];
  const fitting = issue.errors.find(
    (branch) => !branch.some((one) => one.code === "invalid_type" && one.path.length === 0),
  );
  if (fitting !== undefined) return fitting.flatMap((one) => flatten(one, path));
  const expected = issue.errors.flatMap((branch) =>
    branch.map((one) => (one.code === "invalid_type" ? one.expected : "")),
  );
  const message = `expected ${[...new Set(expected)]
    .filter((one) => one !== "")
    .map(withArticle)
    .join(" or ")}`;
  return [{ code: "custom", path, message: `${message}#got`, input: undefined }];
}

function describe(issue: Issue, value: unknown): string {
  const found = valueAt(value, issue.path);
  switch (issue.code) {
    case "invalid_type":
      if (found === undefined) return `this key is missing; expected ${withArticle(issue.expected)}`;
      if (issue.expected === "int" && typeof found === "number") return "expected a whole number";
      return `expected ${withArticle(issue.expected)}, got ${typeName(found)}`;
    case "invalid_value":
      return `expected ${issue.values.map((one) => JSON.stringify(one)).join(" or ")}`;
    case "too_small":
      return `expected ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`;
    case "too_big":
      return `expected at most ${issue.maximum}`;
    case "invalid_key":
      return issue.issues[0]?.message ?? "this key is not allowed here";
    default:
      return issue.message.endsWith("#got") ? issue.message.replace("#got", `, got ${typeName(found)}`) : issue.message;
  }
}

function reportUnknown(schema: Schema, issue: Issue, problems: Problems, prefix: Path): void {
  if (issue.code !== "unrecognized_keys") return;
  const path = keysOf(issue.path);
  const known = knownKeys(schema, path);
  for (const key of issue.keys) {
    const options = {
      code: "config.unknown_key",
      at: "key",
      hint: unknownHint(key, known, knownKeys(schema, [...path, "options"])),
    } as const;
    problems.warning([...prefix, ...path, key], `unknown key "${key.slice(0, 64)}", it has no effect`, options);
  }
}

function unknownHint(key: string, known: readonly string[], inOptions: readonly string[]): string | undefined {
  if (inOptions.includes(key)) return `"${key}" belongs into "options"`;
  const near = nearest(key, known);
  if (near !== undefined) return `did you mean "${near}"?`;
  const nearOption = nearest(key, inOptions);
  return nearOption && `did you mean "${nearOption}"? It belongs into "options"`;
}

function knownKeys(schema: Schema, path: Path): string[] {
  let objects: Definition[] = unwrap(schema);
  for (const segment of path) {
    objects = objects.flatMap((one) => {
      const next = one.valueType ?? one.element ?? one.shape?.[String(segment)];
      return next === undefined ? [] : unwrap(next);
    });
  }
  return objects.flatMap((one) => Object.keys(one.shape ?? {}));
}

function unwrap(schema: Schema): Definition[] {
  const definition = schema._zod.def as unknown as Definition;
  if (definition.innerType !== undefined) return unwrap(definition.innerType);
  if (definition.type === "union") return (definition.options ?? []).flatMap(unwrap);
  return [definition];
}

function without(value: unknown, unknown: readonly Issue[]): unknown {
  const copy = structuredCloneTree(value);
  for (const issue of unknown) {
    const parent = valueAt(copy, issue.path) as Record<string, unknown> | undefined;
    if (parent && issue.code === "unrecognized_keys") for (const key of issue.keys) delete parent[key];
  }
  return copy;
}

/** `structuredClone` would give objects a prototype again, and `__proto__` would change it. */
function structuredCloneTree(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(structuredCloneTree);
  if (value === null || typeof value !== "object") return value;
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, entry] of Object.entries(value)) copy[key] = structuredCloneTree(entry);
  return copy;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const segment of path) {
    if (current === null || typeof current !== "object") return undefined;
    current = (current as Record<PropertyKey, unknown>)[segment];
  }
  return current;
}

function keysOf(path: readonly PropertyKey[]): (string | number)[] {
  return path.map((segment) => (typeof segment === "symbol" ? String(segment) : segment));
}

const NAMES: Record<string, string> = { record: "object", int: "whole number", safeint: "whole number" };

function withArticle(type: string): string {
  const name = NAMES[type] ?? type;
  return /^[aeiou]/.test(name) ? `an ${name}` : `a ${name}`;
}

function typeName(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return withArticle(Array.isArray(value) ? "array" : typeof value);
}
