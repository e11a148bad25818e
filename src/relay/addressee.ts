import { MULTI_ROUND } from "../protocol/eras/names.ts";
import type { Message } from "../protocol/message.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Exchange } from "./exchange.ts";
import type { Asked } from "./question.ts";
import type { Session } from "./session.ts";
import { relatedTask } from "./tasks.ts";
import type { Tasks } from "./tasks.ts";

/**
 * How long after another principal's last exchange a question without an address is still not given to the only open
 * one: it could be a late question of that other one, and a question must never reach somebody else.
 */
const FOREIGN_TRACE_MS = 60_000;

/** Who is on a line at the moment. */
export interface Present {
  /** The session that has the line for itself. */
  readonly exclusive: Session | undefined;
  readonly sessions: ReadonlySet<Session>;
  readonly exchanges: Iterable<Exchange> & { readonly size: number };
  readonly tasks: Tasks;
}

/** Who is asked, and on the stream of which exchange. */
export interface Target {
  readonly asked: Asked;
  /** A legacy client's session. */
  readonly session: Session | undefined;
  readonly exchange: Exchange | undefined;
  /** It is for this client, but perhaps about another of its calls. */
  readonly presumed?: boolean;
}

/** Finds out whom a message of a server is for that names nobody. */
export class Addressee {
  readonly #present: Present;
  readonly #clock: Clock;
  /** When each principal was last seen here, in milliseconds. */
  readonly #seen = new Map<string, number>();

  constructor(present: Present, clock: Clock) {
    this.#present = present;
    this.#clock = clock;
  }

  /** An exchange of a principal is over. @param now in milliseconds since the epoch */
  trace(principal: string, now: number): void {
    this.#seen.set(principal, now);
    if (this.#seen.size < 64) return;
    for (const [id, seen] of this.#seen) if (seen <= now - FOREIGN_TRACE_MS) this.#seen.delete(id);
  }

  /** The only open exchange of a connection that does not name them. @param attributes it does */
  onlyExchange(attributes: boolean): Exchange | undefined {
    const { exchanges } = this.#present;
    if (attributes || exchanges.size !== 1) return undefined;
    const [only] = exchanges;
    return only;
  }

  /** Whom a question is for; undefined when that cannot be known. */
  of(question: Message, exchange: Exchange | undefined): Target | undefined {
    return exchange === undefined ? (this.#makerOfTask(question) ?? this.#presumed()) : targetOf(exchange);
  }

  /** Who made the task that a question belongs to, with the request that waits for its result. */
  #makerOfTask(message: Message): Target | undefined {
    const { exclusive, sessions, exchanges, tasks } = this.#present;
    const task = relatedTask(message);
    const session = exclusive ?? tasks.listener(task, sessions);
    if (task === undefined || session === undefined) return undefined;
    const waits = [...exchanges].find(
      ({ request, session: whose }) =>
        whose === session && request.method === "tasks/result" && request.stringParam("taskId") === task,
    );
    return { asked: session, session, exchange: waits };
  }

  /** Whom a question without an address is for. */
  #presumed(): Target | undefined {
    const { exclusive, exchanges } = this.#present;
    if (exclusive !== undefined) {
      const [first] = exchanges;
      const exchange = exchanges.size === 1 || !exclusive.hasStream ? first : undefined;
      return { asked: exclusive, session: exclusive, exchange };
    }
    // Calls that wait for their clients are hardly those that ask now.
    const awake = [...exchanges].filter(({ dialogue }) => dialogue?.parked !== true);
    const [only, another] = awake.length > 0 ? awake : exchanges;
    if (only === undefined) return undefined;
    if (another !== undefined) return oneOf([...exchanges]);
    const since = this.#clock.now() - FOREIGN_TRACE_MS;
    for (const [principal, seen] of this.#seen) {
      if (seen > since && principal !== only.caller.principal.id) return undefined;
    }
    return targetOf(only);
  }
}

/**
 * Several calls of the one client that there is on standard input: whichever asks, it is that client who answers, and a
 * call that has no question yet carries this one.
 */
function oneOf(exchanges: readonly Exchange[]): Target | undefined {
  if (exchanges.some(({ caller, dialogue }) => caller.local === undefined || dialogue === undefined)) return undefined;
  const able = exchanges.filter((exchange) => targetOf(exchange) !== undefined);
  const found = able.findLast(({ dialogue }) => dialogue?.asks === false) ?? able.at(-1);
  const target = found === undefined ? undefined : targetOf(found);
  return target === undefined || able.length === 1 ? target : { ...target, presumed: true };
}

function targetOf(exchange: Exchange): Target | undefined {
  const { asked, dialogue, request } = exchange;
  // Only answers to these can be a question in the stateless era (MCP 2026-07-28, basic/patterns/mrtr).
  if (dialogue !== undefined && !MULTI_ROUND.has(request.method ?? "")) return undefined;
  return asked === undefined ? undefined : { asked, session: exchange.session, exchange };
}
