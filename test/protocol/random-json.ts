const STRINGS = [
  '""',
  '"a"',
  '"\\""',
  '"\\\\"',
  '"\\\\\\""',
  '"\\ud800"',
  '"\\u0061"',
  '"}]{["',
  '","',
  '"€😀"',
  '"__proto__"',
  '"id"',
  '"\\/\\b\\f\\n\\r\\t"',
  '"\u2028"',
];
const NUMBERS = ["0", "-0", "1", "-1.5e-10", "12345678901234567890123", "9007199254740993", "1E400", "0.10", "1.0"];
const WORDS = ["true", "false", "null"];

interface Options {
  /** What kind the outermost value is. */
  readonly top?: "object" | "array";
}

/** JSON text with odd spelling: blanks anywhere, escapes, huge numbers. Keys of one object are all different. */
export function randomJson(random: () => number, { top }: Options = {}): string {
  const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)] ?? "0";
  const blank = (): string => (random() < 0.6 ? "" : pick([" ", "\n", "\t", "\r\n", "  "]));
  const value = (depth: number, kind?: "object" | "array"): string => {
    const chosen = kind ?? (depth > 4 ? "leaf" : random() < 0.3 ? "object" : random() < 0.4 ? "array" : "leaf");
    if (chosen === "leaf") return pick(random() < 0.5 ? STRINGS : random() < 0.7 ? NUMBERS : WORDS);
    const items = Array.from({ length: Math.floor(random() * 5) }, (_, index) => {
      const item = value(depth + 1);
      const key = `${pick(STRINGS).slice(0, -1)}${index}"`;
      return chosen === "array"
        ? `${blank()}${item}${blank()}`
        : `${blank()}${key}${blank()}:${blank()}${item}${blank()}`;
    });
    const inside = items.length === 0 ? blank() : items.join(",");
    return chosen === "array" ? `[${inside}]` : `{${inside}}`;
  };
  return value(0, top);
}
