import { expect, test } from "bun:test";
import { IdlePatterns } from "../../src/policy/idle-patterns.ts";

const FILES = { name: "files", tools: new Set(["read_file", "write_file"]) };
const SECRET = { name: "hook/s3cret", tools: new Set(["run"]) };

test("each pattern that fits nothing is told of once, with what may have been meant", () => {
  const idle = new IdlePatterns();
  const patterns = ["*", "files:*", "files:read_*", "file:*", "files:red_file", "files", "hook/s3cret:walk", "*:run"];
  idle.expect(patterns);
  expect(idle.look([FILES, SECRET])).toEqual([
    'the pattern "file:*" fits no server; did you mean "files"?',
    'the pattern "files:red_file" fits no tool; did you mean "read_file"?',
    'the pattern "files" fits nothing: expected "server:tool", "server:*" or "*"',
    'the pattern "hook:walk" fits no tool',
  ]);
  idle.expect(patterns);
  expect(idle.look([FILES, SECRET])).toEqual([]);
  idle.expect(["files:*"]);
  idle.expect(patterns);
  expect(idle.look([FILES, SECRET])).toHaveLength(4);
});

test("nothing is said of tools before the server has listed them", () => {
  const idle = new IdlePatterns();
  idle.expect(["files:none", "files:read_file"]);
  expect(idle.look([{ name: "files", tools: undefined }])).toEqual([]);
  expect(idle.look([FILES])).toEqual(['the pattern "files:none" fits no tool']);
});
