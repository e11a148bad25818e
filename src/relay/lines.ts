import { canonical } from "../protocol/eras/canonical.ts";
import type { ServerConfig } from "../config/config.ts";
import type { Log } from "../telemetry/log.ts";
import type { Need, Upstream } from "../upstream/upstream.ts";
import type { Dialogue } from "./dialogue.ts";
import type { Caller, Local } from "./ends.ts";
import { Line } from "./line.ts";
import type { LineOwner } from "./line.ts";
import { carriedHeaders, leasedDeclaration, localDeclaration, ownDeclaration, ownerOf, sharedNeed } from "./need.ts";
import type { Carried, Identity } from "./need.ts";
import type { Session } from "./session.ts";

/** Keys of connections beside one on which a call of somebody else waits for its client. */
const BESIDE = "beside";
/** How long a connection made for a user or a header's value is kept warm for the next session, or the next request. */
const GRACE_MS = 60_000;

/** For whom a connection is made that is not shared and not a session's. */
interface Alone {
  readonly leased: Dialogue | undefined;
  readonly local: Local | undefined;
}

export interface LinesDeps {
  readonly upstream: Upstream;
  readonly identity: Identity;
  readonly owner: LineOwner;
  readonly log: Log;
}

/** The lines to one upstream: which of them a caller uses; made when they are first needed, let go when nobody uses them. */
export class Lines {
  /** The one that everybody is on who needs none of his own. */
  readonly shared: Line;
  /** Whether every caller has a connection of his own; the shared one is there for the catalogue alone then. */
  readonly differ: boolean;
  /** Whether headers of callers travel to the server. */
  readonly #takesHeaders: boolean;
  readonly #deps: LinesDeps;
  readonly #config: ServerConfig;
  readonly #byKey = new Map<string, Line>();
  /** Whether callers can have connections that differ at all; where not, there is nothing to find out per request. */
  readonly #always: Line | undefined;
  /** The line each session used last: a header that changes moves it to another one. */
  readonly #latest = new WeakMap<Session, Line>();
  readonly #leases = new Set<string>();
  /** The connection of the stateless client that has the proxy for itself: as long as there is no end to its input. */
  #kept: string | undefined;

  constructor(shared: Need, deps: LinesDeps) {
    this.#deps = deps;
    this.#config = deps.upstream.config;
    this.shared = new Line(shared, undefined, deps.owner);
    this.#byKey.set("", this.shared);
    const { target, isolation } = this.#config;
    this.#takesHeaders = target.kind === "stdio" ? target.headerToEnv.size > 0 : target.forwardHeaders.length > 0;
    this.differ = this.#takesHeaders || isolation === "session" || isolation === "user";
    this.#always = isolation === "shared" && !this.#takesHeaders ? this.shared : undefined;
  }

  /** Whether a line is one beside another, on which a call of somebody else waits for its client. */
  static isBeside(line: Line): boolean {
    return line.key.startsWith(BESIDE);
  }

  get all(): Iterable<Line> {
    return this.#byKey.values();
  }

  get(key: string): Line | undefined {
    return this.#byKey.get(key);
  }

  /**
   * The key of the connection that calls of this caller use, and whether it is there or must be because nobody else's
   * can stand for it: it carries headers of this caller.
   */
  connectionOf(caller: Caller, session: Session | undefined): { key: string; ready: boolean; carries: boolean } {
    const { key, carried } = this.#keyOf(caller, session, undefined);
    return { key, ready: this.#deps.upstream.current(key) !== undefined, carries: carried !== undefined };
  }

  /**
   * The line for what a caller sends.
   * @param dialogue of a call of a stateless client
   * @param quiet nothing will be sent there by which a server could come to ask a client
   */
  of(caller: Caller, session: Session | undefined, dialogue?: Dialogue, quiet = false): Line {
    if (this.#always !== undefined && (quiet || !this.#always.waitsForAnother(caller))) {
      session?.join(this.#always);
      return this.#always;
    }
    const { owner, carried, leased, key: ordinary } = this.#keyOf(caller, session, dialogue);
    if (session === undefined && caller.local !== undefined) this.#kept = owner.key;
    let key = ordinary;
    let line = this.#byKey.get(key);
    if (!quiet && line?.exclusive === undefined && line?.waitsForAnother(caller) === true) {
      key = `${BESIDE} ${caller.principal.id} ${key}`;
      line = this.#byKey.get(key);
    }
    if (line === undefined) {
      // A process that is only kept warm must not cost somebody else his place.
      if (this.#deps.upstream.atCapacity) this.#makeRoom();
      line = this.#makeLine(key, owner.exclusive ? session : undefined, carried, {
        leased,
        local: session === undefined && owner.key !== "" ? caller.local : undefined,
      });
      this.#byKey.set(key, line);
    }
    if (session !== undefined && !Lines.isBeside(line)) {
      session.join(line);
      if (this.#latest.get(session) !== line) this.#latest.set(session, line);
    }
    return line;
  }

  /** A line that nobody uses any more. */
  abandoned(line: Line): void {
    if (line.exclusive !== undefined) this.#release(line);
  }

  /** Ends connections that were made for somebody and that nobody has used for a while. */
  sweep(): void {
    this.#releaseIdle(this.#deps.owner.clock.now() - GRACE_MS);
  }

  #makeRoom(): void {
    this.#releaseIdle(this.#deps.owner.clock.now());
    if (!this.#deps.upstream.atCapacity) return;
    // A session whose header has changed is still on the line of its old value.
    for (const line of this.#byKey.values()) {
      if (line !== this.shared && line.leftBehind((session) => this.#latest.get(session) !== line)) {
        line.dismiss();
        return this.#release(line);
      }
    }
    // The one that nobody is on was started for the catalogue, which is known by now.
    if (this.shared.idle && this.differ) void this.#deps.upstream.rest();
  }

  #releaseIdle(unusedSince: number): void {
    for (const line of this.#byKey.values()) {
      if (line.key !== "" && line.key !== this.#kept && line.idle && line.lastUsed <= unusedSince) this.#release(line);
    }
  }

  #release(line: Line): void {
    this.#deps.log.debug({ server: this.#config.displayName }, "a connection that nobody uses is closed");
    this.#byKey.delete(line.key);
    this.#deps.upstream.release(line.key);
  }

  #keyOf(
    caller: Caller,
    session: Session | undefined,
    dialogue: Dialogue | undefined,
  ): {
    readonly key: string;
    readonly owner: ReturnType<typeof ownerOf>;
    readonly carried: Carried | undefined;
    readonly leased: Dialogue | undefined;
  } {
    // A client that has the proxy for itself keeps one connection, and what its server remembers there.
    const leased = caller.local === undefined && this.#config.isolation === "session" ? dialogue : undefined;
    const owner =
      leased === undefined ? ownerOf(this.#config, caller, session) : { key: this.#leaseFor(leased), exclusive: false };
    const carried = this.#takesHeaders ? carriedHeaders(this.#config, caller) : undefined;
    return { key: carried === undefined ? owner.key : `${owner.key} ${carried.key}`, owner, carried, leased };
  }

  /** A connection for one call, out of those that calls of the same principal with the same capabilities have used. */
  #leaseFor(dialogue: Dialogue): string {
    if (dialogue.lease !== undefined) return dialogue.lease;
    const pool = `lease ${dialogue.principal.id} ${canonical(JSON.stringify(dialogue.capabilities))}`;
    for (let n = 1; ; n++) {
      const key = `${pool} ${n}`;
      if (this.#leases.has(key)) continue;
      this.#leases.add(key);
      dialogue.lease = key;
      dialogue.onEnd(() => this.#leases.delete(key));
      return key;
    }
  }

  #makeLine(key: string, exclusive: Session | undefined, carried: Carried | undefined, alone: Alone): Line {
    const shared = sharedNeed(this.#config, this.#deps.identity);
    const need: Need = {
      key,
      declaration: this.#declaration(exclusive, alone) ?? shared.declaration,
      env: carried?.env ?? shared.env,
      headers: carried?.headers ?? shared.headers,
    };
    return new Line(need, exclusive, this.#deps.owner);
  }

  #declaration(exclusive: Session | undefined, { leased, local }: Alone): Need["declaration"] | undefined {
    if (leased !== undefined) return leasedDeclaration(this.#config, leased, this.#deps.identity);
    if (local !== undefined) return localDeclaration(this.#config, local, this.#deps.identity);
    return exclusive === undefined ? undefined : ownDeclaration(this.#config, exclusive);
  }
}
