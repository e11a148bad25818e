import { expect, test } from "bun:test";
import { configSchemaText } from "../../src/config/json-schema.ts";

test("the committed schema is the one the program checks (otherwise run scripts/config-schema.ts)", async () => {
  expect(await Bun.file(new URL("../../config.schema.json", import.meta.url)).text()).toBe(configSchemaText());
});

test("it names keys and refuses unknown ones", () => {
  const schema = JSON.parse(configSchemaText()) as {
    properties: Record<string, unknown>;
    additionalProperties: boolean;
  };
  expect(Object.keys(schema.properties)).toEqual(["$schema", "mcpProxy", "mcpServers", "groups"]);
  expect(schema.additionalProperties).toBe(false);
});
