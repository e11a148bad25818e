import { isDirectLoopback } from "./client-address.ts";
import type { Peers } from "./caller.ts";
import type { Room } from "./rooms.ts";
import type { Viewer } from "./health.ts";

/** What somebody may see on the pages about servers: those that would let the same caller in. */
export function viewerOf(request: Request, peers: Peers, rooms: ReadonlyMap<string, Room>): Viewer {
  const header = request.headers.get("authorization");
  const direct = isDirectLoopback(peers.requestIP(request)?.address ?? null, request.headers);
  const open = [...rooms].filter(([, { gate }]) => gate.open).map(([name]) => name);
  const shut = [...rooms].filter(([, { gate }]) => !gate.open);
  const admitted = shut.filter(([, { gate }]) => typeof gate.check(header) === "object").map(([name]) => name);
  const all = [...rooms.keys()];
  if (admitted.length > 0) {
    const mine = new Set([...open, ...admitted]);
    return {
      known: true,
      direct,
      credential: true,
      mayAsk: true,
      health: all.filter((name) => mine.has(name)),
      servers: all.filter((name) => mine.has(name)),
    };
  }
  return {
    known: direct,
    credential: false,
    direct,
    mayAsk: shut.length === 0,
    health: direct ? all : [],
    servers: open,
  };
}
