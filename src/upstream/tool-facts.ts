import { recordOf } from "../protocol/parsed.ts";

/** What people may read about a tool. All of it was written by the server, which may be anybody's. */
export interface ToolFacts {
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly readOnly: boolean;
  readonly destructive: boolean;
}

const MAX_TEXT = 600;

/**
 * Reads a tool of a list. Hints count as the specification says: a tool that is not read-only is destructive unless it
 * says otherwise (2025-06-18, ToolAnnotations); nothing is shown where the server gives no hint at all.
 * @param raw the element as it came
 */
export function toolFacts(raw: string): ToolFacts {
  const tool = recordOf(JSON.parse(raw));
  const hints = recordOf(tool["annotations"]);
  const readOnly = hints["readOnlyHint"] === true;
  return {
    title: textOf(tool["title"]) ?? textOf(hints["title"]),
    description: textOf(tool["description"]),
    readOnly,
    destructive: !readOnly && hints["destructiveHint"] === true,
  };
}

/** Cut, and without characters that are invisible or turn the text around. */
function textOf(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const clean = value.replaceAll(/[^\P{C}\n]|[\u2028\u2029]/gu, "").trim();
  if (clean === "") return undefined;
  return clean.length > MAX_TEXT ? `${clean.slice(0, MAX_TEXT)}…` : clean;
}
