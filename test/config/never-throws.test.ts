import { expect, test } from "bun:test";
import { loadText } from "./helpers.ts";

/** A small generator, so that a failure can be repeated from its seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const PIECES = [
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  '"',
  "null",
  "true",
  "1e999",
  "-0",
  "//x\n",
  "/*",
  "*/",
  "\\u00",
  "\ud800",
  "\u0000",
  "\ufeff",
  '"mcpServers"',
  '"mcpProxy"',
  '"clients"',
  '"server"',
  '"groups"',
  '"options"',
  '"command"',
  '"url"',
  '"__proto__"',
  '"constructor"',
  '"authTokens"',
  '"users"',
  '"${A:-${B}}"',
  '"${file:/dev/zero}"',
  '"${"',
  '"$"',
  '"timeout"',
  '"env"',
  '"type"',
  '"sse"',
  '"stdio"',
];

const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e300,
  "",
  "x",
  "${NOPE}",
  "${file:/nope}",
  [],
  [null],
  [[]],
  {},
  { a: null },
  { constructor: 1 },
  { options: { authTokens: null } },
  { command: "x", args: [1, "2", null] },
  { url: "http://[" },
  { url: "${A}" },
  { type: "sse", config: { url: 1 } },
  { servers: ["a"] },
  "$2b$10$",
  "10.0.0.1/99",
];
const KEYS = [
  "mcpServers",
  "mcpProxy",
  "server",
  "clients",
  "groups",
  "options",
  "oauth2",
  "users",
  "apiKeys",
  "tls",
  "addr",
  "a",
  "__proto__",
  "constructor",
  "toString",
  "command",
  "url",
  "env",
  "args",
  "headers",
  "authTokens",
  "toolFilter",
  "timeout",
  "type",
  "config",
  "hasOwnProperty",
  "a/b",
  "1",
  "identityProvider",
];

test("random pieces of JSON never make it throw", async () => {
  for (let seed = 0; seed < 400; seed++) {
    const next = random(seed);
    const text = Array.from({ length: Math.floor(next() * 40) }, () => PIECES[Math.floor(next() * PIECES.length)]).join(
      "",
    );
    const loaded = await loadText(text).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
    expect(loaded.config !== undefined || loaded.problems.length > 0).toBe(true);
  }
});

test("random trees of known keys never make it throw", async () => {
  for (let seed = 0; seed < 600; seed++) {
    const next = random(seed);
    const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(next() * list.length)];
    const tree = (depth: number): string => {
      if (depth === 0 || next() < 0.2) return JSON.stringify(pick(VALUES));
      const entries = Array.from(
        { length: Math.floor(next() * 4) },
        () => `${JSON.stringify(pick(KEYS))}:${tree(depth - 1)}`,
      );
      return `{${entries.join(",")}}`;
    };
    const text = `{"mcpServers":${tree(4)},"mcpProxy":${tree(4)},"clients":${tree(3)}}`;
    const loaded = await loadText(text).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${text}`, { cause: error });
    });
    expect(loaded.config !== undefined || loaded.problems.some((problem) => problem.severity === "error")).toBe(true);
  }
});

test.each([
  ["a tower of brackets", "[".repeat(500_000)],
  ["a tower of objects", '{"a":'.repeat(200_000)],
  ["many variables that never end", JSON.stringify({ mcpServers: { a: { command: "${".repeat(200_000) } } })],
  ["a very long key", JSON.stringify({ ["k".repeat(300_000)]: 1, mcpServers: {} })],
])("%s is answered", async (_, text) => {
  const loaded = await loadText(text);
  expect(loaded.found).toBe("config");
});

test("names that every object has are ordinary names", async () => {
  const loaded = await loadText(
    '{"mcpServers":{"__proto__":{"command":"a"},"constructor":{"command":"b"},"toString":{"command":"c"}}}',
  );
  const commands = [...(loaded.config?.servers ?? [])].map(([name, server]) => [
    name,
    server.target.kind === "stdio" && server.target.command,
  ]);
  expect(commands).toEqual([
    ["__proto__", "a"],
    ["constructor", "b"],
    ["toString", "c"],
  ]);
  expect(({} as Record<string, unknown>)["command"]).toBeUndefined();
});
