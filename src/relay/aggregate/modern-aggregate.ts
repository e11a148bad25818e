import type { Principal } from "../../policy/principal.ts";
import { missingMethod } from "../../policy/missing.ts";
import type { Missing } from "../../policy/missing.ts";
import { codeOf, statusOf } from "../../protocol/eras/errors.ts";
import { readListenFilter } from "../../protocol/eras/listen.ts";
import { GONE, MODERN_VERSIONS, Meta } from "../../protocol/eras/names.ts";
import { getKey } from "../../protocol/eras/object-text.ts";
import { NOT_KEPT, withoutTasks } from "../../protocol/eras/results.ts";
import type { Caching } from "../../protocol/eras/results.ts";
import { ErrorCode, resultText } from "../../protocol/errors.ts";
import { levelRank } from "../../protocol/log-levels.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { Message } from "../../protocol/message.ts";
import type { ListKind } from "../../upstream/catalogue.ts";
import { INVALID_CURSOR, refuse, unknownLevel } from "../answers.ts";
import type { Caller, Reply } from "../ends.ts";
import type { ModernRequest } from "../modern-endpoint.ts";
import type { ModernSide } from "../served.ts";
import type { Introductions } from "./introductions.ts";
import { JointListening } from "./joint-listening.ts";
import { LIST_KIND } from "./lists.ts";
import type { Lists } from "./lists.ts";
import { Answer, partOf } from "./member.ts";
import type { Asking, Member } from "./member.ts";
import { missingOf } from "./missing-of.ts";
import { Renamed } from "./renamed.ts";
import type { Roster } from "./roster.ts";
import type { Route, Routes } from "./routes.ts";

export interface ModernAggregateDeps {
  readonly roster: () => Roster;
  readonly clock: Clock;
  readonly lists: Lists;
  readonly routes: Routes;
  readonly introductions: Introductions;
  /** Counts what no single server is asked for. @returns whether it may go on; else it was answered */
  counts(message: Message, caller: Caller, reply: Reply): boolean;
}

/** The stateless side of a URL that serves several servers. */
export class ModernAggregate implements ModernSide {
  readonly #deps: ModernAggregateDeps;
  readonly #listening = new Set<JointListening>();

  constructor(deps: ModernAggregateDeps) {
    this.#deps = deps;
  }

  request(asked: ModernRequest): void {
    const { message, envelope, caller, reply } = asked;
    const method = message.method ?? "";
    if (envelope.logLevel !== undefined && levelRank(envelope.logLevel) === -1) {
      return refuse(message, reply, unknownLevel(envelope.logLevel), 400);
    }
    const meta = message.param("_meta");
    const modern = { envelope, meta: meta === undefined ? "{}" : message.slice(meta) };
    const asking: Asking = { caller, session: undefined, modern };
    const kind = LIST_KIND.get(method);
    if (kind !== undefined) return this.#counts(asked) ? void this.#list(kind, asked, asking) : undefined;
    switch (method) {
      case "server/discover":
        return void this.#discover(asked, asking);
      case "subscriptions/listen":
        return this.#counts(asked) ? this.#listen(asked, asking) : undefined;
      case "tools/call":
      case "prompts/get":
      case "resources/read":
      case "completion/complete":
        if (this.#routed(asked)) return;
        // What is not known yet can be what was asked for.
        if (!this.#deps.lists.waits(asking)) return this.#refuse(asked, missingOf(asked.message, true));
        return void this.#deps.lists.learn(asking).then(() => {
          if (!this.#routed(asked)) this.#refuse(asked, missingOf(asked.message, true));
        });
      default:
        return this.#other(asked, method);
    }
  }

  /** In words of its own a client can only speak to a server where there is no other. */
  notification(message: Message, caller: Caller): void {
    this.#deps.roster().only(caller.principal)?.endpoint.modern.notification(message, caller);
  }

  /** The lists of a server are not as they were, or it is back. */
  changed(member: Member, kinds: readonly ListKind[]): void {
    for (const listening of this.#listening) listening.changed(member, kinds);
  }

  /** Other servers are behind the URL. */
  replaced(before: Roster, different: boolean): void {
    for (const listening of this.#listening) listening.replaced(before.members, different);
  }

  accessChanged(knows: (principal: Principal) => boolean, affected?: (principal: Principal) => boolean): void {
    for (const listening of [...this.#listening]) {
      if (!knows(listening.principal)) listening.finish();
      else listening.replaced(this.#deps.roster().members, affected?.(listening.principal) === true);
    }
  }

  finishListening(): void {
    for (const listening of [...this.#listening]) listening.finish();
  }

  async #list(kind: ListKind, asked: ModernRequest, asking: Asking): Promise<void> {
    if (asked.message.param("cursor") !== undefined) {
      return refuse(asked.message, asked.reply, INVALID_CURSOR);
    }
    const elements = await this.#deps.lists.read(kind, asking);
    const result = `{"${kind}":[${elements.join(",")}],${this.#tail(NOT_KEPT)}}`;
    asked.reply.finish(resultText(asked.message.id ?? "null", result));
  }

  async #discover(asked: ModernRequest, asking: Asking): Promise<void> {
    const { capabilities, instructions, caching } = await this.#deps.introductions.join(asking);
    const said = instructions === undefined ? "" : `"instructions":${JSON.stringify(instructions)},`;
    const own = withoutTasks(JSON.stringify(capabilities));
    const versions = JSON.stringify(MODERN_VERSIONS);
    const result = `{"supportedVersions":${versions},"capabilities":${own},${said}${this.#tail(caching)}}`;
    asked.reply.finish(resultText(asked.message.id ?? "null", result));
  }

  /** Lists are not kept: a server that is late is in the next one, and which servers they are of differs per caller. */
  #tail({ ttlMs, cacheScope }: Caching): string {
    const meta = { [Meta.serverInfo]: this.#deps.introductions.identity };
    return `"resultType":"complete","ttlMs":${ttlMs},"cacheScope":"${cacheScope}","_meta":${JSON.stringify(meta)}`;
  }

  #listen(asked: ModernRequest, asking: Asking): void {
    const { message, caller, reply } = asked;
    const filter = readListenFilter(message);
    if (typeof filter === "string") return refuse(message, reply, { code: ErrorCode.invalidParams, text: filter });
    const { clock, roster, lists } = this.#deps;
    const listening = new JointListening(message, filter, caller, reply, {
      clock,
      roster,
      over: () => this.#listening.delete(listening),
    });
    const begin = (): void => {
      this.#listening.add(listening);
      listening.start();
      asked.onLeave(() => listening.close());
    };
    // Whose a resource is can only be said of lists that are known.
    if ((filter.resourceSubscriptions?.length ?? 0) === 0 || !lists.waits(asking)) begin();
    else void lists.learn(asking).then(begin);
  }

  /** Hands a request to the server that it is for. @returns false when it is nobody's */
  #routed(asked: ModernRequest): boolean {
    const { message, caller, reply } = asked;
    const { routes } = this.#deps;
    const { principal } = caller;
    if (message.method === "resources/read") {
      const text = message.stringParam("uri") ?? "";
      const route = routes.resource(message, principal);
      if (route === undefined) return false;
      send(route.uri === text ? asked : { ...asked, reply: new Renamed(reply, route.uri, text) }, route);
      return true;
    }
    const route =
      message.method === "tools/call"
        ? routes.tool(message, principal)
        : message.method === "prompts/get"
          ? routes.prompt(message, principal)
          : routes.completion(message, principal);
    if (route === undefined) return false;
    send(message.method === "tools/call" ? { ...asked, spelled: message.stringParam("name") ?? "" } : asked, route);
    return true;
  }

  /** Only one server can be meant where there is one; tasks are looked for at all that could have made them. */
  #other(asked: ModernRequest, method: string): void {
    const roster = this.#deps.roster();
    const only = roster.only(asked.caller.principal);
    if (only !== undefined) return send(asked, { member: only, message: asked.message });
    const unknown = missingMethod(method);
    if (GONE.has(method) || !method.startsWith("tasks/")) return this.#refuse(asked, unknown, 404);
    if (!this.#counts(asked)) return;
    void this.#firstThatKnows(roster.of(asked.caller.principal), asked).then((text) =>
      text === undefined
        ? refuse(asked.message, asked.reply, unknown, 404)
        : asked.reply.finish(text, statusIn(text, method)),
    );
  }

  #counts({ message, caller, reply }: ModernRequest): boolean {
    return this.#deps.counts(message, caller, reply);
  }

  #refuse(asked: ModernRequest, missing: Missing, status?: number): void {
    if (this.#counts(asked)) refuse(asked.message, asked.reply, missing, status);
  }

  async #firstThatKnows(members: readonly Member[], asked: ModernRequest): Promise<string | undefined> {
    let refused: string | undefined;
    for (const member of members) {
      if (member.endpoint.switchboard.upstream.introduction?.era !== "modern") continue;
      const reply = new Answer();
      const caller = partOf(asked.caller);
      member.endpoint.modern.request({ ...asked, caller, reply, onLeave: () => undefined });
      const text = await reply.text;
      if (text !== undefined && getKey(text, "result") !== undefined) return text;
      refused ??= text;
    }
    return refused;
  }
}

function send(asked: ModernRequest, { member, message }: Route): void {
  member.endpoint.modern.request({ ...asked, message });
}

/** What HTTP says with an answer. */
function statusIn(text: string, method: string): number {
  const error = getKey(text, "error");
  return error === undefined ? 200 : statusOf(codeOf(error), method, {});
}
