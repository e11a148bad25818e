import { describe, expect, test } from "bun:test";
import { modernCapabilities } from "../../../src/protocol/eras/envelope.ts";
import { toModernError } from "../../../src/protocol/eras/errors.ts";
import { decodeHeader, encodeHeader } from "../../../src/protocol/eras/header-value.ts";
import {
  fitsQuestion,
  inputRequired,
  readInputRequired,
  retryParams,
  urlElicitations,
} from "../../../src/protocol/eras/input.ts";
import { isModernVersion } from "../../../src/protocol/eras/names.ts";
import { checkParamHeaders, paramHeaders, produceParamHeaders } from "../../../src/protocol/eras/param-headers.ts";
import type { ParamHeader } from "../../../src/protocol/eras/param-headers.ts";
import { toLegacyResult, toModernResult, withoutTasks } from "../../../src/protocol/eras/results.ts";

describe("header values", () => {
  for (const text of [
    "plain",
    "two words",
    "",
    " outer",
    "outer ",
    "tab\t",
    "line\nbreak",
    "ümläut",
    "日本",
    "=?base64?eA==?=",
    "a,b;c",
    "\u{1f600}",
  ]) {
    test(`${JSON.stringify(text)} comes back, as printable ASCII`, () => {
      const value = encodeHeader(text);
      expect(value).toMatch(/^[\x20-\x7e]*$/);
      expect(decodeHeader(value)).toBe(text);
    });
  }

  test("outer white space does not count, and a wrapper without base64 of UTF-8 is no value", () => {
    expect(decodeHeader(" \tplain ")).toBe("plain");
    for (const bad of ["=?base64?!?=", "=?base64?eA?=", "=?base64?/w==?=", "=?base64?e A==?="])
      expect(decodeHeader(bad)).toBeUndefined();
    // The wrapper is written in lower case only.
    expect(decodeHeader("=?BASE64?eA==?=")).toBe("=?BASE64?eA==?=");
  });
});

describe("arguments in headers", () => {
  const schema = (properties: object): object => ({ type: "object", properties });
  const REGION = schema({
    region: { type: "string", "x-mcp-header": "Region" },
    n: { type: "integer", "x-mcp-header": "N" },
  });

  test("are found below properties alone", () => {
    const nested = schema({ a: schema({ b: { type: "boolean", "x-mcp-header": "B" } }) });
    expect(paramHeaders(nested)).toEqual([{ name: "B", path: ["a", "b"], integer: false }]);
    expect(paramHeaders(schema({ d: { type: "object", default: { "x-mcp-header": 5 } } }))).toEqual([]);
  });

  for (const [what, bad] of [
    ["a number", schema({ a: { type: "number", "x-mcp-header": "A" } })],
    ["an object", schema({ a: { type: "object", "x-mcp-header": "A" } })],
    ["several types", schema({ a: { type: ["string", "null"], "x-mcp-header": "A" } })],
    ["an item of a list", schema({ a: { type: "array", items: { type: "string", "x-mcp-header": "A" } } })],
    ["a branch", { type: "object", oneOf: [schema({ a: { type: "string", "x-mcp-header": "A" } })] }],
    ["the root", { type: "string", "x-mcp-header": "A" }],
    ["no token", schema({ a: { type: "string", "x-mcp-header": "A b" } })],
    ["an empty name", schema({ a: { type: "string", "x-mcp-header": "" } })],
    ["no string", schema({ a: { type: "string", "x-mcp-header": 1 } })],
    [
      "the same name twice",
      schema({ a: { type: "string", "x-mcp-header": "A" }, b: { type: "string", "x-mcp-header": "a" } }),
    ],
  ] as const) {
    test(`on ${what} make the tool invalid`, () => {
      expect(paramHeaders(bad)).toBeString();
    });
  }

  test("are produced and compared: integers as numbers, nothing for what is absent or null", () => {
    const headers = paramHeaders(REGION) as readonly ParamHeader[];
    expect(produceParamHeaders(headers, '{"region":"éu","n":12345678901234567890}')).toEqual({
      "mcp-param-region": "=?base64?w6l1?=",
      "mcp-param-n": "12345678901234567890",
    });
    expect(produceParamHeaders(headers, '{"region":null}')).toEqual({});
    const check = (args: string | undefined, given: Record<string, string>): string | undefined =>
      checkParamHeaders(headers, args, (name) => new Headers(given).get(name));
    expect(check('{"region":"eu","n":5}', { "Mcp-Param-Region": "eu", "mcp-param-n": "5.0" })).toBeUndefined();
    expect(check("{}", {})).toBeUndefined();
    expect(check(undefined, {})).toBeUndefined();
    expect(check('{"region":"eu"}', {})).toContain("missing");
    expect(check('{"region":"eu"}', { "Mcp-Param-Region": "EU" })).toContain("differs");
    expect(check('{"region":"eu"}', { "Mcp-Param-Region": "=?base64?%?=" })).toContain("base64");
    expect(check('{"n":5}', { "Mcp-Param-N": "" })).toContain("differs");
    expect(check('{"region":null}', { "Mcp-Param-Region": "null" })).toContain("is not");
  });
});

describe("results", () => {
  test("task support of 2025-11-25 is taken out, the rest of execution stays", () => {
    const list =
      '{"tools":[{"name":"a","execution":{"taskSupport":"optional"}},{"name":"b","execution":{"taskSupport":"x","y":1}}]}';
    const modern = toModernResult("tools/list", list, undefined);
    expect(modern).toContain('{"name":"a"},{"name":"b","execution":{"y":1}}');
    expect(modern).toContain('"ttlMs":0,"cacheScope":"private"');
  });

  test("outputs that are no objects are hidden from legacy clients, and said as text", () => {
    expect(toLegacyResult("tools/list", '{"tools":[{"name":"a","outputSchema":{"type":"array"}}]}')).toBe(
      '{"tools":[{"name":"a"}]}',
    );
    const listed = (properties: string): string =>
      `{"tools":[{"name":"a","inputSchema":{"type":"object", "properties":${properties}, "n":1.0}}]}`;
    expect(toLegacyResult("tools/list", listed('{"any" : true,"none":false, "some":{"a":true},"n":1.0}'))).toBe(
      listed('{"any" : {},"none":{"not":{}}, "some":{"a":true},"n":1.0}'),
    );
    expect(toLegacyResult("tools/call", '{"resultType":"complete","content":[],"structuredContent":[1,2]}')).toBe(
      '{"content":[{"type":"text","text":"[1,2]"}]}',
    );
    expect(toLegacyResult("tools/call", '{"content":[{"type":"text","text":"x"}],"structuredContent":5}')).toBe(
      '{"content":[{"type":"text","text":"x"}]}',
    );
    expect(toLegacyResult("tools/call", '{"structuredContent":{"ttlMs":5},"ttlMs":7}')).toBe(
      '{"structuredContent":{"ttlMs":5},"ttlMs":7}',
    );
  });

  test("tasks of either era are taken out of capabilities", () => {
    expect(withoutTasks('{"tasks":{},"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{},"v/x":{}}}')).toBe(
      '{"tools":{},"extensions":{"v/x":{}}}',
    );
    expect(modernCapabilities({ tasks: {}, elicitation: { url: {}, form: {} } }, "2025-06-18")).toEqual({
      elicitation: {},
    });
    expect(modernCapabilities({ elicitation: { url: {} } }, "2025-11-25")).toEqual({ elicitation: { url: {} } });
  });
});

describe("errors", () => {
  for (const [before, after] of [
    [-32002, -32602],
    [-32042, -32603],
    [-32077, -32603],
    [-32020, -32603],
    [-32022, -32603],
    [-32000, -32000],
    [-32601, -32601],
    [-32100, -32100],
    [5, 5],
  ] as const) {
    test(`${before} of a legacy server is ${after} for a modern client, its data kept`, () => {
      expect(toModernError(`{"code":${before},"message":"m","data":{"n":1.0}}`)).toBe(
        `{"code":${after},"message":"m","data":{"n":1.0}}`,
      );
    });
  }
});

describe("questions", () => {
  test("a result that asks is read as it was made", () => {
    const requests = [{ key: 'k"1', method: "roots/list", params: undefined }];
    expect(readInputRequired(inputRequired(requests, "st\u2028ate"))).toEqual({ requests, state: "st\u2028ate" });
    expect(readInputRequired('{"resultType":"input_required"}')).toBeUndefined();
    expect(readInputRequired('{"inputRequests":{"a":{"method":"vendor/ask"}}}')).toBeUndefined();
    expect(readInputRequired('{"requestState":""}')).toEqual({ requests: [], state: "" });
  });

  test("a retry is the same call with answers and the exact state, or none", () => {
    const answers = new Map([["k1", '{"action":"accept","content":{"n":1.0}}']]);
    expect(retryParams('{"name":"t","inputResponses":{},"requestState":"old"}', answers, "new")).toBe(
      '{"name":"t","inputResponses":{"k1":{"action":"accept","content":{"n":1.0}}},"requestState":"new"}',
    );
    expect(retryParams("{}", new Map(), undefined)).toBe('{"inputResponses":{}}');
  });

  test("answers have the shape of their question", () => {
    expect(fitsQuestion("elicitation/create", '{"action":"decline"}')).toBeTrue();
    for (const bad of ["5", "null", "{}", '{"action":"maybe"}'])
      expect(fitsQuestion("elicitation/create", bad)).toBeFalse();
    expect(fitsQuestion("sampling/createMessage", '{"role":"assistant","content":[]}')).toBeTrue();
    expect(fitsQuestion("sampling/createMessage", '{"action":"accept"}')).toBeFalse();
    expect(fitsQuestion("roots/list", '{"roots":[]}')).toBeTrue();
    expect(fitsQuestion("roots/list", '{"roots":{}}')).toBeFalse();
  });

  test("pages to visit lose the ids of the other era", () => {
    const error =
      '{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","url":"https://a/","elicitationId":"7","message":"x"},{"no":1}]}}';
    expect(urlElicitations(error)).toEqual(['{"mode":"url","url":"https://a/","message":"x"}']);
  });
});

test("versions are dates", () => {
  expect(["2026-07-28", "2027-01-01"].every(isModernVersion)).toBeTrue();
  expect(["2025-11-25", "DRAFT", "", "2026", "9999"].some(isModernVersion)).toBeFalse();
});
