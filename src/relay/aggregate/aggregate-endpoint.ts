import type { Principal } from "../../policy/principal.ts";
import type { Missing } from "../../policy/missing.ts";
import { ErrorCode, resultText } from "../../protocol/errors.ts";
import { levelRank } from "../../protocol/log-levels.ts";
import type { Message } from "../../protocol/message.ts";
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
import { Branches } from "./branches.ts";
import { Introductions } from "./introductions.ts";
import type { Identity } from "./introductions.ts";
import { JointTasks } from "./joint-tasks.ts";
import { LIST_KIND, Lists } from "./lists.ts";
import { heard } from "./member.ts";
import type { Asking, Member } from "./member.ts";
import { missingOf } from "./missing-of.ts";
import { ModernAggregate } from "./modern-aggregate.ts";
import { patienceByServer } from "./patience.ts";
import { Renamed } from "./renamed.ts";
import { Roster } from "./roster.ts";
import { Routes } from "./routes.ts";

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
  readonly #branches: Branches;
  readonly #tasks: JointTasks;
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
    const { own } = deps;
    const patience = patienceByServer(deps.clock);
    this.#routes = new Routes(roster);
    this.#branches = new Branches({ roster, routes: this.#routes, patience, own });
    const shared = { roster, patience, branches: this.#branches, own };
    this.#lists = new Lists({ ...shared, warn: (member, what) => this.#warn(member, what) });
    this.#tasks = new JointTasks({ roster, lists: this.#lists, branches: this.#branches });
    this.#introductions = new Introductions({ ...shared, identity: () => this.#identity });
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
      this.#branches.leaveUnreached(session);
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
      this.#branches.leaveUnreached(session);
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
    const kind = LIST_KIND.get(message.method ?? "");
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
        return this.#counts(message, caller, reply) ? void this.#tasks.list(message, asking, reply) : undefined;
      case "tasks/get":
      case "tasks/result":
      case "tasks/cancel":
        return this.#task(message, asking, reply);
      default: {
        const only = this.#roster.only(caller.principal);
        if (only !== undefined) return this.#branches.send({ member: only, message }, asking, reply);
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
    this.#branches.notify(message, session, caller);
  }

  openStream(stream: EventStream, caller: Caller, session: Session): void {
    session.openStream(stream);
    this.#branches.connect(session, caller);
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

  #tell(session: Session, kinds: readonly ListKind[]): void {
    session.listChanged([...new Set(kinds.map((kind) => LISTS[kind].capability))]);
  }

  #warn(member: Member, what: string): void {
    const key = `${member.name} ${what}`;
    if (this.#warned.has(key) || this.#warned.size > 10_000) return;
    this.#warned.add(key);
    this.#deps.log.warn({ server: member.displayName, endpoint: this.displayName }, `<${member.displayName}> ${what}`);
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
      return route === undefined ? "nobody" : this.#branches.send(route, asking, reply, message.stringParam("name"));
    }
    if (message.method?.startsWith("resources/") === true) return this.#resource(message, asking, reply);
    const route =
      message.method === "prompts/get"
        ? this.#routes.prompt(message, principal)
        : this.#routes.completion(message, principal);
    return route === undefined ? "nobody" : this.#branches.send(route, asking, reply);
  }

  #resource(message: Message, asking: Asking, reply: Reply): Exchange | undefined | "nobody" {
    const { caller, session } = asking;
    const text = message.stringParam("uri") ?? "";
    const route = this.#routes.resource(message, caller.principal);
    if (route === undefined) return "nobody";
    const { member, uri } = route;
    if (message.method === "resources/read")
      return this.#branches.send(route, asking, uri === text ? reply : new Renamed(reply, uri, text));
    if (session !== undefined) {
      if (message.method === "resources/subscribe") this.#routes.spell(session, member, uri, text);
      else this.#routes.forget(session, member, uri);
    }
    return this.#branches.send(route, asking, reply);
  }

  #setLevel(message: Message, { caller, session }: Asking, reply: Reply): undefined {
    const rank = levelRank(message.stringParam("level"));
    if (rank === -1) return refuse(message, reply, { code: ErrorCode.invalidParams, text: "Unknown log level" });
    if (session === undefined) return answerEmpty(message, reply);
    void this.#branches.setLevel(rank, session, caller).then(() => answerEmpty(message, reply));
  }

  /** A task is found by who made it; one that is not known here, by asking. */
  #task(message: Message, asking: Asking, reply: Reply): Exchange | undefined {
    const task = message.stringParam("taskId") ?? "";
    const member = this.#tasks.maker(task, asking);
    if (member !== undefined) return this.#branches.send({ member, message }, asking, reply);
    if (this.#counts(message, asking.caller, reply)) void this.#tasks.search(task, message, asking, reply);
    return undefined;
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
}
