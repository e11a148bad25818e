import type { Names, Pair } from "../../policy/naming.ts";
import type { Principal } from "../../policy/principal.ts";
import { find } from "../../protocol/json.ts";
import type { Span } from "../../protocol/json.ts";
import { stringAt } from "../../protocol/message.ts";
import type { Message } from "../../protocol/message.ts";
import type { Called } from "../oversight.ts";
import type { Session } from "../session.ts";
import type { Member } from "./member.ts";
import type { Located, Roster } from "./roster.ts";

/** A request as its server gets it. */
export interface Route {
  readonly member: Member;
  readonly message: Message;
}

/** A client's own spellings of the resources it subscribed to, of one session. */
const MAX_SPELLINGS = 1_000;

/** Finds the server that a request is for. Whether its caller may have what it asks for there is for that one to say. */
export class Routes {
  readonly #roster: () => Roster;
  /** What clients call the resources they subscribed to, where that is not their URI. */
  readonly #spellings = new WeakMap<Session, Map<string, string>>();

  constructor(roster: () => Roster) {
    this.#roster = roster;
  }

  tool(message: Message, principal: Principal): Route | undefined {
    return this.#named(message, this.#roster().tools, principal);
  }

  prompt(message: Message, principal: Principal): Route | undefined {
    return whole(this.#named(message, this.#roster().prompts, principal), principal);
  }

  /** Which tool of which server a name would be, whoever may use it. */
  presumed(name: string): Called | undefined {
    const { tools } = this.#roster();
    const pair = tools.get(name) ?? tools.presumed(name);
    return pair === undefined ? undefined : { server: pair.owner.displayName, tool: pair.name };
  }

  resource(message: Message, principal: Principal): (Route & Located) | undefined {
    const span = message.param("uri");
    const text = span === undefined ? undefined : stringAt(message.text, span);
    const located = text === undefined ? undefined : this.#roster().locate(text, principal);
    if (span === undefined || located === undefined) return undefined;
    return { ...located, message: renamed(message, span, text ?? "", located.uri) };
  }

  completion(message: Message, principal: Principal): Route | undefined {
    const at = message.params?.start;
    if (at === undefined) return undefined;
    const name = find(message.text, at, "ref", "name");
    const prompt = name === undefined ? undefined : stringAt(message.text, name);
    if (name !== undefined && prompt !== undefined) {
      const found = this.#meant(this.#roster().prompts, prompt, principal);
      return found === undefined ? undefined : whole(route(message, name, found), principal);
    }
    const uri = find(message.text, at, "ref", "uri");
    const text = uri === undefined ? undefined : stringAt(message.text, uri);
    const located = text === undefined ? undefined : this.#roster().locate(text, principal);
    if (uri === undefined || located === undefined) return undefined;
    return { member: located.member, message: renamed(message, uri, text ?? "", located.uri) };
  }

  /** A client subscribes to a resource by a text of its own. */
  spell(session: Session, { name }: Member, uri: string, text: string): void {
    const spellings = this.#spellings.get(session) ?? new Map<string, string>();
    if (text !== uri && spellings.size < MAX_SPELLINGS) spellings.set(`${name} ${uri}`, text);
    this.#spellings.set(session, spellings);
  }

  forget(session: Session, { name }: Member, uri: string): void {
    this.#spellings.get(session)?.delete(`${name} ${uri}`);
  }

  /** What a client calls a resource of a server. */
  spelled(session: Session, member: Member, uri: string): string {
    const own = this.#spellings.get(session)?.get(`${member.name} ${uri}`);
    return own ?? this.#roster().shown(member, uri, false);
  }

  #named(message: Message, names: Names<Member>, principal: Principal): Route | undefined {
    const span = message.param("name");
    const text = span === undefined ? undefined : stringAt(message.text, span);
    if (span === undefined || text === undefined) return undefined;
    const found = this.#meant(names, text, principal);
    return found === undefined ? undefined : route(message, span, found);
  }

  /**
   * Whose thing a text names. What nobody is known to have is its server's to answer: lists change without notice, and
   * servers have tools that they do not list.
   * @returns undefined for what is not this caller's, or could be of several
   */
  #meant(names: Names<Member>, text: string, principal: Principal): Pair<Member> | undefined {
    const listed = names.get(text);
    // What is somebody's name never means anything else, also not to who may not use it.
    if (listed !== undefined) return listed.owner.reaches(principal) ? listed : undefined;
    const [other, another] = names.otherwise(text).filter(({ owner }) => owner.reaches(principal));
    if (other !== undefined) return another === undefined ? other : undefined;
    const presumed = names.presumed(text);
    return presumed?.owner.reaches(principal) === true ? presumed : undefined;
  }
}

/** Who has single tools of a server has nothing else there, and is not told that others do. */
function whole(found: Route | undefined, principal: Principal): Route | undefined {
  return found?.member.endpoint.wholeFor(principal) === true ? found : undefined;
}

function route(message: Message, span: Span, { owner, name }: Pair<Member>): Route {
  return { member: owner, message: renamed(message, span, stringAt(message.text, span) ?? "", name) };
}

function renamed(message: Message, { start, end }: Span, text: string, name: string): Message {
  return text === name ? message : message.with({ start, end, text: JSON.stringify(name) });
}
