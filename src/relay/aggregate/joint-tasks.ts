import type { Principal } from "../../policy/principal.ts";
import { missingTask } from "../../policy/missing.ts";
import { getKey } from "../../protocol/eras/object-text.ts";
import { resultText } from "../../protocol/errors.ts";
import type { Message } from "../../protocol/message.ts";
import { refuse } from "../answers.ts";
import type { Reply } from "../ends.ts";
import type { Branches } from "./branches.ts";
import type { Lists } from "./lists.ts";
import { Answer, capabilitiesOf, partOf } from "./member.ts";
import type { Asking, Member } from "./member.ts";
import type { Roster } from "./roster.ts";

export interface JointTasksDeps {
  readonly roster: () => Roster;
  readonly lists: Lists;
  readonly branches: Branches;
}

/** The tasks (MCP 2025-11-25) of several servers. A task's id does not say whose it is. */
export class JointTasks {
  readonly #deps: JointTasksDeps;

  constructor(deps: JointTasksDeps) {
    this.#deps = deps;
  }

  /** All tasks of the caller. */
  async list(message: Message, asking: Asking, reply: Reply): Promise<void> {
    const { lists } = this.#deps;
    const members = this.#membersWithTasks(asking.caller.principal);
    const found = await Promise.all(members.map((member) => lists.ask(member, "tasks/list", "tasks", asking)));
    reply.finish(resultText(message.id ?? "null", `{"tasks":[${found.flat().join(",")}]}`));
  }

  /** The server that is known to have made a task of a request of this caller. */
  maker(task: string, { caller, session }: Asking): Member | undefined {
    return this.#deps
      .roster()
      .of(caller.principal)
      .find((member) => {
        const branch = session?.branch(member.name);
        if (session !== undefined && branch === undefined) return false;
        return member.endpoint.switchboard.lineOf(branch, caller).tasks.belongs(task, caller, branch);
      });
  }

  /** Asks one server after the other about a task whose maker is not known here. */
  async search(task: string, message: Message, asking: Asking, reply: Reply): Promise<void> {
    const part: Asking = { ...asking, caller: partOf(asking.caller) };
    for (const member of this.#membersWithTasks(asking.caller.principal)) {
      const answer = new Answer();
      this.#deps.branches.send({ member, message }, part, answer);
      const text = await answer.text;
      if (text !== undefined && getKey(text, "result") !== undefined) return reply.finish(text);
    }
    return refuse(message, reply, missingTask(task));
  }

  /** The members that make tasks of requests; where none says so, any could. */
  #membersWithTasks(principal: Principal): Member[] {
    const members = this.#deps.roster().of(principal);
    const declared = members.filter((member) => capabilitiesOf(member)["tasks"] !== undefined);
    return declared.length > 0 ? declared : members;
  }
}
