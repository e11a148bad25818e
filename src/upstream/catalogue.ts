import { elements, find, skipSpace } from "../protocol/json.ts";
import { stringAt } from "../protocol/message.ts";
import type { Connection } from "./connection.ts";
import { toolFacts } from "./tool-facts.ts";
import type { ToolFacts } from "./tool-facts.ts";

/** What a server offers, by name, in its own order. */
export interface Catalogue {
  readonly tools: ReadonlySet<string>;
  readonly prompts: ReadonlySet<string>;
  readonly resources: ReadonlySet<string>;
  /** For people, by the name of the tool. */
  readonly facts: ReadonlyMap<string, ToolFacts>;
}

/** A server whose cursors never end must not keep this busy for ever. */
const MAX_PAGES = 100;

/**
 * Lists tools, prompts and resources of a server, all pages, as far as it has them.
 * @param visit sees the raw text of each tool
 * @throws Fault when it answers with an error
 */
export async function readCatalogue(connection: Connection, visit?: (tool: string) => void): Promise<Catalogue> {
  const { capabilities } = connection.introduction;
  const facts = new Map<string, ToolFacts>();
  const look = (tool: string): void => {
    visit?.(tool);
    const name = find(tool, skipSpace(tool, 0), "name");
    const text = name === undefined ? undefined : stringAt(tool, name);
    if (text !== undefined) facts.set(text, toolFacts(tool));
  };
  const [tools, prompts, resources] = await Promise.all([
    capabilities["tools"] === undefined ? [] : readTools(connection, look),
    capabilities["prompts"] === undefined ? [] : listAll(connection, "prompts/list", "prompts", "name"),
    capabilities["resources"] === undefined ? [] : listAll(connection, "resources/list", "resources", "uri"),
  ]);
  return { tools: new Set(tools), prompts: new Set(prompts), resources: new Set(resources), facts };
}

/**
 * The names of a server's tools as one connection sees them now.
 * @throws Fault when it answers with an error
 */
export function readTools(connection: Connection, visit?: (tool: string) => void): Promise<string[]> {
  return listAll(connection, "tools/list", "tools", "name", visit);
}

async function listAll(
  connection: Connection,
  method: string,
  list: string,
  name: string,
  visit?: (element: string) => void,
): Promise<string[]> {
  const names: string[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const result = await connection.call(method, cursor === undefined ? undefined : { cursor });
    const at = skipSpace(result, 0);
    const array = find(result, at, list);
    for (const element of (array === undefined ? undefined : elements(result, array.start)) ?? []) {
      visit?.(result.slice(element.start, element.end));
      const span = find(result, element.start, name);
      const text = span === undefined ? undefined : stringAt(result, span);
      if (text !== undefined) names.push(text);
    }
    const next = find(result, at, "nextCursor");
    cursor = next === undefined ? undefined : stringAt(result, next);
    if (cursor === undefined) break;
  }
  return names;
}
