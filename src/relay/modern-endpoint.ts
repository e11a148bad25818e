import { ErrorCode, errorText } from "../protocol/errors.ts";
import type { Envelope } from "../protocol/eras/envelope.ts";
import { rawParam, withParams } from "../protocol/eras/envelope.ts";
import { discoverFromInitialize } from "../protocol/eras/hello.ts";
import { GONE, MULTI_ROUND, ModernCode } from "../protocol/eras/names.ts";
import { asString, setKey } from "../protocol/eras/object-text.ts";
import { checkParamHeaders } from "../protocol/eras/param-headers.ts";
import { find, members, splice } from "../protocol/json.ts";
import { skipSpace } from "../protocol/strict-json.ts";
import { resultText } from "../protocol/errors.ts";
import { levelRank } from "../protocol/log-levels.ts";
import type { Message } from "../protocol/message.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Connection } from "../upstream/connection.ts";
import { Dialogue } from "./dialogue.ts";
import type { DialogueDeps } from "./dialogue.ts";
import { refuse, unknownLevel } from "./answers.ts";
import type { Caller, Reply } from "./ends.ts";
import type { ExchangeHooks } from "./exchange.ts";
import { Listening } from "./listening.ts";
import type { Parking } from "./parking.ts";
import { missingMethod, missingTool } from "../policy/missing.ts";
import type { Missing } from "../policy/missing.ts";
import type { Principal } from "../policy/principal.ts";
import type { ServerRights } from "../policy/rights.ts";
import { answerNarrowed, introductionFor, listenNarrowed } from "./narrowed.ts";
import type { Oversight, WatchedCall } from "./oversight.ts";
import type { Switchboard } from "./switchboard.ts";

export interface ModernDeps {
  readonly name: string;
  readonly switchboard: Switchboard;
  readonly parking: Parking<Dialogue>;
  readonly clock: Clock;
  /** Whether a call of a tool is allowed, and what changes its list; the same as for legacy clients. */
  allows(message: Message, caller: Caller): boolean | Promise<boolean>;
  listHooks(caller: Caller): ExchangeHooks | undefined;
  rights(caller: Caller): ServerRights | undefined;
  readonly oversight: Oversight | undefined;
}

/** Notifications that end here: the server is told by other means, or knows nothing of it. */
const OWN_TO_THE_LINK = new Set([
  "notifications/initialized",
  "notifications/cancelled",
  "notifications/progress",
  "notifications/roots/list_changed",
]);

/** One request of a modern client. */
export interface ModernRequest {
  readonly message: Message;
  readonly envelope: Envelope;
  readonly caller: Caller;
  readonly reply: Reply;
  /** Called when the client has closed the stream before its answer. */
  onLeave(act: () => void): void;
  /** What the client calls the tool, where that is not its name. */
  readonly spelled?: string | undefined;
  /** Hears how a call ends, where calls are watched. */
  watched?: WatchedCall | undefined;
}

/** A URL's stateless side (MCP 2026-07-28): nothing here depends on an earlier request but sealed states. */
export class ModernEndpoint {
  readonly #deps: ModernDeps;
  /** What was opened here and is open; handed on to the next endpoint of this URL. */
  #listening = new Set<Listening>();

  constructor(deps: ModernDeps) {
    this.#deps = deps;
  }

  /**
   * Takes the place of another one at the same URL.
   * @param knows who may still come in there; the streams of others end
   */
  succeed(before: ModernEndpoint, knows: (principal: Principal) => boolean): void {
    this.#listening = before.#listening;
    for (const listening of [...this.#listening]) if (!knows(listening.principal)) listening.finish();
  }

  request(asked: ModernRequest): void {
    const { message, envelope, caller, reply } = asked;
    if (envelope.logLevel !== undefined && levelRank(envelope.logLevel) === -1) {
      return fail(asked, unknownLevel(envelope.logLevel), 400);
    }
    const { oversight, switchboard } = this.#deps;
    const watched = oversight?.admit(message, caller, reply, { goesOn: () => this.#goesOn(message, caller) });
    if (watched === "refused") {
      switchboard.meter.limited++;
      return;
    }
    asked.watched = watched;
    const rights = this.#deps.rights(caller);
    const answer = rights?.whole === false ? answerNarrowed(message, rights, true) : undefined;
    if (answer !== undefined) {
      if (answer.denied) switchboard.meter.denied++;
      return reply.finish(answer.text, answer.status);
    }
    const known = switchboard.upstream.introduction;
    // The first call may come before the server has said what it is.
    if (known !== undefined && message.method !== "server/discover" && message.method !== "tools/call") {
      return this.#dispatch(asked, known.era === "legacy");
    }
    switchboard.reach(caller).then(
      ({ connection }) => this.#reached(asked, connection),
      (error: unknown) => {
        const { message: why, data } = switchboard.explain(error, caller);
        watched?.ended("failed");
        reply.finish(errorText(message.id ?? "null", ErrorCode.internal, why, data), 503);
      },
    );
  }

  #reached(asked: ModernRequest, connection: Connection): void {
    const { message, reply } = asked;
    const legacy = connection.era === "legacy";
    if (legacy && message.method === "server/discover") {
      const text = discoverFromInitialize(connection.introduction.text);
      return reply.finish(resultText(message.id ?? "null", introductionFor(this.#deps.rights(asked.caller), text)));
    }
    if (message.method !== "tools/call") return this.#dispatch(asked, legacy);
    this.#checkHeaders(asked, connection).then(
      (wrong) => {
        if (wrong === undefined) this.#dispatch(asked, legacy);
        else fail(asked, { code: ModernCode.headerMismatch, text: wrong }, 400);
      },
      (error: unknown) => fail(asked, { code: ErrorCode.internal, text: String(error) }),
    );
  }

  /** Whether this is the next round of a call that a server with sessions still works at. */
  #goesOn(message: Message, { principal }: Caller): boolean {
    const raw = MULTI_ROUND.has(message.method ?? "") ? rawParam(message, "requestState") : undefined;
    const text = raw === undefined ? undefined : asString(raw);
    if (text === undefined) return false;
    return this.#deps.parking.leadsBack(text, { principal, endpoint: this.#deps.name, request: message });
  }

  /** What changes an answer for this caller. */
  #hooksFor(asked: ModernRequest): ExchangeHooks | undefined {
    const { caller, watched, message } = asked;
    if (watched !== undefined) return { ended: (good) => watched.ended(good ? "ok" : "failed") };
    if (message.method === "tools/list") return this.#deps.listHooks(caller);
    if (message.method !== "server/discover" || this.#deps.rights(caller)?.any !== false) return undefined;
    const rewrite = (text: string): string => {
      const span = find(text, skipSpace(text, 0), "result");
      if (span === undefined) return text;
      return splice(text, [
        { ...span, text: introductionFor(this.#deps.rights(caller), text.slice(span.start, span.end)) },
      ]);
    };
    return { rewrite };
  }

  /**
   * A notification of a client. Those about requests concern the link to it; what is left is for the server, in the
   * words of its era.
   */
  notification(message: Message, caller: Caller): void {
    const { method } = message;
    // A call without an id is run by servers that only look at the method: it would be past every check.
    if (method === undefined || !method.startsWith("notifications/") || OWN_TO_THE_LINK.has(method)) return;
    // Words of a protocol of the server's own; who may use a tool or two of it has no part in that.
    if (this.#deps.rights(caller)?.whole === false) return;
    this.#deps.switchboard.sendStateless(message, caller);
  }

  /** Headers must say what the arguments say; which ones, is in the tool's schema (basic/transports). */
  async #checkHeaders({ message, caller }: ModernRequest, connection: Connection): Promise<string | undefined> {
    if (caller.local !== undefined) return undefined;
    const { toolHeaders } = this.#deps.switchboard.upstream;
    const tool = message.stringParam("name") ?? "";
    const args = rawParam(message, "arguments");
    const check = (): string | undefined =>
      checkParamHeaders(toolHeaders.of(tool) ?? [], args, (name) => caller.headers.get(name));
    const first = toolHeaders.of(tool) === undefined ? "unknown" : check();
    if (first === undefined) return undefined;
    // Schemas change; before a client is told that it is wrong, the server is asked.
    await connection.refreshTools().then(
      () => toolHeaders.missing(tool),
      () => undefined,
    );
    return check();
  }

  #dispatch(asked: ModernRequest, legacy: boolean): void {
    const { message, caller } = asked;
    const method = message.method ?? "";
    if (legacy && (GONE.has(method) || method.startsWith("tasks/"))) {
      return fail(asked, missingMethod(method), 404);
    }
    if (method === "subscriptions/listen") {
      const rights = this.#deps.rights(caller);
      const wish = rights?.whole === false ? listenNarrowed(message, rights) : message;
      return this.#listen(asked, wish);
    }
    if (method !== "tools/call") return this.#continue(asked, legacy);
    const allowed = this.#deps.allows(message, caller);
    const decide = (yes: boolean): void => {
      if (yes) return this.#continue(asked, legacy);
      this.#deps.switchboard.meter.denied++;
      asked.watched?.ended("denied");
      refuse(message, asked.reply, missingTool(asked.spelled ?? message.stringParam("name") ?? ""));
    };
    if (typeof allowed === "boolean") decide(allowed);
    else void allowed.then(decide);
  }

  #listen(asked: ModernRequest, wish: Message): void {
    const { reply, caller } = asked;
    const open = this.#listening;
    const over = (): void => {
      if (typeof listening !== "string") open.delete(listening);
    };
    const watched: Reply = {
      push: (text) => reply.push(text),
      finish: (text, status) => {
        over();
        reply.finish(text, status);
      },
      drop: () => {
        over();
        reply.drop();
      },
    };
    const listening = Listening.open(wish, caller, watched, this.#deps.switchboard);
    if (typeof listening === "string") return fail(asked, { code: ErrorCode.invalidParams, text: listening });
    open.add(listening);
    asked.onLeave(() => {
      over();
      listening.close();
    });
  }

  /** A call, or the next round of one. */
  #continue(asked: ModernRequest, legacy: boolean): void {
    const { message, caller, reply } = asked;
    const raw = MULTI_ROUND.has(message.method ?? "") ? rawParam(message, "requestState") : undefined;
    const authenticated = caller.principal.kind !== "anonymous";
    if (raw === undefined || (!legacy && !authenticated)) return this.#relay(asked, message);
    const { parking, name: endpoint } = this.#deps;
    const text = asString(raw);
    const state =
      text === undefined ? undefined : parking.open(text, { principal: caller.principal, endpoint, request: message });
    if (state === undefined || (state.kind === "wrapped") === legacy) {
      return fail(asked, { code: ErrorCode.invalidParams, text: "requestState is not valid for this call" });
    }
    switch (state.kind) {
      case "again":
        return this.#relay(asked, message);
      case "wrapped": {
        const params = message.params === undefined ? "{}" : message.slice(message.params);
        return this.#relay(asked, withParams(message, setKey(params, "requestState", JSON.stringify(state.state))));
      }
      case "parked": {
        const { call } = state;
        asked.onLeave(() => call.left(reply));
        asked.watched?.ended(undefined);
        return call.resume(message, reply, answersOf(message));
      }
    }
  }

  #relay(asked: ModernRequest, message: Message): void {
    const { envelope, caller, reply } = asked;
    const { parking, clock, name: endpoint, switchboard } = this.#deps;
    const deps: DialogueDeps = { parking, clock, endpoint, authenticated: caller.principal.kind !== "anonymous" };
    const dialogue = new Dialogue(message, envelope, caller, reply, deps);
    asked.onLeave(() => dialogue.left(reply));
    const hooks = this.#hooksFor(asked);
    switchboard.relay({
      message,
      caller,
      session: undefined,
      dialogue,
      reply,
      ...(hooks === undefined ? {} : { hooks }),
    });
  }
}

function fail({ message, reply, watched }: ModernRequest, error: Missing, status?: number): void {
  watched?.ended("failed");
  refuse(message, reply, error, status);
}

/** Raw answers by key. */
function answersOf(message: Message): ReadonlyMap<string, string> {
  const raw = rawParam(message, "inputResponses");
  const all = raw === undefined ? undefined : members(raw, skipSpace(raw, 0));
  return new Map((all ?? []).map((each) => [each.key, (raw as string).slice(each.start, each.end)]));
}
