import type { Principal } from "../../policy/principal.ts";
import { missingTask } from "../../policy/missing.ts";
import type { Missing } from "../../policy/missing.ts";
import { getKey } from "../../protocol/eras/object-text.ts";
import { ErrorCode, resultText } from "../../protocol/errors.ts";
import { levelName, levelRank } from "../../protocol/log-levels.ts";
import { Message, stringAt } from "../../protocol/message.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import { LISTS, LIST_KINDS } from "../../upstream/catalogue.ts";
import type { ListKind } from "../../upstream/catalogue.ts";
import { INVALID_CURSOR, answerEmpty, refuse } from "../answers.ts";
import type { Caller, EventStream, Reply } from "../ends.ts";
import type { Exchange } from "../exchange.ts";
import type { Description } from "../line.ts";
import { Oversight } from "../oversight.ts";
import type { OversightDeps } from "../oversight.ts";
import type { Endpoint } from "../served.ts";
import type { Session } from "../session.ts";
import type { Switchboard } from "../switchboard.ts";
import { Introductions } from "./introductions.ts";
import type { Identity } from "./introductions.ts";
import { Lists } from "./lists.ts";
import { Answer, capabilitiesOf, heard, partOf } from "./member.ts";
import type { Asking, Member } from "./member.ts";
import { missingOf } from "./missing-of.ts";
import { ModernAggregate } from "./modern-aggregate.ts";
import { Patience } from "./patience.ts";
import { Renamed } from "./renamed.ts";
import { Roster } from "./roster.ts";
import { Routes } from "./routes.ts";
import type { Route } from "./routes.ts";

const METHODS: ReadonlyMap<string, ListKind> = new Map(LIST_KINDS.map((kind) => [LISTS[kind].method, kind]));

export interface AggregateDeps {
  readonly name: string;
  readonly displayName: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The sessions on this URL that are in memory. */
  readonly sessions: () => Iterable<Session>;
  /** The one client of this process has every connection for itself. */
  readonly own: boolean;
}

/** Which servers are behind a URL, and how they are told apart there. */
export interface AggregatePlan {
  readonly members: readonly Member[];
  readonly separator: string;
  readonly resourcesByServer: boolean;
  readonly identity: Identity;
  /** Who counts and keeps what reaches none of the servers. */
  readonly oversight: OversightDeps;
}

/** A URL that serves several servers as one. Each request goes to one of them as if it had come by that one's own URL. */
export class AggregateEndpoint implements Endpoint {
  readonly name: string;
  readonly displayName: string;
  readonly modern: ModernAggregate;
  readonly #deps: AggregateDeps;
  readonly #lists: Lists;
  readonly #routes: Routes;
  readonly #introductions: Introductions;
  readonly #patience = new WeakMap<Switchboard, Patience>();
  readonly #warned = new Set<string>();
  #stopWatching: (() => void)[] = [];
  #roster: Roster;
  #identity: Identity;
  #oversight: Oversight | undefined;

  constructor(deps: AggregateDeps, plan: AggregatePlan) {
    this.#deps = deps;
    this.name = deps.name;
    this.displayName = deps.displayName;
    this.#identity = plan.identity;
    this.#roster = this.#take(plan);
    const roster = (): Roster => this.#roster;
    const patience = (member: Member): Patience => this.#patienceWith(member);
    const branch = (session: Session, member: Member, caller: Caller): Session => this.#branch(session, member, caller);
    this.#lists = new Lists({
      roster,
      patience,
      branch,
      own: deps.own,
      warn: (member, what) => this.#warn(member, what),
    });
    this.#routes = new Routes(roster);
    this.#introductions = new Introductions({
      roster,
      patience,
      branch,
      own: deps.own,
      identity: () => this.#identity,
    });
    this.modern = new ModernAggregate({
      roster,
      clock: deps.clock,
      lists: this.#lists,
      routes: this.#routes,
      introductions: this.#introductions,
      counts: (message, caller, reply) => this.#counts(message, caller, reply),
    });
  }

  /**
   * Takes other servers over, or the same under other rules.
   * @param different clients have other things to see than before, whoever they are
   */
  replace(plan: AggregatePlan, different: boolean): void {
    const before = this.#roster;
    this.#identity = plan.identity;
    this.#roster = this.#take(plan);
    for (const session of this.#deps.sessions()) {
      this.#leaveUnreached(session);
      const reached = (roster: Roster): string => JSON.stringify(roster.of(session.principal).map(({ name }) => name));
      if (different || reached(before) !== reached(this.#roster)) this.#tell(session, LIST_KINDS);
    }
    this.modern.replaced(before, different);
  }

  /**
   * Who may come in, or what some may use, is other than before. Sessions of who may not are ended by who keeps them.
   * @param affected whose rights have changed
   */
  accessChanged(knows: (principal: Principal) => boolean, affected?: (principal: Principal) => boolean): void {
    for (const session of this.#deps.sessions()) {
      this.#leaveUnreached(session);
      if (affected?.(session.principal) === true) this.#tell(session, LIST_KINDS);
    }
    this.modern.accessChanged(knows, affected);
  }

  /** Nobody is served here any more. */
  close(): void {
    for (const stop of this.#stopWatching) stop();
    this.finishListening();
  }

  /** Ends the streams of all modern clients that listen, with their answers. */
  finishListening(): void {
    this.modern.finishListening();
  }

  async initialize(message: Message, session: Session, caller: Caller): Promise<string> {
    const asking: Asking = { caller, session, modern: undefined };
    const { capabilities, instructions } = await this.#introductions.join(asking);
    const result = {
      protocolVersion: session.client.protocolVersion,
      capabilities,
      serverInfo: this.#identity,
      ...(instructions === undefined ? {} : { instructions }),
    };
    return resultText(message.id ?? "null", JSON.stringify(result));
  }

  request(message: Message, caller: Caller, session: Session | undefined, reply: Reply): Exchange | undefined {
    const asking: Asking = { caller, session, modern: undefined };
    const kind = METHODS.get(message.method ?? "");
    if (kind !== undefined)
      return this.#counts(message, caller, reply) ? void this.#list(kind, message, asking, reply) : undefined;
    switch (message.method) {
      case "ping":
        return answerEmpty(message, reply);
      case "tools/call":
      case "prompts/get":
      case "resources/read":
      case "resources/subscribe":
      case "resources/unsubscribe":
      case "completion/complete": {
        const sent = this.#routed(message, asking, reply);
        if (sent !== "nobody") return sent;
        if (!this.#lists.waits(asking)) return this.#refuse(message, caller, reply, missingOf(message, false));
        // What is not known yet can be what was asked for.
        return void this.#lists.learn(asking).then(() => {
          if (this.#routed(message, asking, reply) === "nobody")
            this.#refuse(message, caller, reply, missingOf(message, false));
        });
      }
      case "logging/setLevel":
        return this.#counts(message, caller, reply) ? this.#setLevel(message, asking, reply) : undefined;
      case "tasks/list":
        return this.#counts(message, caller, reply) ? void this.#listTasks(message, asking, reply) : undefined;
      case "tasks/get":
      case "tasks/result":
      case "tasks/cancel":
        return this.#task(message, asking, reply);
      default: {
        const only = this.#only(caller.principal);
        if (only !== undefined) return this.#send({ member: only, message }, asking, reply);
        return this.#refuse(message, caller, reply, {
          code: ErrorCode.methodNotFound,
          text: `Method not found: ${message.method} (several servers are served here; use the URL of the one that knows it)`,
        });
      }
    }
  }

  notification(message: Message, caller: Caller, session: Session | undefined): void {
    const { method } = message;
    if (session === undefined || method?.startsWith("notifications/") !== true) return;
    if (method === "notifications/initialized") return;
    if (method === "notifications/cancelled") {
      const span = message.param("requestId");
      return span === undefined
        ? undefined
        : session.exchange(message.slice(span))?.cancel(message.stringParam("reason"));
    }
    if (method === "notifications/progress") return session.progress(message);
    for (const [server, branch] of session.branches) {
      const member = this.#roster.members.find(({ name }) => name === server);
      if (member?.reaches(caller.principal) === true) member.endpoint.notification(message, caller, branch);
    }
  }

  openStream(stream: EventStream, caller: Caller, session: Session): void {
    session.openStream(stream);
    for (const member of this.#roster.of(caller.principal)) {
      const { switchboard } = member.endpoint;
      const known = session.branch(member.name);
      const branch = known ?? this.#branch(session, member, caller);
      // A connection of its own is made when this client first needs that server.
      const shared = switchboard.connectionOf(caller, branch).key === "";
      if (known !== undefined || shared || this.#deps.own) switchboard.connect(branch, caller);
    }
  }

  restored(session: Session): void {
    this.#tell(session, LIST_KINDS);
  }

  ownChild(): boolean {
    return false;
  }

  explain(error: unknown): Description {
    return { message: `${this.displayName}: ${String(error)}`, data: { code: "proxy.internal" } };
  }

  logs(message: Message): boolean {
    const call = message.method === "tools/call";
    const owner = call ? this.#roster.tools.get(message.stringParam("name") ?? "")?.owner : undefined;
    const asked = owner === undefined ? this.#roster.members : [owner];
    return asked.some(({ endpoint }) => endpoint.logs());
  }

  /** Counted for single servers only. */
  refused(): void {}

  #take(plan: AggregatePlan): Roster {
    for (const stop of this.#stopWatching) stop();
    this.#oversight = Oversight.of({ endpoint: this.displayName, server: undefined }, plan.oversight);
    this.#stopWatching = plan.members.map((member) =>
      member.endpoint.switchboard.watch((changed) => this.#changed(member, changed)),
    );
    return new Roster({
      members: plan.members,
      separator: plan.separator,
      resourcesByServer: plan.resourcesByServer,
      onClash: ({ owner, name }, first) =>
        this.#warn(
          owner,
          `${first.displayName} has the name of ${name} already; that of ${owner.displayName} gets another one`,
        ),
    });
  }

  /** The lists of a server are not as they were, or it is back. */
  #changed(member: Member, changed: readonly ListKind[]): void {
    if (changed.length === 0) return;
    for (const session of this.#deps.sessions()) {
      const branch = session.branch(member.name);
      // On a connection of its own it hears that itself.
      if (branch?.hearsItself !== true) this.#tell(session, heard(member, session.principal, changed));
    }
    this.modern.changed(member, changed);
  }

  /** Takes a session away from servers that would not let it in any more. */
  #leaveUnreached(session: Session): void {
    for (const [server] of session.branches) {
      const member = this.#roster.members.find(({ name }) => name === server);
      // A server that is gone ends by itself, after its calls in flight.
      if (member !== undefined && !member.admits(session.principal)) session.endBranch(server);
    }
  }

  #tell(session: Session, kinds: readonly ListKind[]): void {
    session.listChanged([...new Set(kinds.map((kind) => LISTS[kind].capability))]);
  }

  #patienceWith({ endpoint: { switchboard } }: Member): Patience {
    let patience = this.#patience.get(switchboard);
    if (patience === undefined) {
      patience = new Patience(this.#deps.clock);
      this.#patience.set(switchboard, patience);
    }
    return patience;
  }

  #warn(member: Member, what: string): void {
    const key = `${member.name} ${what}`;
    if (this.#warned.has(key) || this.#warned.size > 10_000) return;
    this.#warned.add(key);
    this.#deps.log.warn({ server: member.displayName, endpoint: this.displayName }, `<${member.displayName}> ${what}`);
  }

  /** The client's session at one server. */
  #branch(session: Session, member: Member, caller: Caller): Session {
    const known = session.branch(member.name);
    if (known !== undefined) return known;
    const { switchboard } = member.endpoint;
    const branch = session.addBranch(member.name, switchboard.givesOwnChild(session.client), (text) =>
      this.#said(session, member, text),
    );
    if (session.logRank !== -1) void this.#passLevel(session.logRank, member, branch, caller);
    return branch;
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
    const shown = this.#routes.spelled(session, member, uri);
    return shown === uri ? text : message.edited({ start: span.start, end: span.end, text: JSON.stringify(shown) });
  }

  async #list(kind: ListKind, message: Message, asking: Asking, reply: Reply): Promise<void> {
    if (message.param("cursor") !== undefined) {
      return refuse(message, reply, INVALID_CURSOR);
    }
    const elements = await this.#lists.read(kind, asking);
    reply.finish(resultText(message.id ?? "null", `{"${kind}":[${elements.join(",")}]}`));
  }

  /** Hands a request to the server that it is for. */
  #routed(message: Message, asking: Asking, reply: Reply): Exchange | undefined | "nobody" {
    const { principal } = asking.caller;
    if (message.method === "tools/call") {
      const route = this.#routes.tool(message, principal);
      return route === undefined ? "nobody" : this.#send(route, asking, reply, message.stringParam("name"));
    }
    if (message.method?.startsWith("resources/") === true) return this.#resource(message, asking, reply);
    const route =
      message.method === "prompts/get"
        ? this.#routes.prompt(message, principal)
        : this.#routes.completion(message, principal);
    return route === undefined ? "nobody" : this.#send(route, asking, reply);
  }

  #resource(message: Message, asking: Asking, reply: Reply): Exchange | undefined | "nobody" {
    const { caller, session } = asking;
    const text = message.stringParam("uri") ?? "";
    const route = this.#routes.resource(message, caller.principal);
    if (route === undefined) return "nobody";
    const { member, uri } = route;
    if (message.method === "resources/read")
      return this.#send(route, asking, uri === text ? reply : new Renamed(reply, uri, text));
    if (session !== undefined) {
      if (message.method === "resources/subscribe") this.#routes.spell(session, member, uri, text);
      else this.#routes.forget(session, member, uri);
    }
    return this.#send(route, asking, reply);
  }

  /** Each server talks at the level the client has chosen; those it has nothing to do with yet are told later. */
  #setLevel(message: Message, asking: Asking, reply: Reply): undefined {
    const { caller, session } = asking;
    const rank = levelRank(message.stringParam("level"));
    if (rank === -1) return refuse(message, reply, { code: ErrorCode.invalidParams, text: "Unknown log level" });
    if (session === undefined) return answerEmpty(message, reply);
    session.logRank = rank;
    const told = this.#roster.of(caller.principal).map((member) => {
      const known = session.branch(member.name);
      const passed =
        known === undefined
          ? this.#passIfShared(session, member, caller)
          : this.#passLevel(rank, member, known, caller);
      return this.#patienceWith(member).within("logging/setLevel", passed);
    });
    void Promise.all(told).then(() => answerEmpty(message, reply));
  }

  async #passIfShared(session: Session, member: Member, caller: Caller): Promise<void> {
    // Made with the level of its session.
    const { switchboard } = member.endpoint;
    if (switchboard.connectionOf(caller, undefined).key === "" && switchboard.config.target.kind === "stdio")
      this.#branch(session, member, caller);
  }

  async #passLevel(rank: number, member: Member, branch: Session, caller: Caller): Promise<void> {
    if (capabilitiesOf(member)["logging"] === undefined) return;
    const text = `{"jsonrpc":"2.0","id":"mcp-proxy level","method":"logging/setLevel","params":{"level":"${levelName(rank)}"}}`;
    const answer = new Answer();
    member.endpoint.request(Message.read(text, "upstream") as Message, partOf(caller), branch, answer);
    await answer.text;
  }

  async #listTasks(message: Message, asking: Asking, reply: Reply): Promise<void> {
    const members = this.#routes.withTasks(asking.caller.principal);
    const found = await Promise.all(members.map((member) => this.#lists.ask(member, "tasks/list", "tasks", asking)));
    reply.finish(resultText(message.id ?? "null", `{"tasks":[${found.flat().join(",")}]}`));
  }

  /** A task is found by who made it; one that is not known here, by asking. */
  #task(message: Message, asking: Asking, reply: Reply): Exchange | undefined {
    const { caller, session } = asking;
    const task = message.stringParam("taskId") ?? "";
    const members = this.#routes.withTasks(caller.principal);
    const maker = this.#roster.of(caller.principal).find((member) => {
      const branch = session?.branch(member.name);
      if (session !== undefined && branch === undefined) return false;
      return member.endpoint.switchboard.lineOf(branch, caller).tasks.belongs(task, caller, branch);
    });
    if (maker !== undefined) return this.#send({ member: maker, message }, asking, reply);
    if (!this.#counts(message, caller, reply)) return undefined;
    void this.#firstThatKnows(members, message, { ...asking, caller: partOf(caller) }).then((text) =>
      text === undefined ? refuse(message, reply, missingTask(task)) : reply.finish(text),
    );
    return undefined;
  }

  async #firstThatKnows(members: readonly Member[], message: Message, asking: Asking): Promise<string | undefined> {
    for (const member of members) {
      const answer = new Answer();
      this.#send({ member, message }, asking, answer);
      const text = await answer.text;
      if (text !== undefined && getKey(text, "result") !== undefined) return text;
    }
    return undefined;
  }

  #send({ member, message }: Route, asking: Asking, reply: Reply, spelled?: string): Exchange | undefined {
    const { caller, session } = asking;
    const branch = session === undefined ? undefined : this.#branch(session, member, caller);
    return member.endpoint.request(message, caller, branch, reply, spelled);
  }

  /** Counts what no single server is asked for. @returns whether it may go on; else it was answered */
  #counts(message: Message, caller: Caller, reply: Reply): boolean {
    const call = message.method === "tools/call";
    const called = call ? this.#routes.presumed(message.stringParam("name") ?? "") : undefined;
    const watched = this.#oversight?.admit(message, caller, reply, { called });
    if (watched === "refused") return false;
    // No call comes this far that has a server.
    watched?.ended("denied");
    return true;
  }

  #refuse(message: Message, caller: Caller, reply: Reply, missing: Missing): undefined {
    return this.#counts(message, caller, reply) ? refuse(message, reply, missing) : undefined;
  }

  #only(principal: Principal): Member | undefined {
    const [only, another] = this.#roster.of(principal);
    return another === undefined ? only : undefined;
  }
}
