import { elements, members } from "../json.ts";
import { skipSpace } from "../strict-json.ts";

/** Deeper than any arguments in use; below it the text counts as it is. */
const MAX_DEPTH = 64;

/**
 * JSON text in one spelling: members in order, no white space. Clients that repeat a request may write it otherwise
 * (some languages shuffle maps). Numbers stay as they are: a parser would make different ones equal.
 */
export function canonical(text: string, depth = 0): string {
  const at = skipSpace(text, 0);
  const first = text.charCodeAt(at);
  if (depth < MAX_DEPTH && first === 123) {
    const all = (members(text, at) ?? []).map(
      (each) => [each.key, canonical(text.slice(each.start, each.end), depth + 1)] as const,
    );
    all.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${all.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`;
  }
  if (depth < MAX_DEPTH && first === 91) {
    const all = elements(text, at) ?? [];
    return `[${all.map((each) => canonical(text.slice(each.start, each.end), depth + 1)).join(",")}]`;
  }
  return first === 34 ? JSON.stringify(JSON.parse(text)) : text.trim();
}
