/** Writes config.schema.json, which gives editors completion and checks. Run: bun scripts/config-schema.ts */
import { configSchemaText } from "../src/config/json-schema.ts";

await Bun.write(new URL("../config.schema.json", import.meta.url), configSchemaText());
