import { createScanner, getNodeValue, parseTree, printParseErrorCode } from "jsonc-parser";
import type { Node, ParseError } from "jsonc-parser";
import type { Path } from "./problem.ts";

/** Parsing is recursive here and in the library: a text of brackets must not overflow the stack. */
const MAX_DEPTH = 100;
/** One missing bracket makes the parser complain at every later token; more than this helps nobody. */
const MAX_SYNTAX_ERRORS = 20;

const SYNTAX: Record<string, string> = {
  InvalidSymbol: "this is not a JSON value (text needs double quotes)",
  InvalidNumberFormat: "this is not a number",
  PropertyNameExpected: "expected a key in double quotes",
  ValueExpected: "expected a value",
  ColonExpected: 'expected ":" after the key',
  CommaExpected: 'expected "," before this',
  CloseBraceExpected: 'expected "}"',
  CloseBracketExpected: 'expected "]"',
  EndOfFileExpected: "nothing may follow the end of the configuration",
  InvalidCommentToken: "this is not a comment (use // or /* */)",
  UnexpectedEndOfComment: "this comment is not closed",
  UnexpectedEndOfString: "this text is not closed with a double quote",
  UnexpectedEndOfNumber: "this number is not complete",
  InvalidUnicode: "expected four hexadecimal digits after \\u",
  InvalidEscapeCharacter: "unknown escape; a backslash is written \\\\",
  InvalidCharacter: "a control character must be escaped",
};

export interface SyntaxProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface DuplicateKey {
  readonly path: Path;
  readonly first: Place;
  readonly again: Place;
}

export interface Place {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

/** A JSON text with comments and trailing commas that still knows where everything stands. */
export class Document {
  readonly #text: string;
  readonly #lines: readonly number[];
  readonly #root: Node;

  private constructor(text: string, lines: readonly number[], root: Node) {
    this.#text = text;
    this.#lines = lines;
    this.#root = root;
  }

  /** Never throws; all syntax errors are listed, in the order of the text. */
  static parse(source: string): { document: Document } | { errors: readonly SyntaxProblem[] } {
    // A byte order mark is common in files written on Windows; blanking it keeps the columns.
    const text = source.charCodeAt(0) === 0xfeff ? ` ${source.slice(1)}` : source;
    const lines = lineStarts(text);
    const deep = tooDeepAt(text);
    if (deep !== undefined) {
      return { errors: [{ ...position(lines, deep), message: `nested deeper than ${MAX_DEPTH} levels` }] };
    }
    const errors: ParseError[] = [];
    const root = parseTree(text, errors, { allowTrailingComma: true });
    if (errors.length > 0 || root === undefined) {
      if (text.trim() === "") return { errors: [{ line: 1, column: 1, message: "the file is empty" }] };
      return { errors: syntaxProblems(errors, lines, text) };
    }
    return { document: new Document(text, lines, root) };
  }

  /** Objects have no prototype, so that a key such as `__proto__` is only a key. The last of duplicate keys wins. */
  value(): unknown {
    return getNodeValue(this.#root);
  }

  /** The keys of an object as the text orders them (a JavaScript object would move number-like names forward). */
  keys(path: Path): string[] {
    const node = find(this.#root, path);
    if (node?.type !== "object") return [];
    return [...new Set((node.children ?? []).map((property) => String(property.children?.[0]?.value)))];
  }

  /** The text of a value as it was written, for numbers that must not be rounded. */
  raw(path: Path): string | undefined {
    const node = find(this.#root, path);
    return node && this.#text.slice(node.offset, node.offset + node.length);
  }

  /** Where a path stands, or the nearest thing above it that exists. */
  locate(path: Path, at: "key" | "value" = "value"): Place {
    for (let length = path.length; length > 0; length--) {
      const node = find(this.#root, path.slice(0, length));
      if (node === undefined) continue;
      const property = at === "key" && length === path.length && node.parent?.type === "property" ? node.parent : node;
      return position(this.#lines, property.offset);
    }
    return position(this.#lines, this.#root.offset);
  }

  duplicates(): DuplicateKey[] {
    const found: DuplicateKey[] = [];
    const visit = (node: Node, path: Path): void => {
      if (node.type === "array") node.children?.forEach((child, index) => visit(child, [...path, index]));
      if (node.type !== "object") return;
      const seen = new Map<string, number>();
      for (const property of node.children ?? []) {
        const [key, value] = property.children ?? [];
        if (key === undefined || value === undefined) continue;
        const name = String(key.value);
        const first = seen.get(name);
        if (first === undefined) seen.set(name, key.offset);
        else {
          const again = position(this.#lines, key.offset);
          found.push({ path: [...path, name], first: position(this.#lines, first), again });
        }
        visit(value, [...path, name]);
      }
    };
    visit(this.#root, []);
    return found;
  }
}

/** Like the library's search, but of duplicate keys the last is found, whose value counts. */
function find(root: Node, path: Path): Node | undefined {
  let node: Node | undefined = root;
  for (const segment of path) {
    if (node?.type === "array") node = typeof segment === "number" ? node.children?.[segment] : undefined;
    else if (node?.type === "object") {
      node = node.children?.findLast((property) => property.children?.[0]?.value === segment)?.children?.[1];
    } else return undefined;
  }
  return node;
}

function syntaxProblems(errors: readonly ParseError[], lines: readonly number[], text: string): SyntaxProblem[] {
  const problems: SyntaxProblem[] = [];
  let end = -1;
  for (const error of [...errors].sort((a, b) => a.offset - b.offset)) {
    // What follows a bad token at once is the parser's surprise about the same mistake.
    const isEcho = end >= 0 && text.slice(end, error.offset).trim() === "";
    end = Math.max(end, error.offset + error.length);
    if (isEcho || problems.length >= MAX_SYNTAX_ERRORS) continue;
    const message = SYNTAX[printParseErrorCode(error.error)] ?? "this is not valid JSON";
    problems.push({ ...position(lines, error.offset), message });
  }
  return problems;
}

/** The scanner does not recurse, so it can look first. Numbers are the library's token kinds. */
function tooDeepAt(text: string): number | undefined {
  const [open, close, openList, closeList, end] = [1, 2, 3, 4, 17];
  const scanner = createScanner(text, true);
  let depth = 0;
  for (let token: number = scanner.scan(); token !== end; token = scanner.scan()) {
    if (token === open || token === openList) {
      if (++depth > MAX_DEPTH) return scanner.getTokenOffset();
    } else if (token === close || token === closeList) depth--;
  }
  return undefined;
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

function position(lines: readonly number[], offset: number): Place {
  let low = 0;
  let high = lines.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((lines[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (lines[low] ?? 0) + 1 };
}
