/**
 * The grammar of JSON (RFC 8259), exactly as strict as `JSON.parse`, without making values of what is read: for short
 * texts that takes half of the time. What is accepted here is JSON; what is not has to be judged by the parser itself,
 * since it may only be too deep.
 */

const QUOTE = 34;
const BACKSLASH = 92;

/** Deeper than what anybody sends, and far from what would fill the stack. */
const MAX_DEPTH = 100;

/** Index behind the string that opens at `at`, or -1 when there is no valid one. */
export function endOfString(text: string, at: number): number {
  const { length } = text;
  for (let i = at + 1; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i + 1;
    if (code < 32) return -1;
    if (code === BACKSLASH) {
      i = endOfEscape(text, i);
      if (i === -1) return -1;
    }
  }
  return -1;
}

/** Index behind the value that begins at `at`, or -1 when there is no valid one, or it is nested deeper than `depth`. */
export function endOfValue(text: string, at: number, depth = MAX_DEPTH): number {
  if (at >= text.length) return -1;
  switch (text.charCodeAt(at)) {
    case QUOTE:
      return endOfString(text, at);
    case 123:
      return depth === 0 ? -1 : endOfObject(text, at, depth - 1);
    case 91:
      return depth === 0 ? -1 : endOfArray(text, at, depth - 1);
    case 116:
      return text.startsWith("true", at) ? at + 4 : -1;
    case 102:
      return text.startsWith("false", at) ? at + 5 : -1;
    case 110:
      return text.startsWith("null", at) ? at + 4 : -1;
    default:
      return endOfNumber(text, at);
  }
}

function endOfObject(text: string, at: number, depth: number): number {
  let i = nextToken(text, at + 1);
  if (codeAt(text, i) === 125) return i + 1;
  for (;;) {
    if (codeAt(text, i) !== QUOTE) return -1;
    i = endOfString(text, i);
    if (i === -1) return -1;
    i = nextToken(text, i);
    if (codeAt(text, i) !== 58) return -1;
    i = endOfValue(text, nextToken(text, i + 1), depth);
    if (i === -1) return -1;
    i = nextToken(text, i);
    const code = codeAt(text, i);
    if (code === 125) return i + 1;
    if (code !== 44) return -1;
    i = nextToken(text, i + 1);
  }
}

function endOfArray(text: string, at: number, depth: number): number {
  let i = nextToken(text, at + 1);
  if (codeAt(text, i) === 93) return i + 1;
  for (;;) {
    i = endOfValue(text, i, depth);
    if (i === -1) return -1;
    i = nextToken(text, i);
    const code = codeAt(text, i);
    if (code === 93) return i + 1;
    if (code !== 44) return -1;
    i = nextToken(text, i + 1);
  }
}

function endOfNumber(text: string, at: number): number {
  let i = codeAt(text, at) === 45 ? at + 1 : at;
  // No digit may follow a leading zero.
  i = codeAt(text, i) === 48 ? i + 1 : endOfDigits(text, i);
  if (i !== -1 && codeAt(text, i) === 46) i = endOfDigits(text, i + 1);
  if (i === -1 || (codeAt(text, i) | 32) !== 101) return i;
  const sign = codeAt(text, ++i);
  return endOfDigits(text, sign === 43 || sign === 45 ? i + 1 : i);
}

/** Index behind the digits that begin at `at`, or -1 when there is none. */
function endOfDigits(text: string, at: number): number {
  let i = at;
  for (let code = codeAt(text, i); code >= 48 && code <= 57; code = codeAt(text, i)) i++;
  return i === at ? -1 : i;
}

/** Index of the last character of the escape that a backslash at `at` begins, or -1 when there is no such escape. */
function endOfEscape(text: string, at: number): number {
  const code = codeAt(text, at + 1);
  if (code !== 117) return code !== 0 && '"\\/bfnrt'.includes(String.fromCharCode(code)) ? at + 1 : -1;
  for (let i = at + 2; i < at + 6; i++) {
    const digit = codeAt(text, i);
    const letter = digit | 32;
    if (!((digit >= 48 && digit <= 57) || (letter >= 97 && letter <= 102))) return -1;
  }
  return at + 5;
}

/** 0 behind the end: to read there makes all that reads there slow. */
function codeAt(text: string, at: number): number {
  return at < text.length ? text.charCodeAt(at) : 0;
}

function nextToken(text: string, at: number): number {
  for (let i = at; ; i++) {
    const code = codeAt(text, i);
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return i;
  }
}
