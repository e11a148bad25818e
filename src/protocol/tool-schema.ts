import { isRecord } from "./parsed.ts";
/** Types of JSON Schema (2020-12, validation section 6.1.1). */
const TYPES = new Set(["null", "boolean", "object", "array", "number", "string", "integer"]);
/** Keywords whose value is one schema, a list of schemas, a map of schemas. */
const ONE = ["items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"];
const LISTS = ["allOf", "anyOf", "oneOf", "prefixItems"];
const MAPS = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/** Schemas nested deeper are taken as they are. */
const MAX_DEPTH = 32;

/**
 * What is wrong with a tool, so that clients would drop the whole list for it, or a model's provider the whole request.
 * @param tool raw element of a list of tools
 * @param modern clients of the stateless era take outputs of any kind
 */
export function toolMistake(tool: string, modern: boolean): string | undefined {
  const { inputSchema, outputSchema } = JSON.parse(tool) as Record<string, unknown>;
  if (!isRecord(inputSchema)) return "it has no inputSchema";
  if (inputSchema["type"] !== "object") return 'the type of its inputSchema is not "object"';
  if (outputSchema === undefined) return mistakeIn(inputSchema, "inputSchema", 0);
  if (!isRecord(outputSchema) || (!modern && outputSchema["type"] !== "object"))
    return 'the type of its outputSchema is not "object"';
  return mistakeIn(inputSchema, "inputSchema", 0) ?? mistakeIn(outputSchema, "outputSchema", 0);
}

function mistakeIn(schema: unknown, path: string, depth: number): string | undefined {
  if (typeof schema === "boolean" || depth > MAX_DEPTH) return undefined;
  if (!isRecord(schema)) return `${path} is no schema`;
  const { type, required } = schema;
  const types = Array.isArray(type) ? (type as unknown[]) : type === undefined ? [] : [type];
  const strange = types.find((each) => typeof each !== "string" || !TYPES.has(each));
  if (strange !== undefined) return `${path} has the unknown type ${JSON.stringify(strange).slice(0, 50)}`;
  if (required !== undefined && !isStrings(required)) return `${path}.required is no list of names`;
  if (schema["enum"] !== undefined && !Array.isArray(schema["enum"])) return `${path}.enum is no list`;
  for (const [key, value] of parts(schema, path)) {
    const mistake = mistakeIn(value, key, depth + 1);
    if (mistake !== undefined) return mistake;
  }
  const misshapen =
    LISTS.find((key) => schema[key] !== undefined && !Array.isArray(schema[key])) ??
    MAPS.find((key) => schema[key] !== undefined && !isRecord(schema[key]));
  return misshapen === undefined ? undefined : `${path}.${misshapen} is misshapen`;
}

function* parts(schema: Record<string, unknown>, path: string): Iterable<readonly [path: string, schema: unknown]> {
  for (const key of ONE) {
    const value = schema[key];
    // Before 2020-12 `items` could be a list.
    if (Array.isArray(value)) for (const each of value as unknown[]) yield [`${path}.${key}`, each];
    else if (value !== undefined) yield [`${path}.${key}`, value];
  }
  for (const key of LISTS) {
    const value = schema[key];
    if (Array.isArray(value)) for (const each of value as unknown[]) yield [`${path}.${key}`, each];
  }
  for (const key of MAPS) {
    const value = schema[key];
    if (isRecord(value)) for (const [name, each] of Object.entries(value)) yield [`${path}.${key}.${name}`, each];
  }
}

function isStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
