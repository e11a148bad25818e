import { filterArray, find, members, skipSpace, splice } from "../protocol/json.ts";
import { stringAt } from "../protocol/message.ts";
import type { Message } from "../protocol/message.ts";
import type { Caller } from "./ends.ts";
import type { Session } from "./session.ts";

const RELATED = "io.modelcontextprotocol/related-task";
/** Tasks remembered for one connection; the oldest are nobody's from then on. */
const MAX_TASKS = 10_000;

interface Owner {
  /** Undefined for a caller without a session. */
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

  /** A server has made a task of a request. */
  created(task: string, caller: Caller, session: Session | undefined, tool?: string): void {
    this.#owners.delete(task);
    this.#owners.set(task, ownerOf(caller, session, tool));
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
    const owner = this.#owners.get(task);
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

function ownerOf({ principal }: Caller, session: Session | undefined, tool: string | undefined): Owner {
  return { session: session?.id, principal: principal.id, known: principal.kind !== "anonymous", tool };
}
