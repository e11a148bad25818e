import type { AccessChange } from "../auth/directory.ts";
import { IdlePatterns } from "../policy/idle-patterns.ts";
import type { Principal } from "../policy/principal.ts";
import type { Base } from "./base.ts";
import type { House } from "./house.ts";

/** Acts on changes of who may come in, and of what some may use. */
export class AccessWatch {
  readonly #base: Base;
  readonly #house: () => House;
  readonly #idlePatterns = new IdlePatterns();

  /** @param house the present one */
  constructor(base: Base, house: () => House) {
    this.#base = base;
    this.#house = house;
  }

  /** Users or keys are other than before: who is gone is out at once, whose rights have changed is told to look again. */
  changed(change: AccessChange): void {
    const { directory, sessions } = this.#base;
    this.expectPatterns();
    const users = new Set(change.users);
    const keys = new Set(change.keys);
    const affected = ({ user, id }: Principal): boolean => keys.has(id) || (user !== undefined && users.has(user));
    const knows = (principal: Principal): boolean => directory.knows(principal);
    // Whoever is known nowhere any more; what a single endpoint lets in is settled when its configuration changes.
    this.expel((principal) => !knows(principal));
    const { rooms, joint } = this.#house();
    for (const [name, { endpoint }] of rooms) {
      for (const session of sessions.of(name)) if (affected(session.principal)) endpoint.restored(session);
      endpoint.switchboard.rightsChanged(affected);
    }
    for (const { endpoint } of joint.values()) endpoint.accessChanged(knows, affected);
  }

  /** Ends all that somebody has open: sessions, streams, calls in flight. */
  expel(which: (principal: Principal) => boolean): void {
    const { sessions, sseLines } = this.#base;
    const { rooms, joint } = this.#house();
    sessions.endAll(which);
    for (const line of [...sseLines.values()]) if (which(line.principal)) line.stream.end();
    for (const { endpoint } of rooms.values()) endpoint.switchboard.expel(which);
    for (const { endpoint } of joint.values()) endpoint.accessChanged((principal) => !which(principal));
  }

  /** Patterns of users, keys and groups may be others than before. */
  expectPatterns(): void {
    const ofGroups = [...this.#house().config.groups.values()].flatMap(({ tools = [] }) => tools);
    this.#idlePatterns.expect([...this.#base.directory.patterns, ...ofGroups]);
    this.lookAtPatterns();
  }

  /** Says which patterns of users, keys and groups fit nothing, as far as the servers have said what they have. */
  lookAtPatterns(): void {
    const servers = [...this.#house().rooms].map(([name, { endpoint }]) => {
      return { name, tools: endpoint.switchboard.upstream.catalogue?.tools };
    });
    for (const text of this.#idlePatterns.look(servers)) this.#base.log.warn({}, text);
  }
}
