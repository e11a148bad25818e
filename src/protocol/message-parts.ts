import { endOfObject, foldCase, isAt, isJSON, members, skipValue } from "./json.ts";
import type { Member, Span } from "./json.ts";
import { endOfString, endOfValue, skipSpace } from "./strict-json.ts";

/** Up to there our own reading of JSON is faster than the parser's, which makes values; from 1,500 characters on it is not. */
export const STRICT_LIMIT = 1_024;
/** Texts of upstreams that are longer are judged by their structure alone: results may have megabytes. */
const FULL_CHECK_LIMIT = 65_536;

const NAMES = ["jsonrpc", "id", "method", "params", "result", "error"];

/** Where the members of a message stand. What they are is not judged yet. */
export class MessageParts {
  /** `"jsonrpc":"2.0"` is there. */
  versioned = false;
  id: Span | undefined = undefined;
  method: Span | undefined = undefined;
  params: Span | undefined = undefined;
  /** The members of `params`, where they were come by. */
  paramMembers: readonly Member[] | undefined = undefined;
  result: Span | undefined = undefined;
  error: Span | undefined = undefined;
}

/**
 * Finds the members and checks that the text is JSON, in one pass and without cutting out a name.
 * @returns undefined for whatever is not as almost all messages are; that is not judged here
 */
export function quickParts(text: string): MessageParts | undefined {
  const parts = new MessageParts();
  let i = skipSpace(text, 0);
  if (text.charCodeAt(i) !== 123) return undefined;
  for (;;) {
    i = skipSpace(text, i + 1);
    const name = nameAt(text, i);
    if (name === undefined) return undefined;
    i = skipSpace(text, i + name.length);
    if (text.charCodeAt(i) !== 58) return undefined;
    const start = skipSpace(text, i + 1);
    switch (name) {
      case JSONRPC:
        if (parts.versioned || !isAt(text, start, '"2.0"')) return undefined;
        parts.versioned = true;
        i = start + 5;
        break;
      case ID:
        if (parts.id !== undefined) return undefined;
        i = endOfValue(text, start);
        parts.id = { start, end: i };
        break;
      case METHOD:
        if (parts.method !== undefined) return undefined;
        if (text.charCodeAt(start) !== 34) return undefined;
        i = endOfString(text, start);
        parts.method = { start, end: i };
        break;
      case PARAMS:
        if (parts.params !== undefined) return undefined;
        parts.paramMembers = members(text, start, true);
        if (parts.paramMembers === undefined) return undefined;
        i = endOfObject(text, start, parts.paramMembers);
        parts.params = { start, end: i };
        break;
      case RESULT:
        if (parts.result !== undefined) return undefined;
        i = endOfValue(text, start);
        parts.result = { start, end: i };
        break;
      default:
        return undefined;
    }
    if (i === -1) return undefined;
    i = skipSpace(text, i);
    const code = text.charCodeAt(i);
    if (code === 125) return i + 1 === text.length ? parts : undefined;
    if (code !== 44) return undefined;
  }
}

const JSONRPC = '"jsonrpc"';
const ID = '"id"';
const METHOD = '"method"';
const PARAMS = '"params"';
const RESULT = '"result"';

/** Which of the names stands at a place, in quotes. */
function nameAt(text: string, at: number): string | undefined {
  // No two begin with the same letter.
  switch (text.charCodeAt(at + 1)) {
    case 106:
      return isAt(text, at, JSONRPC) ? JSONRPC : undefined;
    case 105:
      return isAt(text, at, ID) ? ID : undefined;
    case 109:
      return isAt(text, at, METHOD) ? METHOD : undefined;
    case 112:
      return isAt(text, at, PARAMS) ? PARAMS : undefined;
    case 114:
      return isAt(text, at, RESULT) ? RESULT : undefined;
    default:
      return undefined;
  }
}

/**
 * The same for every text.
 * @returns a sentence that says what is wrong when the text is JSON but no message
 * @throws SyntaxError when it is not JSON
 */
export function slowParts(text: string, from: "client" | "upstream"): MessageParts | string {
  if ((from === "client" || text.length <= FULL_CHECK_LIMIT) && !isJSON(text)) throw new SyntaxError("not JSON");
  const start = skipSpace(text, 0);
  const top = members(text, start);
  if (top === undefined) {
    if (text.charCodeAt(start) !== 123 && skipValue(text, start) !== -1) return "a message is a JSON object";
    throw new SyntaxError("not JSON");
  }
  if (skipSpace(text, endOfObject(text, start, top)) !== text.length) throw new SyntaxError("not JSON");
  const parts = new MessageParts();
  let jsonrpc: Span | undefined;
  for (const member of top) {
    const { key } = member;
    let twice: Span | undefined;
    // A second spelling of a name is how one parser is made to see another message than the next one does.
    switch (key) {
      case "jsonrpc":
        twice = jsonrpc;
        jsonrpc = member;
        parts.versioned = text.slice(member.start, member.end) === '"2.0"';
        break;
      case "id":
      case "method":
      case "params":
      case "result":
      case "error":
        twice = parts[key];
        parts[key] = member;
        break;
      default:
        if (NAMES.includes(foldCase(key))) return `"${key}" is not written like that`;
    }
    if (twice !== undefined) return `"${key}" stands there twice`;
  }
  return parts;
}
