import { isDirectLoopback } from "./client-address.ts";
import type { Peers } from "./caller.ts";
import type { Room } from "./rooms.ts";
import type { Viewer } from "./health.ts";

/**
 * What somebody may see on the pages about servers: those that would let the same caller in.
 * @param user who is logged in on the start page
 */
export function viewerOf(
  request: Request,
  peers: Peers,
  rooms: ReadonlyMap<string, Room>,
  user: string | undefined,
): Viewer {
  const header = request.headers.get("authorization");
  const direct = isDirectLoopback(peers.requestIP(request)?.address ?? null, request.headers);
  const open = [...rooms].filter(([, { gate }]) => gate.open).map(([name]) => name);
  const shut = [...rooms].filter(([, { gate }]) => !gate.open);
  const admits = ({ gate }: Room): boolean =>
    typeof gate.check(header) === "object" || (user !== undefined && gate.login);
  const admitted = shut.filter(([, room]) => admits(room)).map(([name]) => name);
  const all = [...rooms.keys()];
  if (admitted.length > 0 || user !== undefined) {
    const mine = new Set([...open, ...admitted]);
    const servers = all.filter((name) => mine.has(name));
    return { known: true, direct, user, mayAsk: true, health: servers, servers };
  }
  return { known: direct, direct, mayAsk: shut.length === 0, health: direct ? all : [], servers: open };
}
