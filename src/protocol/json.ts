import { endOfString, endOfValue, skipSpace } from "./strict-json.ts";

/**
 * Positions inside JSON text. The relay replaces ids, tokens and names where they stand and leaves every other
 * character as it came: a number beyond 2^53 or a lone surrogate does not survive `parse` and `stringify`.
 *
 * These functions follow the structure (strings and brackets) and trust that the text is JSON; `isJSON` is the judge.
 */

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One member of an object; its place is that of the value. */
export class Member implements Span {
  readonly source: string;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly start: number;
  readonly end: number;
  /** The key as it is read, where it is not as it stands there. */
  readonly #spelled: string | undefined;

  constructor(source: string, keyStart: number, keyEnd: number, start: number, end: number) {
    this.source = source;
    this.keyStart = keyStart;
    this.keyEnd = keyEnd;
    this.start = start;
    this.end = end;
    this.#spelled = hasBackslash(source, keyStart, keyEnd)
      ? (JSON.parse(source.slice(keyStart, keyEnd)) as string)
      : undefined;
  }

  get key(): string {
    return this.#spelled ?? this.source.slice(this.keyStart + 1, this.keyEnd - 1);
  }

  /** Whether that is its key. It is compared where it stands: most members are none of those looked for. */
  is(key: string): boolean {
    if (this.#spelled !== undefined) return this.#spelled === key;
    return this.keyEnd - this.keyStart === key.length + 2 && isAt(this.source, this.keyStart + 1, key);
  }
}

function hasBackslash(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (text.charCodeAt(i) === BACKSLASH) return true;
  return false;
}

/** The number at a place, NaN when another kind of value stands there. Those of few digits are read where they stand. */
export function numberAt(text: string, { start, end }: Span): number {
  if (end - start > 15) return Number(text.slice(start, end));
  let number = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (!(digit >= 0 && digit <= 9)) return Number(text.slice(start, end));
    number = number * 10 + digit;
  }
  return number;
}

/** Whether `part` stands at `at`. */
export function isAt(text: string, at: number, part: string): boolean {
  if (at + part.length > text.length) return false;
  for (let i = 0; i < part.length; i++) if (text.charCodeAt(at + i) !== part.charCodeAt(i)) return false;
  return true;
}

/** A replacement of one span; see `splice`. */
export interface Edit extends Span {
  readonly text: string;
}

const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const COLON = 58;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;

/**
 * A name as parsers see it that ignore case. Some of them (Go's) fold by Unicode, where U+017F is an s and U+212A a k.
 */
export function foldCase(name: string): string {
  return name.toUpperCase().toLowerCase();
}

/** Whether the text is one JSON value. Nesting too deep for the runtime's parser counts as not JSON. */
export function isJSON(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Index behind the string that opens at `at`, or -1 when it does not end. */
function skipString(text: string, at: number): number {
  let close = text.indexOf('"', at + 1);
  while (close !== -1) {
    let slashes = 0;
    while (text.charCodeAt(close - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return close + 1;
    close = text.indexOf('"', close + 1);
  }
  return -1;
}

/** Index behind the value that begins at `at`, or -1 when the text ends first. */
export function skipValue(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === QUOTE) return skipString(text, at);
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    let end = at;
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end);
      if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || code <= 32) break;
    }
    return end > at ? end : -1;
  }
  let depth = 0;
  for (let i = at; i < text.length;) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = skipString(text, i);
      if (i === -1) return -1;
      continue;
    }
    i++;
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (--depth === 0) return i;
    }
  }
  return -1;
}

/**
 * The members of the object that opens at `at`, duplicates included; undefined when there is no whole object.
 * @param strictly whether all of it must be JSON; objects that are nested very deep are refused then
 */
export function members(text: string, at: number, strictly = false): Member[] | undefined {
  if (text.charCodeAt(at) !== OPEN_BRACE) return undefined;
  const found: Member[] = [];
  let i = skipSpace(text, at + 1);
  if (text.charCodeAt(i) === CLOSE_BRACE) return found;
  for (;;) {
    if (text.charCodeAt(i) !== QUOTE) return undefined;
    const keyEnd = strictly ? endOfString(text, i) : skipString(text, i);
    if (keyEnd === -1) return undefined;
    const colon = skipSpace(text, keyEnd);
    if (text.charCodeAt(colon) !== COLON) return undefined;
    const start = skipSpace(text, colon + 1);
    const end = strictly ? endOfValue(text, start) : skipValue(text, start);
    if (end === -1) return undefined;
    found.push(new Member(text, i, keyEnd, start, end));
    i = skipSpace(text, end);
    const code = text.charCodeAt(i);
    if (code === CLOSE_BRACE) return found;
    if (code !== COMMA) return undefined;
    i = skipSpace(text, i + 1);
  }
}

/** The member of that name; of duplicates the last, as in `JSON.parse`. */
export function lastOf(found: readonly Member[], key: string): Member | undefined {
  for (let i = found.length - 1; i >= 0; i--) if (found[i]?.is(key) === true) return found[i];
  return undefined;
}

/** Index behind the object that opens at `at` and whose members are `found`. */
export function endOfObject(text: string, at: number, found: readonly Member[]): number {
  const last = found.at(-1);
  return skipSpace(text, last === undefined ? skipSpace(text, at + 1) : last.end) + 1;
}

/** The elements of the array that opens at `at`; undefined when there is no whole array. */
export function elements(text: string, at: number): Span[] | undefined {
  if (text.charCodeAt(at) !== OPEN_BRACKET) return undefined;
  const found: Span[] = [];
  let start = skipSpace(text, at + 1);
  if (text.charCodeAt(start) === CLOSE_BRACKET) return found;
  for (;;) {
    const end = skipValue(text, start);
    if (end === -1) return undefined;
    found.push({ start, end });
    const i = skipSpace(text, end);
    const code = text.charCodeAt(i);
    if (code === CLOSE_BRACKET) return found;
    if (code !== COMMA) return undefined;
    start = skipSpace(text, i + 1);
  }
}

/** The raw texts of an array's elements, none when the text is not an array. */
export function splitArray(text: string): string[] {
  return (elements(text, skipSpace(text, 0)) ?? []).map((span) => text.slice(span.start, span.end));
}

/** The value at a path of keys below the object at `at`. Of duplicates the last counts, as in `JSON.parse`. */
export function find(text: string, at: number, ...path: readonly string[]): Span | undefined {
  let span: Span | undefined = { start: at, end: at };
  for (const key of path) {
    span = lastOf(members(text, span.start) ?? [], key);
    if (span === undefined) return undefined;
  }
  return span;
}

/** Applies replacements that do not overlap and are in the order of the text. */
export function splice(text: string, edits: readonly Edit[]): string {
  let result = "";
  let at = 0;
  for (const edit of edits) {
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at);
}

/** The array at `span` without the elements that `keep` refuses, every kept one as it came. */
export function filterArray(text: string, at: number, keep: (element: Span) => boolean): string | undefined {
  const all = elements(text, at);
  if (all === undefined) return undefined;
  const kept = all.filter(keep);
  return `[${kept.map((span) => text.slice(span.start, span.end)).join(",")}]`;
}

/**
 * Takes raw line breaks out of JSON text. They can only stand between tokens, where a blank means the same; stdio and
 * event streams are framed by lines.
 */
export function oneLine(text: string): string {
  return text.includes("\n") || text.includes("\r") ? text.replaceAll(/[\r\n]/g, " ") : text;
}
