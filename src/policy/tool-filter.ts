import type { ToolFilter } from "../config/config.ts";
import { filterArray, find, splice } from "../protocol/json.ts";
import { skipSpace } from "../protocol/strict-json.ts";
import { stringAt } from "../protocol/message.ts";

/** Whether a filter lets a tool through. Names are compared exactly. */
export function allowsTool(filter: ToolFilter, tool: string): boolean {
  return filter.names.has(tool) === (filter.mode === "allow");
}

/**
 * The text of a `tools/list` answer without the tools that are not allowed; all others as they came.
 * An element without a name is nobody's tool and is left out.
 */
export function filterToolList(text: string, allowed: (tool: string) => boolean): string {
  return filterTools(text, (element) => {
    const name = find(element, skipSpace(element, 0), "name");
    const tool = name === undefined ? undefined : stringAt(element, name);
    return tool !== undefined && allowed(tool);
  });
}

/** The text of a `tools/list` answer without the elements that `keep` refuses. @param keep gets raw elements */
export function filterTools(text: string, keep: (element: string) => boolean): string {
  return filterList(text, "tools", keep);
}

/** The answer to a request for a list without the elements that `keep` refuses. @param list the result's member */
export function filterList(text: string, list: string, keep: (element: string) => boolean): string {
  const array = find(text, skipSpace(text, 0), "result", list);
  if (array === undefined) return text;
  const kept = filterArray(text, array.start, ({ start, end }) => keep(text.slice(start, end)));
  return kept === undefined ? text : splice(text, [{ start: array.start, end: array.end, text: kept }]);
}
