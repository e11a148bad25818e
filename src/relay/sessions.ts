import { randomUUID } from "node:crypto";
import type { Principal } from "../policy/principal.ts";
import type { Kept } from "../store/kept.ts";
import type { Sealer } from "../store/sealer.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Client } from "./ends.ts";
import { Session } from "./session.ts";

/** Larger ids would not fit beside other headers into what HTTP servers accept; then extras are left out. */
const MAX_SEALED_CHARACTERS = 4_096;
/** Sessions in memory; the least recently used idle ones leave first, and come back from their ids. */
const MAX_IN_MEMORY = 50_000;

export interface SessionLimits {
  readonly idleMs: number;
  readonly maxAgeMs: number;
}

interface Sealed {
  /** Endpoint, principal, version, client info, capabilities, time made. */
  readonly e: string;
  readonly p: string;
  readonly v: string;
  readonly i: unknown;
  readonly c: Readonly<Record<string, unknown>>;
  readonly t: number;
}

/**
 * The sessions of all endpoints. An id carries all that is needed to make its session again, so dropping one from
 * memory, or restarting the proxy, ends nothing.
 */
export class Sessions {
  readonly #sealer: Sealer;
  readonly #clock: Clock;
  readonly #random: () => number;
  #limits: SessionLimits;
  readonly #live = new Map<string, { session: Session; endpoint: string; made: number }>();
  readonly #attached = new Map<Session, string>();
  /** Ids ended by DELETE. */
  readonly #ended: Kept;

  constructor(sealer: Sealer, clock: Clock, random: () => number, limits: SessionLimits, ended: Kept) {
    this.#sealer = sealer;
    this.#clock = clock;
    this.#random = random;
    this.#limits = limits;
    this.#ended = ended;
  }

  get size(): number {
    return this.#live.size + this.#attached.size;
  }

  /** Streams that are open for what belongs to no request. */
  get streams(): number {
    let open = 0;
    for (const { session } of this.#live.values()) open += session.streamCount;
    for (const session of this.#attached.keys()) open += session.streamCount;
    return open;
  }

  create(endpoint: string, principal: Principal, said: Client, ownChild: boolean): Session {
    const made = this.#clock.now();
    const { id, client } = this.#seal(endpoint, principal, said, made);
    return this.#keep(id, endpoint, principal, client, ownChild, made);
  }

  /** A session that lives exactly as long as the stream of its client: nobody can name it, nothing brings it back. */
  attach(endpoint: string, principal: Principal, client: Client, ownChild: boolean): Session {
    const session = this.#make(randomUUID(), principal, client, ownChild);
    this.#attached.set(session, endpoint);
    return session;
  }

  /** Ends a session that was attached to a stream. */
  detach(session: Session): void {
    this.#attached.delete(session);
    session.end();
  }

  /**
   * The session for an id.
   * @param restored called for one that was not in memory and is made again
   * @returns undefined for an id that is forged, ended, too old, of another endpoint or of another principal: all the
   * same to the one who asks
   */
  find(
    id: string,
    endpoint: string,
    principal: Principal,
    restored: { ownChild(client: Client): boolean; made(session: Session): void },
  ): Session | undefined {
    const now = this.#clock.now();
    const live = this.#live.get(id);
    if (live !== undefined) {
      if (live.endpoint !== endpoint || live.session.principal.id !== principal.id) return undefined;
      if (now - live.made > this.#limits.maxAgeMs) return undefined;
      live.session.lastUsed = now;
      return live.session;
    }
    if (this.#ended.get(id) !== undefined) return undefined;
    const text = this.#sealer.open(id);
    if (text === undefined) return undefined;
    const sealed = JSON.parse(text) as Sealed;
    if (sealed.e !== endpoint || sealed.p !== principal.id || now - sealed.t > this.#limits.maxAgeMs) return undefined;
    const client: Client = { protocolVersion: sealed.v, info: sealed.i, capabilities: sealed.c };
    const session = this.#keep(id, endpoint, principal, client, restored.ownChild(client), sealed.t);
    restored.made(session);
    return session;
  }

  /** Ends a session for good. */
  end(session: Session): void {
    this.#live.delete(session.id);
    this.#ended.set("", session.id);
    session.end();
  }

  /** Ends for good whatever some have open. */
  endAll(which: (principal: Principal) => boolean): void {
    for (const { session } of [...this.#live.values()]) if (which(session.principal)) this.end(session);
    for (const session of [...this.#attached.keys()]) if (which(session.principal)) this.detach(session);
  }

  /** Takes a session back that never became one: its `initialize` failed. */
  discard(session: Session): void {
    this.#live.delete(session.id);
    session.end();
  }

  /** Takes new limits over; sessions that are too old by them go at the next look. */
  limit(limits: SessionLimits): void {
    this.#limits = limits;
  }

  /** Drops sessions of an endpoint from memory; their ids stay good for who is let in. */
  drop(endpoint: string, which: (session: Session) => boolean = () => true): void {
    for (const [id, entry] of this.#live) {
      if (entry.endpoint !== endpoint || !which(entry.session)) continue;
      this.#live.delete(id);
      entry.session.end();
    }
    for (const [session, of] of this.#attached) if (of === endpoint && which(session)) this.detach(session);
  }

  /** The sessions of an endpoint that are in memory. */
  *of(endpoint: string): Iterable<Session> {
    for (const entry of this.#live.values()) if (entry.endpoint === endpoint) yield entry.session;
    for (const [session, of] of this.#attached) if (of === endpoint) yield session;
  }

  /** Ends all, on the way out; their ids stay good. */
  close(): void {
    for (const { session } of this.#live.values()) session.end();
    this.#live.clear();
    for (const session of this.#attached.keys()) this.detach(session);
  }

  /** Drops idle sessions from memory, and the oldest ones for good. */
  sweep(): void {
    const now = this.#clock.now();
    for (const [id, { session, made }] of this.#live) {
      const old = now - made > this.#limits.maxAgeMs;
      if (!old && (!session.idle || now - session.lastUsed <= this.#limits.idleMs)) continue;
      this.#live.delete(id);
      session.end();
    }
  }

  #keep(id: string, endpoint: string, principal: Principal, client: Client, ownChild: boolean, made: number): Session {
    const session = this.#make(id, principal, client, ownChild);
    this.#makeRoom();
    this.#live.set(id, { session, endpoint, made });
    return session;
  }

  #make(id: string, principal: Principal, client: Client, ownChild: boolean): Session {
    // Ids of questions begin at a place of their own in each life of a session.
    const first = Math.floor(this.#random() * 2 ** 31) * 1_000;
    return new Session(id, client, principal, ownChild, this.#clock.now(), { next: first });
  }

  #makeRoom(): void {
    if (this.#live.size < MAX_IN_MEMORY) return;
    let tries = 64;
    for (const [id, { session }] of this.#live) {
      if (tries-- === 0) return;
      // In the order they were made; those in use go to the end of the queue.
      const entry = this.#live.get(id);
      this.#live.delete(id);
      if (session.idle) return session.end();
      if (entry !== undefined) this.#live.set(id, entry);
    }
  }

  /** The id, and the client as the id says it: what does not fit into the one is not kept in memory either. */
  #seal(endpoint: string, principal: Principal, client: Client, made: number): { id: string; client: Client } {
    const seal = ({ protocolVersion, info, capabilities }: Client): string => {
      const sealed: Sealed = { e: endpoint, p: principal.id, v: protocolVersion, i: info, c: capabilities, t: made };
      return this.#sealer.seal(JSON.stringify(sealed));
    };
    const id = seal(client);
    if (id.length <= MAX_SEALED_CHARACTERS) return { id, client };
    const said = { info: briefInfo(client.info), capabilities: briefCapabilities(client.capabilities) };
    // Through text, for a piece of a long string keeps all of it in memory.
    const brief: Client = { ...client, ...(JSON.parse(JSON.stringify(said)) as typeof said) };
    return { id: seal(brief), client: brief };
  }
}

/** Name and version, cut: what a session made again needs to say of its client. */
function briefInfo(info: unknown): unknown {
  const { name, version } = (typeof info === "object" && info !== null ? info : {}) as Record<string, unknown>;
  return { name: String(name).slice(0, 100), version: String(version).slice(0, 100) };
}

/** The capabilities the proxy knows, without what a client may have put into them. */
function briefCapabilities(capabilities: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const brief: Record<string, unknown> = {};
  for (const name of ["sampling", "elicitation", "roots"]) {
    const value = capabilities[name];
    if (value === undefined) continue;
    const modes = typeof value === "object" && value !== null ? Object.keys(value) : [];
    const known = modes.filter((mode) => ["form", "url", "tools", "context", "listChanged"].includes(mode));
    brief[name] = Object.fromEntries(known.map((mode) => [mode, mode === "listChanged" ? true : {}]));
  }
  return brief;
}
