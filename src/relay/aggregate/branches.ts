import { levelName } from "../../protocol/log-levels.ts";
import { Message, stringAt } from "../../protocol/message.ts";
import type { Caller, Reply } from "../ends.ts";
import type { Exchange } from "../exchange.ts";
import type { Session } from "../session.ts";
import { Answer, capabilitiesOf, partOf } from "./member.ts";
import type { Asking, Member } from "./member.ts";
import type { PatienceWith } from "./patience.ts";
import type { Roster } from "./roster.ts";
import type { Route, Routes } from "./routes.ts";

export interface BranchesDeps {
  readonly roster: () => Roster;
  readonly routes: Routes;
  readonly patience: PatienceWith;
  /** Every connection is the client's own. */
  readonly own: boolean;
}

/** The sessions that a client with a session on the URL of several servers has at each of them. */
export class Branches {
  readonly #deps: BranchesDeps;

  constructor(deps: BranchesDeps) {
    this.#deps = deps;
  }

  /** The client's session at one server; made where there is none yet. */
  at(member: Member, session: Session, caller: Caller): Session {
    const known = session.branch(member.name);
    if (known !== undefined) return known;
    const { switchboard } = member.endpoint;
    const branch = session.addBranch(member.name, switchboard.givesOwnChild(session.client), (text) =>
      this.#said(session, member, text),
    );
    if (session.logRank !== -1) void this.#passLevel(session.logRank, member, branch, caller);
    return branch;
  }

  /** @param spelled what the client calls the tool, where that is not its name */
  send({ member, message }: Route, { caller, session }: Asking, reply: Reply, spelled?: string): Exchange | undefined {
    const branch = session === undefined ? undefined : this.at(member, session, caller);
    return member.endpoint.request(message, caller, branch, reply, spelled);
  }

  /** Hands a notification to every server that the client has to do with. */
  notify(message: Message, session: Session, caller: Caller): void {
    for (const [server, branch] of session.branches) {
      const member = this.#member(server);
      if (member?.reaches(caller.principal) === true) member.endpoint.notification(message, caller, branch);
    }
  }

  /** Makes sure that the client hears what servers say outside requests. */
  connect(session: Session, caller: Caller): void {
    for (const member of this.#deps.roster().of(caller.principal)) {
      const { switchboard } = member.endpoint;
      const known = session.branch(member.name);
      const branch = known ?? this.at(member, session, caller);
      // A connection of its own is made when this client first needs that server.
      const shared = switchboard.connectionOf(caller, branch).key === "";
      if (known !== undefined || shared || this.#deps.own) switchboard.connect(branch, caller);
    }
  }

  /** Takes a session away from servers that would not let it in any more. */
  leaveUnreached(session: Session): void {
    for (const [server] of session.branches) {
      const member = this.#member(server);
      // A server that is gone ends by itself, after its calls in flight.
      if (member !== undefined && !member.admits(session.principal)) session.endBranch(server);
    }
  }

  /** Each server talks at the level the client has chosen; those it has nothing to do with yet are told later. */
  async setLevel(rank: number, session: Session, caller: Caller): Promise<void> {
    session.logRank = rank;
    const told = this.#deps
      .roster()
      .of(caller.principal)
      .map((member) => {
        const known = session.branch(member.name);
        const passed =
          known === undefined
            ? this.#passIfShared(session, member, caller)
            : this.#passLevel(rank, member, known, caller);
        return this.#deps.patience(member).within("logging/setLevel", passed);
      });
    await Promise.all(told);
  }

  #member(name: string): Member | undefined {
    return this.#deps.roster().members.find((member) => member.name === name);
  }

  async #passIfShared(session: Session, member: Member, caller: Caller): Promise<void> {
    // Made with the level of its session.
    const { switchboard } = member.endpoint;
    if (switchboard.connectionOf(caller, undefined).key === "" && switchboard.config.target.kind === "stdio")
      this.at(member, session, caller);
  }

  async #passLevel(rank: number, member: Member, branch: Session, caller: Caller): Promise<void> {
    if (capabilitiesOf(member)["logging"] === undefined) return;
    const text = `{"jsonrpc":"2.0","id":"mcp-proxy level","method":"logging/setLevel","params":{"level":"${levelName(rank)}"}}`;
    const answer = new Answer();
    member.endpoint.request(Message.read(text, "upstream") as Message, partOf(caller), branch, answer);
    await answer.text;
  }

  /** What a server says outside requests, as the client hears it; undefined what it hears from elsewhere. */
  #said(session: Session, member: Member, text: string): string | undefined {
    if (!text.includes("notifications/")) return text;
    const message = Message.read(text, "upstream");
    if (typeof message === "string") return text;
    if (!member.hears(message.method)) return undefined;
    if (message.method?.endsWith("/list_changed") === true) {
      return session.branch(member.name)?.hearsItself === true ? text : undefined;
    }
    const span = message.method === "notifications/resources/updated" ? message.param("uri") : undefined;
    if (span === undefined) return text;
    const uri = stringAt(message.text, span) ?? "";
    const shown = this.#deps.routes.spelled(session, member, uri);
    return shown === uri ? text : message.edited({ start: span.start, end: span.end, text: JSON.stringify(shown) });
  }
}
