import { z } from "zod";
import { configFile } from "./schema.ts";

/** The configuration's JSON Schema as it is committed, made from what the program itself checks. */
export function configSchemaText(): string {
  const schema = { ...z.toJSONSchema(configFile, { io: "input" }), title: "mcp-proxy configuration" };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
