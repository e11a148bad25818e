import { filterArray, find, members, splice } from "../protocol/json.ts";
import { skipSpace } from "../protocol/strict-json.ts";
import { stringAt } from "../protocol/message.ts";
import type { Message } from "../protocol/message.ts";
import { digestOf } from "../store/kept.ts";
import type { Kept } from "../store/kept.ts";
import type { Caller } from "./ends.ts";
import type { Session } from "./session.ts";

const RELATED = "io.modelcontextprotocol/related-task";
/** Tasks remembered for one connection; the oldest are nobody's from then on. */
const MAX_TASKS = 10_000;

interface Owner {
  /** Undefined for a caller without a session, or one that was not heard of since a restart. */
  readonly session: string | undefined;
  readonly principal: string;
  readonly known: boolean;
  /** The tool that was called. */
  readonly tool: string | undefined;
}

/**
 * Whose tasks of one connection are whose (MCP 2025-11-25, basic/utilities/tasks). A task outlives the call that made
 * it, and its id is all that names it: on a connection of several, nobody else may ask for it or take it back.
 */
export class Tasks {
  readonly #owners = new Map<string, Owner>();
  readonly #kept: KeptOwners | undefined;

  /** @param kept remembers owners across restarts, for servers that outlive the proxy */
  constructor(kept?: KeptOwners) {
    this.#kept = kept;
  }

  /** A server has made a task of a request. */
  created(task: string, caller: Caller, session: Session | undefined, tool?: string): void {
    this.#owners.delete(task);
    const owner = ownerOf(caller, session, tool);
    this.#owners.set(task, owner);
    this.#kept?.set(task, owner);
    if (this.#owners.size <= MAX_TASKS) return;
    for (const oldest of this.#owners.keys()) {
      this.#owners.delete(oldest);
      return;
    }
  }

  /**
   * Whether a task is this caller's: made in its session, or by the same user in another one.
   * @param may whether he may use a tool now; what it does is taken away from him together with it
   */
  belongs(task: string, caller: Caller, session: Session | undefined, may?: (tool: string) => boolean): boolean {
    const owner = this.#owners.get(task) ?? this.#recalled(task, session);
    if (owner === undefined || owner.principal !== caller.principal.id) return false;
    if (may !== undefined && (owner.tool === undefined || !may(owner.tool))) return false;
    // Everybody without a credential has the same name: of those only the session tells one from another.
    return owner.known || owner.session === session?.id;
  }

  /** The session that hears of a task, if it is one of these. */
  listener(task: string | undefined, sessions: Iterable<Session>): Session | undefined {
    const owner = task === undefined ? undefined : this.#owners.get(task);
    if (owner?.session === undefined) return undefined;
    for (const session of sessions) if (session.id === owner.session) return session;
    return undefined;
  }

  /** What was known before a restart. */
  #recalled(task: string, session: Session | undefined): Owner | undefined {
    const owner = this.#kept?.get(task, session);
    if (owner !== undefined) this.#owners.set(task, owner);
    return owner;
  }

  /** An answer to `tasks/list` without what is not the caller's. */
  only(text: string, caller: Caller, session: Session | undefined, may?: (tool: string) => boolean): string {
    const list = find(text, skipSpace(text, 0), "result", "tasks");
    if (list === undefined) return text;
    const kept = filterArray(text, list.start, (element) => {
      const span = find(text, element.start, "taskId");
      const task = span === undefined ? undefined : stringAt(text, span);
      return task !== undefined && this.belongs(task, caller, session, may);
    });
    return kept === undefined ? text : splice(text, [{ start: list.start, end: list.end, text: kept }]);
  }
}

/** The id of the task that a request was made into, undefined when it was answered in the ordinary way. */
export function createdTask(request: Message, answer: Message): string | undefined {
  if (answer.result === undefined || request.param("task") === undefined) return undefined;
  const span = find(answer.text, answer.result.start, "task", "taskId");
  return span === undefined ? undefined : stringAt(answer.text, span);
}

/** The task a message of a server belongs to. */
export function relatedTask(message: Message): string | undefined {
  if (message.method === "notifications/tasks/status") return message.stringParam("taskId");
  const related = message.meta(RELATED);
  if (related === undefined) return undefined;
  const span = members(message.text, related.start)?.findLast((member) => member.key === "taskId");
  return span === undefined ? undefined : stringAt(message.text, span);
}

/** The owners of one connection's tasks, as they outlive the proxy. */
export class KeptOwners {
  readonly #kept: Kept;
  readonly #where: readonly string[];

  /** @param where names the connection */
  constructor(kept: Kept, where: readonly string[]) {
    this.#kept = kept;
    this.#where = where;
  }

  set(task: string, owner: Owner): void {
    // The id of a session is as good as a key to it, so only a digest is written down.
    const session = owner.session === undefined ? undefined : digestOf([owner.session]);
    this.#kept.set(JSON.stringify({ ...owner, session }), ...this.#where, task);
  }

  /** @returns undefined also when it was made in another session, unless its maker has a name */
  get(task: string, session: Session | undefined): Owner | undefined {
    const text = this.#kept.get(...this.#where, task);
    if (text === undefined) return undefined;
    const owner = JSON.parse(text) as Owner;
    const same = owner.session === (session === undefined ? undefined : digestOf([session.id]));
    if (!same && !owner.known) return undefined;
    return { ...owner, session: same ? session?.id : undefined };
  }
}

function ownerOf({ principal }: Caller, session: Session | undefined, tool: string | undefined): Owner {
  return { session: session?.id, principal: principal.id, known: principal.kind !== "anonymous", tool };
}
