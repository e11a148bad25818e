import type { StateKey } from "./state-store.ts";

/**
 * One text for a key, so that the texts of all keys below a prefix begin with the text of the prefix and no others do.
 * U+0000 ends each part; within a part it is written as two characters.
 */
export function keyText(key: StateKey): string {
  // oxlint-disable-next-line no-control-regex -- it is the separator
  return key
    .map((part) => `${part.replaceAll(/[\u0000\u0001]/g, (c) => (c === "\u0000" ? "\u0001a" : "\u0001b"))}\u0000`)
    .join("");
}

export function keyOf(text: string): StateKey {
  const parts = text.slice(0, -1).split("\u0000");
  return parts.map((part) => part.replaceAll("\u0001a", "\u0000").replaceAll("\u0001b", "\u0001")) as [
    string,
    ...string[],
  ];
}
