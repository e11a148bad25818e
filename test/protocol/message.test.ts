import { describe, expect, test } from "bun:test";
import { ambiguityOf } from "../../src/protocol/ambiguity.ts";
import { Message } from "../../src/protocol/message.ts";
import { seeded } from "../support/seeded.ts";
import { randomJson } from "./random-json.ts";

function read(text: string, from: "client" | "upstream" = "client"): Message {
  const message = Message.read(text, from);
  if (typeof message === "string") throw new Error(message);
  return message;
}

describe("a message keeps every character", () => {
  const ids = ["1", '"5"', "-3", "1e0", "1.50", "12345678901234567890123", '"\\u0035"', '"€"', '""', "0"];
  test("when its id is replaced and put back, whatever surrounds it", () => {
    const random = seeded(11);
    for (let round = 0; round < 300; round++) {
      const id = ids[round % ids.length] ?? "1";
      const parts = [
        `"jsonrpc" : "2.0"`,
        `"id":${id}`,
        `"method":"a/b"`,
        `"params":${randomJson(random, { top: "object" })}`,
        `"extra":${randomJson(random)}`,
      ];
      parts.sort(() => random() - 0.5);
      const text = ` { ${parts.join(" , ")} } `.replaceAll(/[\r\n]/g, " ");
      const message = read(text);
      expect([message.kind, message.id, message.method]).toEqual(["request", id, "a/b"]);
      expect(message.text).toBe(text);
      const renamed = read(message.withId("777"));
      expect(renamed.id).toBe("777");
      expect(renamed.withId(id)).toBe(text);
    }
  });
  test("when its id and its progress token are replaced at once, in either order", () => {
    for (const text of [
      '{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":"t"},"n":9007199254740993}}',
      '{"params":{"n":1e400,"_meta":{"x":1,"progressToken":5}},"method":"m","jsonrpc":"2.0","id":"1"}',
    ]) {
      const message = read(text);
      const token = message.meta("progressToken");
      if (token === undefined || message.id === undefined) throw new Error("not found");
      const edited = read(message.withId("88", { start: token.start, end: token.end, text: "99" }));
      const again = edited.meta("progressToken");
      expect([edited.id, again && edited.slice(again)]).toEqual(["88", "99"]);
      expect(
        edited.withId(message.id, { start: again?.start ?? 0, end: again?.end ?? 0, text: message.slice(token) }),
      ).toBe(text);
    }
  });
});

describe("kinds", () => {
  test("are told apart", () => {
    expect(read('{"jsonrpc":"2.0","method":"n"}').kind).toBe("notification");
    expect(read('{"jsonrpc":"2.0","id":1,"method":"n"}').kind).toBe("request");
    expect(read('{"jsonrpc":"2.0","id":1,"result":null}').kind).toBe("response");
    expect(read('{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}').kind).toBe("response");
  });
  test("a number and a string of the same digits are two ids", () => {
    expect(read('{"jsonrpc":"2.0","id":5,"method":"n"}').id).not.toBe(
      read('{"jsonrpc":"2.0","id":"5","method":"n"}').id,
    );
  });
});

describe("what is no message is named", () => {
  for (const text of [
    "[]",
    "1",
    '"x"',
    "null",
    "{}",
    '{"jsonrpc":"2.0","id":null,"method":"m"}',
    '{"jsonrpc":"2.0","id":{},"method":"m"}',
    '{"jsonrpc":"2.0","id":1,"method":"m","method":"n"}',
    '{"jsonrpc":"2.0","id":1,"ID":2,"method":"m"}',
    '{"jsonrpc":"2.0","i\\u0064":1,"id":2,"method":"m"}',
    '{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"m"}',
    '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}',
  ]) {
    for (const from of ["client", "upstream"] as const) {
      test(`${text} from the ${from}`, () => {
        expect(Message.read(text, from)).toBeString();
      });
    }
  }
});

describe("what is no JSON is a SyntaxError and nothing else", () => {
  test("however it is cut", () => {
    const text = '{"jsonrpc":"2.0","id":"a\\"b","method":"m\\u0041","params":{"a":[1,{"b":"\\\\"}]}}';
    for (let end = 0; end < text.length; end++) {
      for (const from of ["client", "upstream"] as const)
        expect(() => Message.read(text.slice(0, end), from)).toThrow(SyntaxError);
    }
  });
  test("however it is damaged: a SyntaxError, a sentence or a message that is still JSON", () => {
    const random = seeded(12);
    const text = '{"jsonrpc":"2.0","id":"a\\"b","method":"m\\u0041","params":{"a":[1,{"b":"\\\\"}]}}';
    for (let round = 0; round < 3_000; round++) {
      const at = Math.floor(random() * text.length);
      const damaged =
        text.slice(0, at) +
        (["", '"', "\\", "{", "}", "[", "]", ",", ":", "x", "\u0000", "\n", "é"][round % 13] ?? "") +
        text.slice(at + 1);
      try {
        const message = Message.read(damaged, "client");
        if (typeof message !== "string") JSON.parse(message.text);
      } catch (error) {
        expect(error).toBeInstanceOf(SyntaxError);
        expect(() => JSON.parse(damaged.replaceAll(/[\r\n]/g, " ")) as unknown).toThrow();
      }
    }
  });
  test("however long: an upstream's large text that is cut or broken at the top", () => {
    const long = `{"jsonrpc":"2.0","id":1,"result":{"a":"${"x".repeat(100_000)}"`;
    for (const text of [
      long,
      `${long}}`,
      `${long}}} x`,
      `${long}}}}`,
      `${long}}},{}`,
      `x${long}}}`,
      `${long}},"id"}`,
    ]) {
      expect(() => Message.read(text, "client")).toThrow(SyntaxError);
      // Judged by its structure: anything behind the message would be a second one on the same line.
      let outcome: unknown;
      try {
        outcome = Message.read(text, "upstream");
      } catch (error) {
        outcome = error;
      }
      expect([text.slice(-8), outcome instanceof SyntaxError || typeof outcome === "string"]).toEqual([
        text.slice(-8),
        true,
      ]);
    }
  });
});

test("line breaks between tokens become blanks, those inside strings stay escaped", () => {
  const message = read('{\n"jsonrpc":"2.0",\r\n"id":1,"method":"m","params":{"t":"a\\nb"}\n}');
  expect(message.text).not.toContain("\n");
  expect(message.stringParam("t")).toBe("a\nb");
});

test("a name that is written with an escape is the name that it stands for", () => {
  const message = read(
    '{"jsonrpc":"2.0","id":1,"method":"tools\\/call","params":{"name":"a","n\\u0061me":"b","_met\\u0061":{"x":1,"progress\\u0054oken":"c"}}}',
  );
  expect([message.method, message.stringParam("name"), message.meta("progressToken")?.key]).toEqual([
    "tools/call",
    "b",
    "progressToken",
  ]);
  expect(ambiguityOf(message)).toContain("twice");
});

test("an id is the number that it stands for, and none where it is a string", () => {
  for (const id of ["0", "7", "123456789012345", "12345678901234567890", "-3", "1e2", "1.50", '"5"', '"a"']) {
    const message = read(`{"jsonrpc":"2.0","id":${id},"result":{}}`);
    expect([id, message.idNumber]).toEqual([id, Number(id)]);
  }
});

test("params that are an array have no members", () => {
  const message = read('{"jsonrpc":"2.0","id":1,"method":"m","params":["name"]}');
  expect(message.paramMembers).toEqual([]);
  expect(message.parsedParams()).toEqual({});
});
