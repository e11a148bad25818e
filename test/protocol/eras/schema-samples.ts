import { object, unknown, value } from "./generated.ts";
import type { Chance } from "./generated.ts";

/** JSON Schema as it is made of the schemas of an SDK. */
export interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly format?: string;
  readonly contentEncoding?: string;
}

/** Beyond it, only what must be there is made. */
const DEEP = 5;

/** Text that fits a schema, by chance, with members that the schema does not name wherever it does not forbid them. */
export function sample(chance: Chance, schema: Schema, root: Schema = schema, depth = 0): string {
  if (schema.$ref !== undefined) return sample(chance, resolve(schema.$ref, root), root, depth);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return JSON.stringify(chance.of(schema.enum));
  const either = schema.anyOf ?? schema.oneOf;
  if (either !== undefined) return sample(chance, chance.of(either), root, depth + 1);
  if (schema.allOf !== undefined) return sample(chance, merged(schema.allOf, root), root, depth);
  switch (schema.type) {
    case "string":
      return text(chance, schema);
    case "boolean":
      return String(chance.maybe());
    case "null":
      return "null";
    case "integer":
    case "number": {
      const low = Math.max(schema.minimum ?? 0, -1_000);
      const high = Math.min(schema.maximum ?? 1_000, 1_000);
      return String(
        schema.type === "integer" ? low + chance.below(high - low + 1) : low + chance.next() * (high - low),
      );
    }
    case "array": {
      const count = depth > DEEP ? 0 : chance.below(3);
      const { items } = schema;
      const each = Array.from({ length: count }, () =>
        items === undefined ? value(chance, 2) : sample(chance, items, root, depth + 1),
      );
      return `[${each.join(",")}]`;
    }
    case "object":
      return members(chance, schema, root, depth);
    default:
      return value(chance, Math.min(depth, 2));
  }
}

function members(chance: Chance, schema: Schema, root: Schema, depth: number): string {
  const made: Record<string, string> = {};
  for (const [key, part] of Object.entries(schema.properties ?? {})) {
    const must = schema.required?.includes(key) === true;
    if (!must && (depth > DEEP || chance.maybe(0.4))) continue;
    const bytes = (key === "data" || key === "blob") && part.type === "string";
    made[key] = sample(chance, bytes ? { ...part, contentEncoding: "base64" } : part, root, depth + 1);
  }
  if (schema.additionalProperties === false) return object(made);
  const free = typeof schema.additionalProperties === "object" ? schema.additionalProperties : {};
  const more = Object.keys(
    unknown(chance, Object.keys(schema.properties ?? {}).concat("_meta", "params", "id", "execution")),
  );
  for (const key of more) made[key] = sample(chance, free, root, Math.max(depth, DEEP - 1) + 1);
  return object(made);
}

function text(chance: Chance, { format, contentEncoding }: Schema): string {
  if (contentEncoding === "base64") return chance.of(['"aGVsbG8="', '""', '"AAEC"']);
  if (format === "uri") return chance.of(['"file:///a%20b"', '"test://x/{y}"', '"urn:x:y"']);
  if (format === "date-time") return '"2026-11-21T10:00:00Z"';
  return chance.of(['"plain"', '"with \\"quotes\\" and \\\\"', '"ümläut"', '""', '"{\\"a\\":[1,2"', '"\\ud800"']);
}

function resolve(ref: string, root: Schema): Schema {
  if (ref === "#") return root;
  const found = root.$defs?.[ref.replace("#/$defs/", "")];
  if (found === undefined) throw new Error(`no ${ref} in the schema`);
  return found;
}

function merged(parts: readonly Schema[], root: Schema): Schema {
  const whole = parts.map((part) => (part.$ref === undefined ? part : resolve(part.$ref, root)));
  return {
    type: "object",
    properties: Object.assign({}, ...whole.map(({ properties }) => properties)) as Record<string, Schema>,
    required: whole.flatMap(({ required }) => required ?? []),
  };
}
