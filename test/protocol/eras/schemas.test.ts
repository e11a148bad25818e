import { describe, expect, test } from "bun:test";
import { specTypeSchemas } from "@modelcontextprotocol/client";
import {
  CallToolRequestSchema,
  CallToolResultSchema,
  CompleteRequestSchema,
  CompleteResultSchema,
  GetPromptRequestSchema,
  GetPromptResultSchema,
  ListPromptsRequestSchema,
  ListPromptsResultSchema,
  ListResourceTemplatesRequestSchema,
  ListResourceTemplatesResultSchema,
  ListResourcesRequestSchema,
  ListResourcesResultSchema,
  ListToolsRequestSchema,
  ListToolsResultSchema,
  ReadResourceRequestSchema,
  ReadResourceResultSchema,
  InitializeResultSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { canonical } from "../../../src/protocol/eras/canonical.ts";
import { legacyParams, modernParams } from "../../../src/protocol/eras/envelope.ts";
import { initializeFromDiscover } from "../../../src/protocol/eras/hello.ts";
import { Meta } from "../../../src/protocol/eras/names.ts";
import { asString, getKey, mapArray, removeKeys, removeMeta } from "../../../src/protocol/eras/object-text.ts";
import { toLegacyResult, toModernResult } from "../../../src/protocol/eras/results.ts";
import { Chance } from "./generated.ts";
import { sample } from "./schema-samples.ts";
import type { Schema } from "./schema-samples.ts";

/** Messages made of the schemas of both revisions, as the two generations of the SDK have them. */

/** Of each kind; there are 17. */
const COUNT = 250;
const METHODS = [
  ["tools/call", "CallTool"],
  ["tools/list", "ListTools"],
  ["prompts/get", "GetPrompt"],
  ["prompts/list", "ListPrompts"],
  ["resources/read", "ReadResource"],
  ["resources/list", "ListResources"],
  ["resources/templates/list", "ListResourceTemplates"],
  ["completion/complete", "Complete"],
] as const;
type Name = (typeof METHODS)[number][1];
const ENVELOPE = { capabilities: { elicitation: {} }, clientInfo: { name: "c", version: "1" }, logLevel: "info" };
const INFO = '{"name":"s","version":"1"}';

interface Checked {
  readonly schema: Schema;
  fits(text: string): string | undefined;
}

function checked(type: z.ZodType): Checked {
  return {
    schema: z.toJSONSchema(type, { io: "input", unrepresentable: "any" }) as Schema,
    fits: (text) => {
      // What no number can hold is no JSON value to the schemas, and is to pass here all the same.
      const parsed: unknown = JSON.parse(text, (_, each: unknown) => (each === Number.POSITIVE_INFINITY ? 1 : each));
      const { success, error } = type.safeParse(parsed);
      return success ? undefined : `${error?.message} in ${text}`;
    },
  };
}

const LEGACY: Readonly<Record<Name, Readonly<Record<"Request" | "Result", z.ZodType>>>> = {
  CallTool: { Request: CallToolRequestSchema, Result: CallToolResultSchema },
  ListTools: { Request: ListToolsRequestSchema, Result: ListToolsResultSchema },
  GetPrompt: { Request: GetPromptRequestSchema, Result: GetPromptResultSchema },
  ListPrompts: { Request: ListPromptsRequestSchema, Result: ListPromptsResultSchema },
  ReadResource: { Request: ReadResourceRequestSchema, Result: ReadResourceResultSchema },
  ListResources: { Request: ListResourcesRequestSchema, Result: ListResourcesResultSchema },
  ListResourceTemplates: { Request: ListResourceTemplatesRequestSchema, Result: ListResourceTemplatesResultSchema },
  Complete: { Request: CompleteRequestSchema, Result: CompleteResultSchema },
};
const old = (name: Name, what: "Request" | "Result"): Checked => checked(LEGACY[name][what]);
const young = (name: Name | "Discover", what: "Request" | "Result"): Checked =>
  checked(specTypeSchemas[`${name}${what}`] as unknown as z.ZodType);

/** A sample that meets also what a schema demands in code. */
function sampled(chance: Chance, of: Checked): string {
  for (let n = 0; n < 1_000; n++) {
    const text = sample(chance, of.schema);
    if (of.fits(text) === undefined) return text;
  }
  throw new Error("no sample fits the schema");
}

function plain(text: string): string {
  return canonical(getKey(text, "_meta") === "{}" ? removeKeys(text, (key) => key === "_meta") : text);
}

describe("messages of the schemas, there and back", () => {
  for (const [method, name] of METHODS) {
    test(`${method}: a legacy client's params, and a legacy server's result`, () => {
      const chance = new Chance(25);
      const [request, result] = [old(name, "Request"), old(name, "Result")];
      const [there, answer] = [young(name, "Request"), young(name, "Result")];
      for (let n = 0; n < COUNT; n++) {
        const asked = getKey(sampled(chance, request), "params") ?? "{}";
        const modern = modernParams(asked, ENVELOPE);
        expect(there.fits(`{"method":"${method}","params":${modern}}`)).toBeUndefined();
        expect(plain(legacyParams(modern))).toBe(plain(asked));

        const said = sampled(chance, result);
        const upward = toModernResult(method, said, INFO);
        expect(answer.fits(upward)).toBeUndefined();
        const lost = method === "tools/list" ? withoutTaskSupport(said) : said;
        expect(plain(toLegacyResult(method, upward))).toBe(plain(lost));
      }
    });

    test(`${method}: a modern server's result fits the older schema, and loses only what it cannot say`, () => {
      const chance = new Chance(26);
      const [from, to] = [young(name, "Result"), old(name, "Result")];
      for (let n = 0; n < COUNT; n++) {
        const said = sampled(chance, from);
        // What is no schema at all is none to the newer SDK only.
        if (!onlySchemas(JSON.parse(said))) continue;
        const down = toLegacyResult(method, said);
        expect(to.fits(down)).toBeUndefined();
        const own = new Set(["resultType", "ttlMs", "cacheScope", "tools", "structuredContent", "content"]);
        const kept = removeMeta(
          removeKeys(said, (key) => own.has(key)),
          (key) => key === Meta.serverInfo,
        );
        expect(plain(removeKeys(down, (key) => own.has(key)))).toBe(plain(kept));
      }
    });
  }

  test("server/discover as initialize", () => {
    const chance = new Chance(27);
    const [from, to] = [young("Discover", "Result"), checked(InitializeResultSchema)];
    for (let n = 0; n < COUNT; n++) {
      const said = sampled(chance, from);
      const hello = initializeFromDiscover(said, "2025-11-25");
      expect(to.fits(hello)).toBeUndefined();
      expect(asString(getKey(hello, "instructions"))).toBe(asString(getKey(said, "instructions")));
    }
  });
});

/** Whether what stands in `properties` of schemas are schemas. */
function onlySchemas(result: unknown): boolean {
  const { tools } = result as { tools?: Record<string, { properties?: object } | undefined>[] };
  return (tools ?? []).every((tool) =>
    [tool["inputSchema"], tool["outputSchema"]].every((schema) =>
      Object.values(schema?.properties ?? {}).every(
        (part) => typeof part === "boolean" || (typeof part === "object" && part !== null),
      ),
    ),
  );
}

/** Tasks of the older revision are nothing that the newer one knows. */
function withoutTaskSupport(result: string): string {
  const tools = getKey(result, "tools") ?? "[]";
  const without = mapArray(tools, (tool) => {
    const execution = getKey(tool, "execution");
    if (execution === undefined || getKey(execution, "taskSupport") === undefined) return tool;
    const rest = removeKeys(execution, (key) => key === "taskSupport");
    return rest === "{}"
      ? removeKeys(tool, (key) => key === "execution")
      : tool.replace(`"execution":${execution}`, () => `"execution":${rest}`);
  });
  return result.replace(`"tools":${tools}`, () => `"tools":${without}`);
}
