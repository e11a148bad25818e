import { describe, expect, test } from "bun:test";
import { isJSON } from "../../src/protocol/json.ts";
import { Message } from "../../src/protocol/message.ts";
import { quickParts, slowParts } from "../../src/protocol/message-parts.ts";
import type { MessageParts } from "../../src/protocol/message-parts.ts";
import { endOfValue, skipSpace } from "../../src/protocol/strict-json.ts";
import { seeded } from "../support/seeded.ts";
import { randomJson } from "./random-json.ts";

/** What the grammar says of a whole text. */
function accepted(text: string): boolean {
  const end = endOfValue(text, skipSpace(text, 0));
  return end !== -1 && skipSpace(text, end) === text.length;
}

/** All texts of up to `most` of these letters. */
function* words(letters: string, most: number): Generator<string> {
  yield "";
  if (most === 0) return;
  for (const rest of words(letters, most - 1)) for (const letter of letters) yield letter + rest;
}

/** Those of which the grammar and the parser say different things. */
function disputed(texts: Iterable<string>): string[] {
  return [...texts].filter((text) => accepted(text) !== isJSON(text));
}

describe("the grammar says what the parser says", () => {
  test("of every short number, and of what nearly is one", () => {
    expect(disputed(words("-+019.eE", 5))).toEqual([]);
  });
  test("of every short string: escapes, control characters, ends", () => {
    const inside = words('"\\u/n0aFgx\u001f\u007f\u2028\ud800', 4);
    expect(disputed([...inside].map((word) => `"${word}"`))).toEqual([]);
    expect(disputed(["00e9", "D83D", "00g0", "0 00", "+000", "0x00", "００００"].map((hex) => `"\\u${hex}"`))).toEqual(
      [],
    );
  });
  test("of every short arrangement of tokens", () => {
    const tokens = ["{", "}", "[", "]", ":", ",", '"a"', "1", " ", "true", "nul"];
    const letters = "abcdefghijk";
    const spelled = (word: string): string =>
      word.replaceAll(/[a-k]/g, (letter) => tokens[letters.indexOf(letter)] ?? "");
    expect(disputed([...words(letters, 5)].map(spelled))).toEqual([]);
  });
  test("of random texts, whole, cut and damaged", () => {
    const random = seeded(21);
    const texts: string[] = [];
    for (let round = 0; round < 3_000; round++) {
      const whole = randomJson(random);
      const at = Math.floor(random() * whole.length);
      const odd = '"\\{}[],:x0-.e\u0000\u00a0\ufeff\n'[Math.floor(random() * 17)] ?? "";
      texts.push(whole, whole.slice(0, at), whole.slice(0, at) + odd + whole.slice(at + 1), whole + odd);
    }
    expect(disputed(texts)).toEqual([]);
  });
});

test("what is nested too deep for the grammar is left to the parser, and is a message all the same", () => {
  const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
  expect(accepted(nested(100))).toBe(true);
  expect(accepted(nested(101))).toBe(false);
  for (const value of [nested(101), nested(1_500), '{"a":'.repeat(200) + "1" + "}".repeat(200)]) {
    const text = `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":${value}}}`;
    for (const from of ["client", "upstream"] as const) expect(Message.read(text, from)).toBeInstanceOf(Message);
  }
  for (const depth of [900, 4_000]) {
    const open = `{"jsonrpc":"2.0","id":1,"result":${"[".repeat(depth)}}`;
    expect(() => Message.read(open, "client")).toThrow(SyntaxError);
  }
});

describe("the quick way to the parts of a message", () => {
  const shown = (parts: MessageParts): unknown => [
    parts.versioned,
    ...[parts.id, parts.method, parts.params, parts.result, parts.error].map((at) => at && [at.start, at.end]),
  ];
  const frequent = [
    '{"method":"tools/call","params":{"name":"a","_meta":{"progressToken":1}},"jsonrpc":"2.0","id":1}',
    '{"jsonrpc":"2.0","id":"a","result":{"content":[{"type":"text","text":"\\n"}]}}',
    ' { "jsonrpc" : "2.0" , "method" : "notifications/progress" , "params" : { "progressToken" : 1 } }',
  ];
  test("is taken by messages as they mostly are", () => {
    for (const text of frequent) expect(quickParts(text)).toBeDefined();
  });
  test("finds what the other one finds, or nothing", () => {
    const random = seeded(22);
    let quick = 0;
    for (let round = 0; round < 6_000; round++) {
      const members = [
        '"jsonrpc":"2.0"',
        `"id":${round % 7 === 0 ? randomJson(random) : round}`,
        '"method":"m\\u0061"',
        `"params":${randomJson(random, round % 5 === 0 ? {} : { top: "object" })}`,
        `"result":${randomJson(random)}`,
        '"error":{}',
        '"ID":1',
        '"i\\u0064":1',
        '"id":2',
        '"jsonrpc":"1.0"',
        `"other":${randomJson(random)}`,
      ]
        .slice(0, round % 3 === 0 ? 11 : 5)
        .filter(() => random() < 0.7)
        .sort(() => random() - 0.5);
      const whole = `{${members.join(",")}}`.replaceAll(/[\r\n]/g, " ");
      const at = Math.floor(random() * whole.length);
      const odd = '"\\{}[],:x\u0000'[round % 10] ?? "";
      for (const text of round % 2 === 0 ? [whole] : [whole.slice(0, at) + odd + whole.slice(at + 1), whole + odd]) {
        const parts = quickParts(text);
        if (parts === undefined) continue;
        quick++;
        const judged = slowParts(text, "client");
        expect([text, typeof judged === "string" ? judged : shown(judged)]).toEqual([text, shown(parts)]);
        const { params, paramMembers = [] } = parts;
        const object = params === undefined ? {} : (JSON.parse(text.slice(params.start, params.end)) as object);
        const read = paramMembers.map(({ key, start, end }) => [key, JSON.parse(text.slice(start, end)) as unknown]);
        expect(Object.fromEntries(read)).toEqual(object as Record<string, unknown>);
      }
    }
    expect(quick).toBeGreaterThan(500);
  });
});
