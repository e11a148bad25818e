import { toLegacyResult, toModernResult } from "../../protocol/eras/results.ts";
import { getKey, setKey } from "../../protocol/eras/object-text.ts";
import { resultText } from "../../protocol/errors.ts";
import { Message, stringAt } from "../../protocol/message.ts";
import { toolMistake } from "../../protocol/tool-schema.ts";
import { LISTS, LIST_KINDS, elementsOf, nameOf } from "../../upstream/catalogue.ts";
import type { List, ListKind } from "../../upstream/catalogue.ts";
import type { Branches } from "./branches.ts";
import { ask } from "./member.ts";
import type { Asking, Member } from "./member.ts";
import type { PatienceWith } from "./patience.ts";
import type { Roster } from "./roster.ts";

/** What is listed by a method. */
export const LIST_KIND: ReadonlyMap<string, ListKind> = new Map(LIST_KINDS.map((kind) => [LISTS[kind].method, kind]));

/** A server whose cursors never end must not keep this busy for ever. */
const MAX_PAGES = 100;

export interface ListsDeps {
  readonly roster: () => Roster;
  readonly patience: PatienceWith;
  readonly branches: Branches;
  /** Every connection is the client's own, so nothing is known from a shared one. */
  readonly own: boolean;
  /** Something is left out; said once of each. */
  readonly warn: (member: Member, what: string) => void;
}

/** One element as clients see it. */
interface Element {
  readonly member: Member;
  readonly name: string;
  readonly text: string;
}

/** What several servers list, as one list. */
export class Lists {
  readonly #deps: ListsDeps;
  #count = 0;

  constructor(deps: ListsDeps) {
    this.#deps = deps;
  }

  /** The raw elements of one list of all members this caller may use. Those that are late or down are left out. */
  async read(kind: ListKind, asking: Asking): Promise<string[]> {
    const members = this.#deps.roster().of(asking.caller.principal);
    const found = await Promise.all(members.map((member) => this.#of(member, kind, asking)));
    const elements = found.flat();
    return kind === "tools" || kind === "prompts" ? this.#named(kind, elements) : this.#located(kind, elements);
  }

  /** Whether what some server lists is not known yet. */
  waits({ caller }: Asking): boolean {
    return this.#deps.roster().of(caller.principal).some(unread);
  }

  /** Waits for servers whose lists are not known yet: what was asked for could be theirs. */
  async learn(asking: Asking): Promise<void> {
    const members = this.#deps.roster().of(asking.caller.principal).filter(unread);
    await Promise.all(members.map((member) => this.#read(member, asking)));
  }

  async #read(member: Member, asking: Asking): Promise<void> {
    const { switchboard } = member.endpoint;
    const patience = this.#deps.patience(member);
    const reached = this.#deps.own
      ? await patience.within("connection", this.#reached(member, asking))
      : await patience.connected(switchboard);
    if (reached !== undefined) await patience.within("lists", switchboard.upstream.settled());
  }

  /** The connection of this caller's own. */
  #reached(member: Member, { caller, session }: Asking): Promise<unknown> {
    const { switchboard } = member.endpoint;
    if (session === undefined) return switchboard.reach(caller);
    return switchboard.lineReady(this.#deps.branches.at(member, session, caller), caller);
  }

  /** All pages of a list that only the members know, such as tasks. */
  async ask(member: Member, method: string, list: string, asking: Asking): Promise<string[]> {
    const asked = this.#pages(member, method, asking, (result) => {
      const array = getKey(result, list);
      return array === undefined ? [] : elementsOf(`{"tools":${array}}`, "tools");
    });
    return (await this.#deps.patience(member).within(method, asked)) ?? [];
  }

  async #of(member: Member, kind: ListKind, asking: Asking): Promise<Element[]> {
    const { caller, session } = asking;
    const { switchboard } = member.endpoint;
    const patience = this.#deps.patience(member);
    const branch = session?.branch(member.name);
    const { key, ready, carries } = switchboard.connectionOf(caller, branch);
    const { method } = LISTS[kind];
    const late = (): void => session?.listChanged([kind === "resourceTemplates" ? "resources" : kind]);
    if (this.#deps.own || carries || (key !== "" && ready)) {
      if (!ready && (await patience.within("connection", this.#reached(member, asking), late)) === undefined) return [];
      const elements = await patience.within(
        method,
        this.#pages(member, method, asking, (result) => elementsOf(result, kind)),
        late,
      );
      return this.#judged(member, kind, withNames(elements ?? [], kind), asking);
    }
    if (
      (await patience.within(
        "connection",
        switchboard.comesUp().then((up) => up || undefined),
      )) === undefined
    )
      return [];
    const { upstream } = switchboard;
    const list = (await patience.within(method, upstream.list(kind), late)) ?? upstream.catalogue?.lists[kind];
    return list === undefined ? [] : this.#judged(member, kind, this.#translated(member, kind, list, asking), asking);
  }

  /** A list of the shared connection as this caller may see it, in the words of its era. */
  #translated(member: Member, kind: ListKind, list: List, { caller, modern }: Asking): (readonly [string, string])[] {
    const { method } = LISTS[kind];
    const { era } = member.endpoint.switchboard.upstream.introduction ?? {};
    const hooks = member.endpoint.listing(kind, caller);
    if (hooks === "withheld") return [];
    const rewrite = hooks?.rewrite;
    const same = era === (modern === undefined ? "legacy" : "modern");
    if (same && rewrite === undefined) return [...list];
    let result = `{"${kind}":[${[...list.values()].join(",")}]}`;
    if (!same)
      result = modern === undefined ? toLegacyResult(method, result) : toModernResult(method, result, undefined);
    const text = rewrite === undefined ? resultText("0", result) : rewrite(resultText("0", result));
    return withNames(elementsOf(getKey(text, "result") ?? "{}", kind), kind);
  }

  /** Without what would make clients drop the whole list. */
  #judged(member: Member, kind: ListKind, elements: (readonly [string, string])[], { modern }: Asking): Element[] {
    return elements.flatMap(([name, text]) => {
      const mistake = kind === "tools" ? toolMistake(text, modern !== undefined) : undefined;
      if (mistake === undefined) return [{ member, name, text }];
      this.#deps.warn(member, `the tool ${name} is left out where several servers are served together: ${mistake}`);
      return [];
    });
  }

  #named(kind: "tools" | "prompts", elements: readonly Element[]): string[] {
    const names = this.#deps.roster()[kind];
    return elements.map(({ member, name, text }) => {
      const shown = names.of(member, name);
      return shown === name ? text : setKey(text, "name", JSON.stringify(shown));
    });
  }

  #located(kind: ListKind, elements: readonly Element[]): string[] {
    const { key } = LISTS[kind];
    const roster = this.#deps.roster();
    const owners = new Map<string, Member>();
    const listed: string[] = [];
    for (const { member, name: uri, text } of elements) {
      const first = owners.get(uri);
      const shown = roster.shown(member, uri, first !== undefined && first !== member);
      if (first !== undefined && first !== member)
        this.#deps.warn(
          member,
          `${uri} is a resource of ${first.displayName} too; that of ${member.displayName} is ${shown}`,
        );
      if (owners.has(shown)) continue;
      owners.set(shown, member);
      listed.push(shown === uri ? text : setKey(text, key, JSON.stringify(shown)));
    }
    return listed;
  }

  /** @throws Error when the member answers with an error */
  async #pages(
    member: Member,
    method: string,
    asking: Asking,
    take: (result: string) => readonly string[],
  ): Promise<string[]> {
    const { session, caller, modern } = asking;
    const branch = session === undefined ? undefined : this.#deps.branches.at(member, session, caller);
    const elements: string[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const params = [
        ...(modern === undefined ? [] : [`"_meta":${modern.meta}`]),
        ...(cursor === undefined ? [] : [`"cursor":${cursor}`]),
      ];
      const id = `"mcp-proxy list ${++this.#count}"`;
      const text = `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{${params.join(",")}}}`;
      const answer = await ask(member, Message.read(text, "upstream") as Message, asking, branch);
      const result = answer === undefined ? undefined : getKey(answer, "result");
      if (result === undefined) throw new Error(`${member.displayName} does not answer ${method}`);
      elements.push(...take(result));
      cursor = getKey(result, "nextCursor");
      if (cursor === undefined || stringAt(cursor, { start: 0, end: cursor.length }) === undefined) break;
    }
    return elements;
  }
}

function unread(member: Member): boolean {
  return !member.endpoint.switchboard.upstream.listed;
}

function withNames(elements: readonly string[], kind: ListKind): (readonly [string, string])[] {
  return elements.flatMap((text) => {
    const name = nameOf(text, LISTS[kind].key);
    return name === undefined ? [] : [[name, text] as const];
  });
}
