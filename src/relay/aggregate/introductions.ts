import { joinCapabilities, joinInstructions } from "../../protocol/join-introductions.ts";
import { asString, getKey } from "../../protocol/eras/object-text.ts";
import { NOT_KEPT, joinCaching } from "../../protocol/eras/results.ts";
import type { Caching } from "../../protocol/eras/results.ts";
import type { Introduction } from "../../upstream/greeting.ts";
import type { Branches } from "./branches.ts";
import { capabilitiesOf } from "./member.ts";
import type { Asking, Member } from "./member.ts";
import type { PatienceWith } from "./patience.ts";
import type { Roster } from "./roster.ts";

/** Who the proxy is towards clients, where it speaks for several servers. */
export interface Identity {
  readonly name: string;
  readonly version: string;
}

export interface IntroductionsDeps {
  readonly roster: () => Roster;
  readonly patience: PatienceWith;
  readonly branches: Branches;
  readonly own: boolean;
  readonly identity: () => Identity;
}

/** What several servers say of themselves, as one. */
export interface Joined {
  readonly capabilities: Record<string, unknown>;
  readonly instructions: string | undefined;
  readonly caching: Caching;
}

const LISTS = ["tools", "prompts", "resources"];

/** Introduces several servers as one. */
export class Introductions {
  readonly #deps: IntroductionsDeps;

  constructor(deps: IntroductionsDeps) {
    this.#deps = deps;
  }

  get identity(): Identity {
    return this.#deps.identity();
  }

  /** Waits for servers that have not said anything yet, but not for long. */
  async join(asking: Asking): Promise<Joined> {
    const roster = this.#deps.roster();
    const members = roster.of(asking.caller.principal);
    const said = await Promise.all(members.map((member) => this.#of(member, asking)));
    const known = members.flatMap((member, index) => {
      const introduction = said[index];
      return introduction === undefined ? [] : [{ member, introduction }];
    });
    const all = known.map(({ member }) => offered(member));
    // What a server will have that is still starting, or that this caller may use later, is not known: clients are told
    // to look when it is there.
    if (known.length < roster.members.length) all.push(Object.fromEntries(LISTS.map((list) => [list, {}])));
    const capabilities = joinCapabilities(all);
    for (const list of LISTS) {
      const capability = capabilities[list];
      if (typeof capability === "object" && capability !== null)
        capabilities[list] = { ...capability, listChanged: true };
    }
    const instructions = joinInstructions(
      known.map(({ member, introduction }) => ({
        server: member.displayName,
        text: asString(getKey(introduction.text, "instructions")) ?? "",
      })),
    );
    return { capabilities, instructions, caching: this.#caching(known, asking) };
  }

  /** The shortest time of all, and for everybody only where everybody is told the same. */
  #caching(known: readonly { readonly introduction: Introduction }[], { caller }: Asking): Caching {
    const { members } = this.#deps.roster();
    // A server that is away is to be looked for again soon.
    if (known.length < members.length) return NOT_KEPT;
    const { ttlMs, cacheScope } = joinCaching(known.map(({ introduction }) => introduction.caching ?? NOT_KEPT));
    const alike =
      caller.principal.kind === "anonymous" && members.every(({ endpoint }) => !endpoint.switchboard.differs);
    return { ttlMs, cacheScope: alike ? cacheScope : "private" };
  }

  async #of(member: Member, { caller, session }: Asking): Promise<Introduction | undefined> {
    const { switchboard } = member.endpoint;
    const patience = this.#deps.patience(member);
    if (this.#deps.own && session !== undefined) {
      const branch = this.#deps.branches.at(member, session, caller);
      return await patience.within("connection", switchboard.introduce(branch, caller), () =>
        session.listChanged(LISTS),
      );
    }
    if (this.#deps.own) {
      const reached = switchboard.reach(caller).then(({ connection }) => connection.introduction);
      return await patience.within("connection", reached);
    }
    const known = switchboard.upstream.introduction;
    if (known !== undefined) return known;
    await patience.connected(switchboard);
    return switchboard.upstream.introduction;
  }
}

/** What of a server is served here. */
function offered(member: Member): Readonly<Record<string, unknown>> {
  const capabilities = capabilitiesOf(member);
  if (member.endpoint.whole) return capabilities;
  return Object.fromEntries(Object.entries(capabilities).filter(([name]) => name === "tools" || name === "tasks"));
}
