import { Names } from "../../policy/naming.ts";
import type { Pair } from "../../policy/naming.ts";
import type { Principal } from "../../policy/principal.ts";
import { fitsTemplate, sharedStart, withServer, withoutServer } from "../../protocol/resource-uri.ts";
import type { Catalogue } from "../../upstream/catalogue.ts";
import { capabilitiesOf, catalogueOf } from "./member.ts";
import type { Member } from "./member.ts";

/** One resource of one server. */
export interface Located {
  readonly member: Member;
  readonly uri: string;
}

export interface RosterOptions {
  readonly members: readonly Member[];
  readonly separator: string;
  /** Resources are listed as `scheme://server/rest` instead of with their own URI. */
  readonly resourcesByServer: boolean;
  /** A name was taken already. */
  readonly onClash: (pair: Pair<Member>, first: Member) => void;
}

/** The servers behind one URL, in their order, and which of them a name or a URI means. */
export class Roster {
  readonly members: readonly Member[];
  readonly #options: RosterOptions;
  #tools: Table;
  #prompts: Table;

  constructor(options: RosterOptions) {
    this.members = options.members;
    this.#options = options;
    this.#tools = new Table(options, "tools", (member, tool) => member.endpoint.serves(tool));
    this.#prompts = new Table(options, "prompts", (member) => member.endpoint.whole);
  }

  get tools(): Names<Member> {
    return this.#tools.names;
  }

  get prompts(): Names<Member> {
    return this.#prompts.names;
  }

  /** The members somebody may use. */
  of(principal: Principal): Member[] {
    return this.members.filter((member) => member.reaches(principal));
  }

  /** The one member there is for somebody, who can mean no other; undefined where there are several, or none. */
  only(principal: Principal): Member | undefined {
    const [only, another] = this.of(principal);
    return another === undefined ? only : undefined;
  }

  /** The URI, or template of URIs, that clients see. @param taken it is another server's already */
  shown(member: Member, uri: string, taken: boolean): string {
    return taken || this.#options.resourcesByServer ? withServer(uri, member.name) : uri;
  }

  /** Whose resource a URI means, for this caller; undefined when nobody's. */
  locate(text: string, principal: Principal): Located | undefined {
    const members = this.of(principal).filter((member) => member.endpoint.wholeFor(principal));
    const named = members.flatMap((member) => {
      const uri = withoutServer(text, member.name);
      return uri === undefined ? [] : [{ member, uri }];
    });
    const listed = members.find((member) => lists(member, text));
    const own = listed === undefined ? undefined : { member: listed, uri: text };
    const marked = named.find(({ member, uri }) => knows(member, uri));
    const exact = this.#options.resourcesByServer ? (marked ?? own) : (own ?? marked);
    if (exact !== undefined) return exact;
    const templated = members.find((member) => knows(member, text));
    if (templated !== undefined) return { member: templated, uri: text };
    return named[0] ?? closest(members, text);
  }
}

/** Names of one kind, made anew when a server lists other things than before. */
class Table {
  readonly #options: RosterOptions;
  readonly #kind: "tools" | "prompts";
  readonly #has: (member: Member, name: string) => boolean;
  #made: { readonly of: readonly (Catalogue | undefined)[]; readonly names: Names<Member> } | undefined;

  constructor(options: RosterOptions, kind: "tools" | "prompts", has: (member: Member, name: string) => boolean) {
    this.#options = options;
    this.#kind = kind;
    this.#has = has;
  }

  get names(): Names<Member> {
    const { members, separator, onClash } = this.#options;
    const made = this.#made;
    if (made !== undefined && members.every((member, index) => catalogueOf(member) === made.of[index]))
      return made.names;
    const of = members.map(catalogueOf);
    const holdings = members.map((member, index) => {
      const names = [...(of[index]?.lists[this.#kind].keys() ?? [])];
      return [member, names.filter((name) => this.#has(member, name))] as const;
    });
    const names = new Names(members, separator, holdings);
    for (const { first, ...pair } of names.clashes) onClash(pair, first);
    this.#made = { of, names };
    return names;
  }
}

function lists(member: Member, uri: string): boolean {
  const known = catalogueOf(member)?.lists;
  return known !== undefined && (known.resources.has(uri) || known.resourceTemplates.has(uri));
}

function knows(member: Member, uri: string): boolean {
  if (lists(member, uri)) return true;
  const templates = catalogueOf(member)?.lists.resourceTemplates.keys() ?? [];
  return [...templates].some((template) => fitsTemplate(template, uri));
}

/** Resources need not be listed, a tool's answer may name one: then it is likely beside those that are. */
function closest(members: readonly Member[], uri: string): Located | undefined {
  const having = members.filter((member) => capabilitiesOf(member)["resources"] !== undefined);
  let found: Member | undefined = having.length === 1 ? having[0] : undefined;
  let most = 0;
  for (const member of having) {
    const { resources, resourceTemplates } = catalogueOf(member)?.lists ?? {};
    for (const known of [...(resources?.keys() ?? []), ...(resourceTemplates?.keys() ?? [])]) {
      const shared = sharedStart(known, uri);
      if (shared > most) [found, most] = [member, shared];
    }
  }
  return found === undefined ? undefined : { member: found, uri };
}
