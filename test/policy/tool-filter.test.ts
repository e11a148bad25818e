import { describe, expect, test } from "bun:test";
import { allowsTool, filterToolList } from "../../src/policy/tool-filter.ts";

describe("allowsTool", () => {
  const names = new Set(["a", "b"]);
  test("allow lets through what is listed, block what is not", () => {
    expect(["a", "b", "c"].map((tool) => allowsTool({ mode: "allow", names }, tool))).toEqual([true, true, false]);
    expect(["a", "b", "c"].map((tool) => allowsTool({ mode: "block", names }, tool))).toEqual([false, false, true]);
  });
  test("compares names exactly", () => {
    for (const tool of ["A", "a ", " a", "", "a\u0000", "а"])
      expect(allowsTool({ mode: "allow", names }, tool)).toBeFalse();
  });
});

const only =
  (...allowed: string[]) =>
  (tool: string) =>
    allowed.includes(tool);

describe("filterToolList", () => {
  test("leaves every other character as it came", () => {
    const kept = '{ "name" : "a","n":12345678901234567890, "s":"\\ud800 \\u0061","d":1.0e+0 }';
    const text = ` { "jsonrpc":"2.0", "id" : 5 , "result":{ "nextCursor":"x" , "tools" : [ ${kept} , {"name":"b"} ] ,"_meta":{"a":1e400}}, "tools":[{"name":"b"}] } `;
    expect(filterToolList(text, only("a"))).toBe(text.replace(`[ ${kept} , {"name":"b"} ]`, `[${kept}]`));
  });
  test("reads escaped names, and the one that counts where there are two", () => {
    const text = '{"result":{"tools":[{"name":"\\u0062"},{"name":"a","name":"b"},{"n\\u0061me":"b"},{"name":"a"}]}}';
    expect(filterToolList(text, only("a"))).toBe('{"result":{"tools":[{"name":"a"}]}}');
  });
  test("leaves out what has no name or no proper one", () => {
    const text = '{"result":{"tools":[{},{"name":5},{"name":null},"a",null,[],{"title":"a"},{"name":"a"}]}}';
    expect(filterToolList(text, () => true)).toBe('{"result":{"tools":[{"name":"a"}]}}');
  });
  test("an empty list and a list of which nothing is left are empty lists", () => {
    expect(filterToolList('{"result":{"tools":[ ]}}', () => true)).toBe('{"result":{"tools":[]}}');
    expect(filterToolList('{"result":{"tools":[{"name":"b"}]}}', () => false)).toBe('{"result":{"tools":[]}}');
  });
  test("an answer without a list, and an error, stay as they are", () => {
    for (const text of [
      '{"id":1,"error":{"code":1,"message":"tools"}}',
      '{"result":{}}',
      '{"result":{"tools":{"name":"b"}}}',
      '{"result":[]}',
    ]) {
      expect(filterToolList(text, () => false)).toBe(text);
    }
  });
});
