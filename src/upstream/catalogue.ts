import { elements, find } from "../protocol/json.ts";
import { skipSpace } from "../protocol/strict-json.ts";
import { stringAt } from "../protocol/message.ts";
import type { Connection } from "./connection.ts";

/** What servers list. */
export type ListKind = "tools" | "prompts" | "resources" | "resourceTemplates";

interface Listing {
  readonly method: string;
  /** The capability without which a server has no such list. */
  readonly capability: string;
  /** The member that tells elements apart. */
  readonly key: string;
}

export const LISTS: Readonly<Record<ListKind, Listing>> = Object.freeze({
  tools: { method: "tools/list", capability: "tools", key: "name" },
  prompts: { method: "prompts/list", capability: "prompts", key: "name" },
  resources: { method: "resources/list", capability: "resources", key: "uri" },
  resourceTemplates: { method: "resources/templates/list", capability: "resources", key: "uriTemplate" },
});

export const LIST_KINDS = Object.keys(LISTS) as readonly ListKind[];

/** All pages of one list: raw elements by name, in the server's own order. Of two with one name the last counts. */
export type List = ReadonlyMap<string, string>;

/** What a server offers. */
export interface Catalogue {
  readonly tools: ReadonlySet<string>;
  readonly prompts: ReadonlySet<string>;
  readonly resources: ReadonlySet<string>;
  readonly lists: Readonly<Record<ListKind, List>>;
}

/** A server whose cursors never end must not keep this busy for ever. */
const MAX_PAGES = 100;

const NOTHING: List = new Map();

/**
 * One list of a server as one connection sees it now; empty where the server has none.
 * @throws Fault when it answers with an error
 */
export async function readList(
  connection: Connection,
  kind: ListKind,
  visit?: (element: string) => void,
): Promise<List> {
  const offered = connection.introduction.capabilities[LISTS[kind].capability] !== undefined;
  return offered ? await readPages(connection, kind, visit) : NOTHING;
}

async function readPages(
  connection: Connection,
  kind: ListKind,
  visit: ((element: string) => void) | undefined,
): Promise<List> {
  const { method, key } = LISTS[kind];
  const list = new Map<string, string>();
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const result = await connection.call(method, cursor === undefined ? undefined : { cursor });
    const at = skipSpace(result, 0);
    for (const element of elementsOf(result, kind)) {
      visit?.(element);
      const name = nameOf(element, key);
      if (name !== undefined) list.set(name, element);
    }
    const next = find(result, at, "nextCursor");
    cursor = next === undefined ? undefined : stringAt(result, next);
    if (cursor === undefined) break;
  }
  return list;
}

/**
 * The names of a server's tools as one connection sees them now.
 * @throws Fault when it answers with an error
 */
export async function readTools(connection: Connection, visit?: (tool: string) => void): Promise<string[]> {
  return [...(await readPages(connection, "tools", visit)).keys()];
}

/** The raw elements of a list's result. */
export function elementsOf(result: string, kind: ListKind): string[] {
  const array = find(result, skipSpace(result, 0), kind);
  const spans = (array === undefined ? undefined : elements(result, array.start)) ?? [];
  return spans.map(({ start, end }) => result.slice(start, end));
}

/** The string member of a raw element, such as its name; undefined where it has none. */
export function nameOf(element: string, key: string): string | undefined {
  const span = find(element, skipSpace(element, 0), key);
  return span === undefined ? undefined : stringAt(element, span);
}
