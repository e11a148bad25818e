import { skipSpace } from "../protocol/strict-json.ts";
import type { ParamHeader } from "../protocol/eras/param-headers.ts";
import { paramHeaders } from "../protocol/eras/param-headers.ts";
import { asString, getKey } from "../protocol/eras/object-text.ts";

/** Names that clients make up must not fill the memory. */
const MAX_KNOWN = 10_000;

const NONE: readonly ParamHeader[] = Object.freeze([]);

/** Which arguments of a server's tools travel in headers too, as far as its list of tools has told. */
export class ToolHeaders {
  #known = new Map<string, readonly ParamHeader[] | string>();
  readonly #complain: (tool: string, why: string) => void;
  readonly #complained = new Set<string>();

  /** @param complain hears once of each tool whose annotations are invalid */
  constructor(complain: (tool: string, why: string) => void) {
    this.#complain = complain;
  }

  /** Undefined while the tool is unknown, or its list has changed since. */
  of(tool: string): readonly ParamHeader[] | undefined {
    const known = this.#known.get(tool);
    return typeof known === "string" ? NONE : known;
  }

  /** Whether a tool's annotations are such that clients must not offer it. @param tool raw text of the element */
  isValid(tool: string): boolean {
    return typeof this.learn(tool) !== "string";
  }

  /** Takes note of one element of a list of tools. */
  learn(tool: string): readonly ParamHeader[] | string {
    const name = tool.charCodeAt(skipSpace(tool, 0)) === 123 ? asString(getKey(tool, "name")) : undefined;
    if (name === undefined) return NONE;
    const schema = tool.includes("x-mcp-header") ? getKey(tool, "inputSchema") : undefined;
    const headers = schema === undefined ? NONE : paramHeaders(JSON.parse(schema));
    this.#known.set(name, headers);
    if (typeof headers === "string" && !this.#complained.has(name)) {
      this.#complained.add(name);
      this.#complain(name, headers);
    }
    return headers;
  }

  /** The tool is on no list: until the list changes, calls of it need not look there again. */
  missing(tool: string): void {
    if (this.#known.size < MAX_KNOWN && !this.#known.has(tool)) this.#known.set(tool, NONE);
  }

  /** The list is said to have changed. */
  forget(): void {
    this.#known = new Map();
  }
}
