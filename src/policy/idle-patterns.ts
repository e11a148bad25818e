import { displayName } from "../config/problem.ts";
import { nearest } from "../config/nearest.ts";
import { colonsIn, fits, readPattern } from "./patterns.ts";

/** A server and its tools, as far as they are known. */
export interface KnownServer {
  readonly name: string;
  /** Undefined: it has not listed them yet. */
  readonly tools: ReadonlySet<string> | undefined;
}

/** Patterns that somebody wrote and that fit nothing: mostly a slip, and silent otherwise. Each is told of once. */
export class IdlePatterns {
  #pending = new Set<string>();
  readonly #told = new Set<string>();

  /** Patterns as they are now. */
  expect(patterns: Iterable<string>): void {
    const now = new Set(patterns);
    for (const told of this.#told) if (!now.has(told)) this.#told.delete(told);
    for (const told of this.#told) now.delete(told);
    this.#pending = now;
  }

  /** @returns what to warn of now; what cannot be told yet is looked at the next time */
  look(servers: readonly KnownServer[]): string[] {
    if (this.#pending.size === 0) return [];
    const warnings: string[] = [];
    for (const pattern of this.#pending) {
      const found = judge(pattern, servers);
      if (found === "later") continue;
      this.#pending.delete(pattern);
      if (found === "fits") continue;
      this.#told.add(pattern);
      warnings.push(found);
    }
    return warnings;
  }
}

function judge(pattern: string, servers: readonly KnownServer[]): string {
  const shown = shownPattern(pattern);
  if (pattern !== "*" && !pattern.includes(":")) {
    return `the pattern "${shown}" fits nothing: expected "server:tool", "server:*" or "*"`;
  }
  const parts = servers.flatMap((server) => {
    const split = readPattern(pattern).split(colonsIn(server.name));
    return split !== undefined && fits(split[0], server.name) ? [{ server, tool: split[1] }] : [];
  });
  if (parts.length === 0) {
    const name = nearest(
      displayName(pattern.slice(0, pattern.indexOf(":"))),
      servers.map((each) => displayName(each.name)),
    );
    return `the pattern "${shown}" fits no server${name === undefined ? "" : `; did you mean "${name}"?`}`;
  }
  if (parts.some(({ server, tool }) => tool === "*" || [...(server.tools ?? [])].some((each) => fits(tool, each)))) {
    return "fits";
  }
  if (parts.some(({ server }) => server.tools === undefined)) return "later";
  const [first] = parts;
  const known = first === undefined ? undefined : nearest(first.tool, [...(first.server.tools ?? [])]);
  return `the pattern "${shown}" fits no tool${known === undefined ? "" : `; did you mean "${known}"?`}`;
}

/** All after the first slash of a server's name may be a token. */
function shownPattern(pattern: string): string {
  const colon = pattern.lastIndexOf(":");
  return colon === -1 ? displayName(pattern) : displayName(pattern.slice(0, colon)) + pattern.slice(colon);
}
