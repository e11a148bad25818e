import type { Limits } from "../config/config.ts";
import { limitsAnything } from "../policy/limits.ts";
import type { Excess, RequestLimits, ServerLimits } from "../policy/limits.ts";
import { ErrorCode, errorText } from "../protocol/errors.ts";
import type { Message } from "../protocol/message.ts";
import type { Audit, Outcome } from "../telemetry/audit.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Caller, Reply } from "./ends.ts";

/** Of the handshake, and of life: a client that cannot even say these would think that the server is gone. */
const FREE = new Set(["initialize", "server/discover", "ping"]);
const NO_LIMITS: Limits = { requestsPerMinute: 0, concurrent: 0 };

export interface OversightDeps {
  readonly clock: Clock;
  /** Undefined: calls of this server are not kept. */
  readonly audit: Audit | undefined;
  /** Only calls of somebody with a name: a user, or the client of an API key. */
  readonly onlyNamed: boolean;
  readonly limits: RequestLimits;
  /** Whether anybody has limits at all, whatever the server. */
  readonly limited: boolean;
}

/** A call that is watched to its end. Only the first word about that counts. */
export interface WatchedCall {
  /** @param outcome undefined: this was only a part of a call whose end is told of by another one */
  ended(outcome: Outcome | undefined): void;
}

/** What is looked at: requests at one URL, for the server that they are for. */
export interface Overseen {
  /** Name of the URL, for the audit. */
  readonly endpoint: string;
  /** Undefined: what is answered where several are served, and reaches none of them. */
  readonly server:
    | { readonly name: string; readonly displayName: string; readonly limits?: Limits | undefined }
    | undefined;
}

/** What is known of a request beside its text. */
export interface Known {
  /** What a call is about, where that is not this server's tool of that name. */
  readonly called?: Called | undefined;
  /** Whether it is the next round of a call that goes on, and has its place. Asked only where places are counted. */
  readonly goesOn?: () => boolean;
}

/** Which tool a call is about. */
export interface Called {
  readonly server: string;
  readonly tool: string;
}

/** Counts what is asked of one server, and keeps who called what. */
export class Oversight {
  readonly #of: Overseen;
  readonly #server: ServerLimits | undefined;
  readonly #deps: OversightDeps;

  private constructor(of: Overseen, server: ServerLimits | undefined, deps: OversightDeps) {
    this.#of = of;
    this.#server = server;
    this.#deps = deps;
  }

  /** @returns undefined where nothing is configured to be looked at, so that nothing is */
  static of(of: Overseen, deps: OversightDeps): Oversight | undefined {
    const { name = "", displayName: shown = "", limits = NO_LIMITS } = of.server ?? {};
    const server = limitsAnything(limits) ? { name, shown, limits } : undefined;
    if (deps.audit === undefined && !deps.limited && server === undefined) return undefined;
    return new Oversight(of, server, deps);
  }

  /**
   * One more request.
   * @returns `"refused"` when it was answered here; what hears of the end of a call; undefined when nothing more is to do
   */
  admit(
    message: Message,
    caller: Caller,
    reply: Reply,
    { called, goesOn }: Known = {},
  ): WatchedCall | "refused" | undefined {
    const { clock, limits, limited } = this.#deps;
    const { method = "" } = message;
    const counts = limited || this.#server !== undefined;
    if (FREE.has(method) || (!counts && method !== "tools/call")) return undefined;
    const call = method === "tools/call" ? this.#watch(message, caller, called) : undefined;
    if (!counts) return call;
    const excess = caller.part === true ? undefined : limits.request(caller.principal, this.#server, clock.now());
    if (method !== "tools/call") return excess === undefined ? undefined : refuse(message, excess, reply);
    if (excess !== undefined) return this.#limited(call, message, excess, reply);
    if (goesOn?.() === true) return call;
    const slot = limits.call(caller.principal, this.#server, clock.now());
    if (slot !== undefined && typeof slot !== "function") return this.#limited(call, message, slot, reply);
    if (slot === undefined) return call;
    return {
      ended: (outcome) => {
        slot();
        call?.ended(outcome);
      },
    };
  }

  #limited(call: WatchedCall | undefined, message: Message, excess: Excess, reply: Reply): "refused" {
    call?.ended("limited");
    return refuse(message, excess, reply);
  }

  #watch(message: Message, caller: Caller, called: Called | undefined): WatchedCall | undefined {
    const { audit, clock, onlyNamed } = this.#deps;
    const { principal } = caller;
    if (audit === undefined || (onlyNamed && principal.kind !== "user" && principal.kind !== "key")) return undefined;
    const began = clock.now();
    let over = false;
    return {
      ended: (outcome) => {
        if (over) return;
        over = true;
        if (outcome === undefined) return;
        audit.call({
          user: principal.user,
          client: principal.client,
          caller: principal.id,
          endpoint: this.#of.endpoint,
          server: called?.server ?? this.#of.server?.displayName ?? "",
          tool: called?.tool ?? message.stringParam("name") ?? "",
          outcome,
          duration: clock.now() - began,
        });
      },
    };
  }
}

function refuse(message: Message, { message: text, retryAfterSeconds }: Excess, reply: Reply): "refused" {
  const data = { code: "limit.exceeded", retryAfterSeconds };
  reply.finish(errorText(message.id ?? "null", ErrorCode.server, text, data), 429, retryAfterSeconds);
  return "refused";
}
