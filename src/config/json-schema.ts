import { z } from "zod";
import { DESCRIPTIONS, describedAs } from "./descriptions.ts";
import { configFile } from "./schema.ts";

/** A part of a JSON Schema, as far as this schema uses it. */
export interface SchemaNode {
  type?: string;
  description?: string;
  enum?: readonly string[];
  properties?: Record<string, SchemaNode>;
  additionalProperties?: SchemaNode | boolean;
  items?: SchemaNode;
  anyOf?: SchemaNode[];
}

/** The configuration's JSON Schema, made from what the program itself checks, with every key described. */
export function configSchema(): SchemaNode {
  const schema = z.toJSONSchema(configFile, { io: "input" }) as SchemaNode;
  describe(schema, "");
  return schema;
}

/** The schema as it is committed. */
export function configSchemaText(): string {
  return `${JSON.stringify({ ...configSchema(), title: "mcp-proxy configuration" }, null, 2)}\n`;
}

function describe(node: SchemaNode, path: string): void {
  const at = (name: string): string => (path === "" ? name : `${path}.${name}`);
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const description = DESCRIPTIONS[describedAs(at(name))];
    if (description !== undefined) child.description = description;
    describe(child, at(name));
  }
  if (typeof node.additionalProperties === "object") describe(node.additionalProperties, at("*"));
  for (const each of node.anyOf ?? []) describe(each, path);
}
