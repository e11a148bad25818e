import { missingMethod, missingTask } from "../policy/missing.ts";
import type { ServerRights } from "../policy/rights.ts";
import { ErrorCode, errorText, resultText } from "../protocol/errors.ts";
import { levelName, levelRank } from "../protocol/log-levels.ts";
import { answerEmpty, refuse } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import type { Session } from "./session.ts";
import type { Call, Switchboard } from "./switchboard.ts";

/**
 * Requests of clients with sessions by which something is kept here: at which level a session is logged to, what it has
 * subscribed to, whose a task is. One connection may carry many sessions, of which a server knows nothing.
 */

/** A stateless server has no sessions: what they hold is held here. */
export function isStateless({ upstream }: Switchboard): boolean {
  return upstream.introduction?.era === "modern";
}

export function setLevel(switchboard: Switchboard, call: Call): Exchange | undefined {
  const { message, caller, session, reply } = call;
  const rank = levelRank(message.stringParam("level"));
  if (session === undefined || rank === -1) return switchboard.relay(call);
  const before = session.logRank;
  session.logRank = rank;
  if (isStateless(switchboard)) return answerEmpty(message, reply);
  const span = message.param("level");
  const most = switchboard.lineOf(session, caller).mostVerboseWith(rank, session);
  const upward =
    most === rank || span === undefined
      ? message
      : message.with({ start: span.start, end: span.end, text: `"${levelName(most)}"` });
  const ended = (succeeded: boolean): void => {
    if (!succeeded) session.logRank = before;
  };
  return switchboard.relay({ ...call, message: upward, hooks: { ended } });
}

export function subscribe(switchboard: Switchboard, call: Call): Exchange | undefined {
  const { message, caller, session } = call;
  const uri = message.stringParam("uri");
  if (session === undefined || uri === undefined) return switchboard.relay(call);
  const { subscriptions } = switchboard.lineOf(session, caller);
  if (isStateless(switchboard)) return void subscribeStateless(switchboard, call, session, uri);
  // Before it is sent: the first update may come before the answer.
  const first = subscriptions.add(uri, session);
  const ended = (succeeded: boolean): void => {
    if (!succeeded && first) subscriptions.remove(uri, session);
  };
  return switchboard.relay({ ...call, hooks: { ended } });
}

async function subscribeStateless(
  switchboard: Switchboard,
  { message, caller, reply }: Call,
  session: Session,
  uri: string,
): Promise<void> {
  const id = message.id ?? "null";
  try {
    const line = await switchboard.lineReady(session, caller);
    line.subscriptions.add(uri, session);
    if ((await line.covers(uri)) === true) return reply.finish(resultText(id, "{}"));
    line.subscriptions.remove(uri, session);
    line.uncovers();
    reply.finish(errorText(id, ErrorCode.invalidParams, `the server does not tell of changes of ${uri}`));
  } catch (error) {
    const { message: why, data } = switchboard.explain(error, caller);
    reply.finish(errorText(id, ErrorCode.internal, why, data));
  }
}

export function unsubscribe(switchboard: Switchboard, call: Call): Exchange | undefined {
  const { message, caller, session, reply } = call;
  const uri = message.stringParam("uri");
  if (session === undefined || uri === undefined) return switchboard.relay(call);
  const line = switchboard.lineOf(session, caller);
  // Others on the connection want it still, or it goes out of the one subscription at a stateless server.
  const done = line.subscriptions.remove(uri, session) || line.uncovers();
  return done ? answerEmpty(message, reply) : switchboard.relay(call);
}

/** On a connection of several a task is its maker's alone; to others it does not exist. */
export function askOfTasks(
  switchboard: Switchboard,
  call: Call,
  rights: ServerRights | undefined,
): Exchange | undefined {
  const { message, caller, session, reply } = call;
  // The tasks of 2025-11-25 are not those of the stateless era.
  if (isStateless(switchboard)) return refuse(message, reply, missingMethod(message.method));
  const line = switchboard.lineOf(session, caller);
  if (line.exclusive !== undefined && rights === undefined) return switchboard.relay(call);
  const may = rights === undefined ? undefined : (tool: string) => rights.tool(tool);
  switch (message.method) {
    case "tasks/get":
    case "tasks/result":
    case "tasks/cancel": {
      const task = message.stringParam("taskId") ?? "";
      if (line.tasks.belongs(task, caller, session, may)) return switchboard.relay(call);
      return refuse(message, reply, missingTask(task));
    }
    case "tasks/list":
      return switchboard.relay({ ...call, hooks: { rewrite: (text) => line.tasks.only(text, caller, session, may) } });
    default:
      return switchboard.relay(call);
  }
}
