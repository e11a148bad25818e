import type { Rights } from "../policy/rights.ts";
import { isDirectLoopback } from "./client-address.ts";
import type { Peer } from "../http1/incoming.ts";
import type { Room } from "./rooms.ts";
import type { Viewer } from "./health.ts";

/** Somebody who is logged in on the start page. */
export interface Visitor {
  readonly user: string;
  /** Undefined: nothing is kept from this user. */
  readonly rights: Rights | undefined;
}

/** What somebody may see on the pages about servers: those that would let the same caller in, for something. */
export function viewerOf(
  request: Request,
  peer: Peer,
  rooms: ReadonlyMap<string, Room>,
  visitor: Visitor | undefined,
): Viewer {
  const header = request.headers.get("authorization");
  const direct = isDirectLoopback(peer.address, request.headers);
  const all = [...rooms.keys()];
  const open: string[] = [];
  const mine = new Map<string, Rights | undefined>();
  for (const [name, { gate }] of rooms) {
    if (gate.open) {
      open.push(name);
      continue;
    }
    const principal = gate.check(header);
    if (typeof principal === "object") mine.set(name, principal.rights);
    else if (visitor !== undefined && gate.login) mine.set(name, visitor.rights);
  }
  const tool = (server: string, name: string): boolean => mine.get(server)?.of(server)?.tool(name) ?? true;
  if (mine.size > 0 || visitor !== undefined) {
    const usable = (name: string): boolean => mine.has(name) && mine.get(name)?.of(name)?.any !== false;
    const servers = all.filter((name) => open.includes(name) || usable(name));
    return { known: true, direct, credential: true, user: visitor?.user, mayAsk: true, health: servers, servers, tool };
  }
  const mayAsk = open.length === all.length;
  return { known: direct, direct, credential: false, mayAsk, health: direct ? all : [], servers: open, tool };
}
