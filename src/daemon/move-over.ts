import { isDeepStrictEqual } from "node:util";
import { looksDifferent } from "../http/joint-rooms.ts";
import type { Room } from "../http/rooms.ts";
import type { Sessions } from "../relay/sessions.ts";
import type { House } from "./house.ts";

/** After a reload: starts what is new, and brings the sessions over with a word of what may have changed for them. */
export function moveOver(sessions: Sessions, before: House, now: House): void {
  for (const [name, room] of now.rooms) welcome(sessions, name, room, before.rooms.get(name));
  for (const [name, { endpoint, gate, plan }] of now.joint) {
    const old = before.joint.get(name);
    if (old === undefined) continue;
    sessions.drop(name, (session) => !gate.knows(session.principal));
    endpoint.accessChanged((principal) => gate.knows(principal));
    endpoint.replace(plan, looksDifferent(plan, old.plan));
  }
  for (const [name, { endpoint }] of before.joint) {
    if (now.joint.has(name)) continue;
    sessions.drop(name);
    endpoint.close();
  }
}

function welcome(sessions: Sessions, name: string, { endpoint, gate }: Room, before: Room | undefined): void {
  const { switchboard } = endpoint;
  if (before === undefined) return switchboard.upstream.start();
  // Who is not let in any more hears nothing any more either, on whatever streams he has.
  sessions.drop(name, (session) => !gate.knows(session.principal));
  endpoint.modern.succeed(before.endpoint.modern, (principal) => gate.knows(principal));
  if (before.endpoint.switchboard !== switchboard) {
    switchboard.upstream.start();
    void switchboard.comesUp().then((up) => {
      if (up) for (const session of sessions.of(name)) endpoint.restored(session);
    });
  } else if (!isDeepStrictEqual(endpoint.config.toolFilter, before.endpoint.config.toolFilter)) {
    for (const session of sessions.of(name)) session.listChanged(["tools"]);
  }
}
