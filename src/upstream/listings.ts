import { LISTS, LIST_KINDS, readList } from "./catalogue.ts";
import type { Catalogue, List, ListKind } from "./catalogue.ts";
import type { Connection } from "./connection.ts";

export interface ListingsDeps {
  /** Sees the raw text of each tool. */
  readonly visit: (tool: string) => void;
  /** The tools have been read. @param before undefined the first time */
  tools(now: Catalogue, before: Catalogue | undefined): void;
  /** Lists were read. @param changed those that are not as they were, or that could not be had for a while */
  learned(changed: readonly ListKind[]): void;
  failed(error: unknown): void;
}

/** Lists that change together. */
type Capability = "tools" | "prompts" | "resources";

const CAPABILITIES: readonly Capability[] = ["tools", "prompts", "resources"];
const NOTHING: List = new Map();

interface Reading {
  readonly done: Promise<void>;
  /** It changed while it was being read. */
  again: boolean;
}

/**
 * What the shared connection of a server lists, read when it is made and whenever the server says that it has changed.
 * Each capability by itself: a server that does not answer for one of its lists still has the others.
 */
export class Listings {
  readonly #deps: ListingsDeps;
  readonly #readings = new Map<Capability, Reading>();
  /** The server said so, or was away. */
  readonly #announced = new Set<Capability>();
  #lists: Catalogue["lists"] = { tools: NOTHING, prompts: NOTHING, resources: NOTHING, resourceTemplates: NOTHING };
  #catalogue: Catalogue | undefined;
  /** Lists that were read at least once. */
  readonly #known = new Set<ListKind>();

  constructor(deps: ListingsDeps) {
    this.#deps = deps;
  }

  /** Undefined until the tools are known. */
  get catalogue(): Catalogue | undefined {
    return this.#catalogue;
  }

  /** Whether a list is being read. */
  get reading(): boolean {
    return this.#readings.size > 0;
  }

  /**
   * Reads lists anew.
   * @param announced clients are to hear of it even if nothing has changed that could be seen
   */
  refresh(connection: Connection, announced: boolean, capabilities: readonly string[] = CAPABILITIES): void {
    for (const capability of CAPABILITIES) {
      if (!capabilities.includes(capability)) continue;
      if (announced && offers(connection, capability)) this.#announced.add(capability);
      const reading = this.#readings.get(capability);
      // Servers announce each change of a list by itself, dozens at once when they start.
      if (reading !== undefined) reading.again = true;
      else this.#begin(connection, capability);
    }
  }

  /**
   * One list: what is known, where the server says when it changes, else what it says now.
   * @throws Fault when it answers with an error
   */
  async list(connection: Connection, kind: ListKind): Promise<List> {
    await this.settled(kind);
    const { capability } = LISTS[kind];
    const holds = announces(connection, capability) || !offers(connection, capability);
    if (this.#known.has(kind) && holds) return this.#lists[kind];
    const list = await readList(connection, kind, kind === "tools" ? this.#deps.visit : undefined);
    this.#keep(kind, list);
    return list;
  }

  /** Resolves when a list is not being read. */
  async settled(kind: ListKind): Promise<void> {
    for (;;) {
      const reading = this.#readings.get(capabilityOf(kind));
      if (reading === undefined) return;
      await reading.done;
    }
  }

  #begin(connection: Connection, capability: Capability): void {
    const kinds = LIST_KINDS.filter((kind) => LISTS[kind].capability === capability);
    const reads = kinds.map((kind) => this.#read(connection, kind));
    const done = Promise.all(reads).then((changed) => {
      const again = reading.again && !connection.closed;
      this.#readings.delete(capability);
      if (again) this.#begin(connection, capability);
      const announced = this.#announced.delete(capability);
      this.#deps.learned(kinds.filter((_, index) => announced || changed[index] === true));
    });
    const reading: Reading = { done, again: false };
    this.#readings.set(capability, reading);
  }

  /** @returns whether it is not as it was */
  async #read(connection: Connection, kind: ListKind): Promise<boolean> {
    try {
      return this.#keep(kind, await readList(connection, kind, kind === "tools" ? this.#deps.visit : undefined));
    } catch (error) {
      // Many servers with resources know nothing of templates.
      if (kind === "resourceTemplates") return this.#keep(kind, NOTHING);
      this.#deps.failed(error);
      return false;
    }
  }

  #keep(kind: ListKind, list: List): boolean {
    const first = !this.#known.has(kind);
    this.#known.add(kind);
    const changed = !sameList(list, this.#lists[kind]);
    if (changed) this.#lists = { ...this.#lists, [kind]: list };
    const before = this.#catalogue;
    if (this.#known.has("tools") && (changed || before === undefined)) this.#catalogue = catalogueOf(this.#lists);
    if (kind === "tools" && this.#catalogue !== undefined && (changed || first)) {
      this.#deps.tools(this.#catalogue, first ? undefined : before);
    }
    return changed;
  }
}

function capabilityOf(kind: ListKind): Capability {
  return kind === "resourceTemplates" ? "resources" : kind;
}

function catalogueOf(lists: Catalogue["lists"]): Catalogue {
  const { tools, prompts, resources } = lists;
  return {
    tools: new Set(tools.keys()),
    prompts: new Set(prompts.keys()),
    resources: new Set(resources.keys()),
    lists,
  };
}

function offers(connection: Connection, capability: string): boolean {
  return connection.introduction.capabilities[capability] !== undefined;
}

/** Whether the server promised to say when a list changes. */
function announces(connection: Connection, capability: string): boolean {
  const declared = connection.introduction.capabilities[capability];
  return (
    typeof declared === "object" && declared !== null && "listChanged" in declared && declared.listChanged === true
  );
}

function sameList(a: List, b: List): boolean {
  if (a.size !== b.size) return false;
  const other = b.entries();
  for (const [name, element] of a) {
    const [otherName, otherElement] = other.next().value ?? [];
    if (name !== otherName || element !== otherElement) return false;
  }
  return true;
}
