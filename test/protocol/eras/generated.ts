/** Messages of both revisions by chance, the same for the same seed: shapes of the schemas, with unknown fields everywhere. */
import { seeded } from "../../support/seeded.ts";

export class Chance {
  /** In [0, 1). */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = seeded(seed);
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  of<T>(all: readonly T[]): T {
    return all[this.below(all.length)] as T;
  }

  maybe(likely = 0.5): boolean {
    return this.next() < likely;
  }
}

const STRINGS = [
  '"plain"',
  '"with \\"quotes\\" and \\\\"',
  '"\\ud800"',
  '"{\\"a\\":[1,2"',
  '"ümläut"',
  '""',
  '"=?base64?eA==?="',
];
const NUMBERS = ["0", "-1", "1.0", "12345678901234567890123", "1e400", "0.1"];
const KEYS = [
  "x",
  "resultTypeOf",
  "ttl",
  "vendor/key",
  "a b",
  "params",
  "id",
  "_meta",
  "ümläut",
  "execution",
  "nested",
];

/** Any JSON value as text. */
export function value(chance: Chance, depth = 0): string {
  const kind = chance.below(depth > 2 ? 4 : 6);
  if (kind === 0) return chance.of(STRINGS);
  if (kind === 1) return chance.of(NUMBERS);
  if (kind === 2) return chance.of(["true", "false"]);
  if (kind === 3) return "null";
  const inner = Array.from({ length: chance.below(3) }, () => value(chance, depth + 1));
  if (kind === 4) return `[${inner.join(chance.of([",", " , "]))}]`;
  return object(Object.fromEntries(inner.map((each, n) => [`k${n}`, each])));
}

/** An object's text from raw members. */
export function object(members: Readonly<Record<string, string | undefined>>): string {
  const each = Object.entries(members).filter(([, raw]) => raw !== undefined);
  return `{${each.map(([key, raw]) => `${JSON.stringify(key)}:${raw}`).join(",")}}`;
}

/** Members that no schema knows. */
export function unknown(chance: Chance, taken: readonly string[] = []): Record<string, string> {
  const keys = KEYS.filter((key) => !taken.includes(key) && chance.maybe(0.2));
  return Object.fromEntries(keys.map((key) => [key, value(chance, 1)]));
}

export const REQUESTS = [
  "tools/call",
  "tools/list",
  "prompts/get",
  "prompts/list",
  "resources/read",
  "resources/list",
  "resources/templates/list",
  "completion/complete",
  "vendor/own",
] as const;

/** Params of a request of either era, without the envelope. */
export function params(chance: Chance, method: string): string {
  const meta = chance.maybe()
    ? object({
        progressToken: chance.maybe() ? chance.of(['"t"', "7"]) : undefined,
        ...unknown(chance, ["_meta"]),
        traceparent: '"00-a-b-01"',
      })
    : undefined;
  const own: Record<string, string | undefined> = {};
  if (method === "tools/call" || method === "prompts/get") {
    own["name"] = chance.of(STRINGS);
    own["arguments"] = chance.maybe(0.8) ? object(unknown(chance)) : undefined;
  } else if (method === "resources/read") own["uri"] = chance.of(STRINGS);
  else if (method.endsWith("/list")) own["cursor"] = chance.maybe() ? chance.of(STRINGS) : undefined;
  return object({ ...own, ...unknown(chance, ["_meta", ...Object.keys(own)]), _meta: meta });
}

/** A result that both eras can express. */
export function result(chance: Chance, method: string): string {
  const own: Record<string, string | undefined> = {};
  const list = (each: () => string): string => `[${Array.from({ length: chance.below(4) }, each).join(",")}]`;
  if (method === "tools/list") {
    own["tools"] = list(() =>
      object({
        name: chance.of(STRINGS),
        inputSchema: object({ type: '"object"', ...unknown(chance) }),
        outputSchema: chance.maybe() ? object({ type: '"object"', ...unknown(chance) }) : undefined,
        ...unknown(chance, ["execution"]),
      }),
    );
  } else if (method === "tools/call") {
    own["content"] = list(() => object({ type: '"text"', text: chance.of(STRINGS), ...unknown(chance) }));
    own["structuredContent"] = chance.maybe() ? object(unknown(chance)) : undefined;
    own["isError"] = chance.maybe() ? "true" : undefined;
  } else if (method.endsWith("/list")) own["items"] = list(() => object(unknown(chance)));
  else own["contents"] = list(() => value(chance));
  return object({
    ...own,
    ...unknown(chance, Object.keys(own).concat("_meta")),
    _meta: chance.maybe() ? object({ kept: "1", ...unknown(chance) }) : undefined,
  });
}
