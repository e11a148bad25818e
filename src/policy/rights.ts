import { colonsIn, fits, readPattern } from "./patterns.ts";

/** Patterns `server:tool`. */
export interface Rule {
  /** Undefined: everything. */
  readonly allowed: readonly string[] | undefined;
  /** These beat what is allowed. */
  readonly denied: readonly string[];
}

/** What somebody may use of one server. */
export interface ServerRights {
  /** Prompts, resources, completion and logs too: they have no names in the patterns, so only a whole server brings them. */
  readonly whole: boolean;
  /** Anything at all. */
  readonly any: boolean;
  tool(name: string): boolean;
}

const NOTHING: ServerRights = Object.freeze({ whole: false, any: false, tool: () => false });

/**
 * What one principal may use. Sessions and streams hold it for long, so it is changed in place: what is taken away is
 * gone at once wherever it is looked at.
 */
export class Rights {
  #rule: Rule;
  #everything: boolean;
  readonly #servers = new Map<string, ServerRights>();

  constructor(rule: Rule) {
    this.#rule = rule;
    this.#everything = isEverything(rule);
  }

  /** @returns whether that changes anything */
  replace(rule: Rule): boolean {
    if (sameList(rule.allowed, this.#rule.allowed) && sameList(rule.denied, this.#rule.denied)) return false;
    this.#rule = rule;
    this.#everything = isEverything(rule);
    this.#servers.clear();
    return true;
  }

  /** @returns undefined where nothing is kept from this caller */
  of(server: string): ServerRights | undefined {
    if (this.#everything) return undefined;
    let rights = this.#servers.get(server);
    if (rights === undefined) {
      rights = compile(this.#rule, server);
      this.#servers.set(server, rights);
    }
    return rights;
  }
}

/** What both of two allow. */
export function both(a: ServerRights, b: ServerRights): ServerRights {
  return { whole: a.whole && b.whole, any: a.any && b.any, tool: (name) => a.tool(name) && b.tool(name) };
}

/**
 * Whether a notification of a server may reach a caller. Who has single tools hears of those; what a server says of
 * resources, prompts or in its log is for who may use all of it.
 */
export function mayHear(rights: Rights | undefined, server: string, method: string | undefined): boolean {
  const mine = rights?.of(server);
  if (mine === undefined || mine.whole) return true;
  return method !== undefined && (ABOUT_CALLS.has(method) || (mine.any && ABOUT_TOOLS.has(method)));
}

const ABOUT_CALLS = new Set([
  "notifications/progress",
  "notifications/cancelled",
  "notifications/elicitation/complete",
]);
const ABOUT_TOOLS = new Set(["notifications/tools/list_changed", "notifications/tasks/status"]);

function compile({ allowed, denied }: Rule, server: string): ServerRights {
  const may = toolParts(allowed ?? ["*"], server);
  const never = toolParts(denied, server);
  if (may.length === 0 || never.includes("*")) return NOTHING;
  const [mayName, neverName] = [matcher(may), matcher(never)];
  return { whole: may.includes("*"), any: true, tool: (name) => mayName(name) && !neverName(name) };
}

/** What patterns say of the tools of one server. */
function toolParts(patterns: readonly string[], server: string): string[] {
  const colons = colonsIn(server);
  const parts: string[] = [];
  for (const text of patterns) {
    const split = readPattern(text).split(colons);
    if (split !== undefined && fits(split[0], server)) parts.push(split[1]);
  }
  return parts;
}

function matcher(parts: readonly string[]): (name: string) => boolean {
  const exact = new Set(parts.filter((part) => !part.includes("*")));
  const stars = parts.filter((part) => part.includes("*"));
  if (stars.includes("*")) return () => true;
  return (name) => exact.has(name) || stars.some((part) => fits(part, name));
}

function isEverything({ allowed, denied }: Rule): boolean {
  return denied.length === 0 && (allowed === undefined || allowed.includes("*"));
}

function sameList(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((entry, index) => entry === b[index]);
}
