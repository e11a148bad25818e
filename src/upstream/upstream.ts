import type { ServerConfig } from "../config/config.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { ServerMeter } from "../telemetry/meters.ts";
import { Backoff } from "./backoff.ts";
import { LIST_KINDS } from "./catalogue.ts";
import type { Catalogue, List, ListKind } from "./catalogue.ts";
import { Connection } from "./connection.ts";
import type { ConnectionListener } from "./connection.ts";
import { Fault } from "./fault.ts";
import { Listings } from "./listings.ts";
import type { Declaration, EraMemory, Introduction } from "./greeting.ts";
import { Slot } from "./slot.ts";
import type { SlotState } from "./slot.ts";
import { ToolHeaders } from "./tool-headers.ts";
import { UpstreamLog } from "./upstream-log.ts";
import type { Wire } from "./wire.ts";

/** Which connection a caller needs, and how to make it if it is not there. */
export interface Need {
  /** `""` is the connection that everybody shares. */
  readonly key: string;
  readonly declaration: Declaration;
  /** Values from the client's headers for the child's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Headers of the client that travel to an HTTP upstream. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The relay's side of a connection. */
export interface UpstreamListener {
  /** Called for each new connection before anything is sent over it. */
  attach(connection: Connection, key: string): ConnectionListener;
  /** The connection has said hello; `again` when it takes the place of one that was lost. */
  ready(connection: Connection, key: string, again: boolean): void;
  /** The catalogue was read. @param changed lists that are not as they were, or that could not be had for a while */
  learned(changed: readonly ListKind[]): void;
}

export interface UpstreamDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly meter: ServerMeter;
  /** First delay before a lost server is started again, in milliseconds. */
  readonly restartDelayMs?: number;
  /** There is one client, which has every connection for itself; what the server lists is known from any of them. */
  readonly own?: boolean;
  openWire(server: ServerConfig, need: Need): Wire;
  /** The server has never been well yet, and could not be started. */
  onFault?(server: ServerConfig, fault: Fault): void;
}

export interface UpstreamStatus {
  readonly state: SlotState;
  readonly fault: Fault | undefined;
  readonly retryAt: number | undefined;
  readonly restarts: number;
  readonly connections: number;
  readonly catalogue: Catalogue | undefined;
  /** When the present attempt of the shared connection began, in milliseconds since the epoch. */
  readonly attemptAt: number | undefined;
  /** How long the first successful attempt took, its lists included, in milliseconds. */
  readonly readyMs: number | undefined;
  /** What the server last wrote to stderr while it starts: npx and uvx show there how far they are. */
  readonly progress: string | undefined;
}

/** The life of one MCP server named in the configuration: its shared connection, and those made for somebody. */
export class Upstream {
  readonly config: ServerConfig;
  readonly #deps: UpstreamDeps;
  readonly #listener: UpstreamListener;
  readonly #shared: Need;
  readonly #slots = new Map<string, Slot>();
  readonly toolHeaders: ToolHeaders;
  readonly #memory: EraMemory;
  readonly #log: UpstreamLog;
  #introduction: Introduction | undefined;
  readonly #listings: Listings;
  #stopSweep: (() => void) | undefined;

  constructor(config: ServerConfig, shared: Need, listener: UpstreamListener, deps: UpstreamDeps) {
    this.config = config;
    this.#shared = shared;
    this.#listener = listener;
    this.#deps = deps;
    this.#log = new UpstreamLog(config, deps.clock, deps.log);
    // HTTP+SSE is older than the stateless era.
    this.#memory = { era: config.target.kind === "sse" ? "legacy" : undefined };
    this.#listings = new Listings({
      visit: (tool) => void this.toolHeaders.learn(tool),
      tools: (now, before) => this.#log.tools(now, before),
      learned: (changed) => listener.learned(changed),
      failed: (error) => this.#log.unread(error),
    });
    this.toolHeaders = new ToolHeaders((tool, why) => {
      if (config.target.kind !== "stdio") this.#log.leftOut(tool, why);
    });
  }

  /** What the server said of itself when it was last connected. */
  get introduction(): Introduction | undefined {
    return this.#introduction;
  }

  get catalogue(): Catalogue | undefined {
    return this.#listings.catalogue;
  }

  get status(): UpstreamStatus {
    const shared = this.#slots.get("");
    const { attemptAt, readyMs, progress } = this.#log;
    return {
      state: this.config.invalid === undefined ? (shared?.state ?? "idle") : "failed",
      fault: shared?.fault ?? this.#invalid(),
      retryAt: shared?.retryAt,
      restarts: shared?.restarts ?? 0,
      connections: this.#openConnections(),
      catalogue: this.#listings.catalogue,
      attemptAt,
      readyMs,
      progress,
    };
  }

  /** Begins to connect in the background. */
  start(): void {
    const invalid = this.#invalid();
    if (invalid !== undefined) {
      this.#log.invalid(invalid);
      this.#deps.onFault?.(this.config, invalid);
      return;
    }
    this.#slot(this.#shared).start();
  }

  /** The connection for a key if it can be used at once. */
  current(key: string): Connection | undefined {
    return this.#slots.get(key)?.current;
  }

  /**
   * Waits for a connection, up to the connect timeout.
   * @throws Fault with the reason
   */
  async acquire(need: Need): Promise<Connection> {
    const invalid = this.#invalid();
    if (invalid !== undefined) throw invalid;
    const known = this.#slots.get(need.key);
    if (known === undefined && need.key !== "" && this.atCapacity) {
      throw new Fault(
        "upstream.at_capacity",
        `all ${this.config.maxConnections} processes of this server are in use; try again later (maxConnections)`,
        { notRun: true },
      );
    }
    return await this.#slot(need).acquire(this.config.connectTimeoutMs);
  }

  /** Whether another child process would be one too many. Connections over HTTP cost nothing here. */
  get atCapacity(): boolean {
    return this.config.target.kind === "stdio" && this.#slots.size >= this.config.maxConnections;
  }

  /** Makes a new connection in the place of one whose session the server has forgotten. */
  replace(key: string, connection: Connection): void {
    this.#slots.get(key)?.replace(connection);
  }

  /** Ends a connection that nobody needs any more. The shared one stays. */
  release(key: string): void {
    const slot = this.#slots.get(key);
    if (key === "" || slot === undefined) return;
    this.#slots.delete(key);
    void slot.stop();
  }

  /** Ends the shared connection until somebody needs it again. */
  async rest(): Promise<void> {
    const slot = this.#slots.get("");
    this.#slots.delete("");
    await slot?.stop();
  }

  async stop(): Promise<void> {
    this.#stopSweep?.();
    const slots = [...this.#slots.values()];
    this.#slots.clear();
    await Promise.all(slots.map((slot) => slot.stop()));
  }

  /** The entry in the configuration cannot be started as it stands; only this server suffers. */
  #invalid(): Fault | undefined {
    const { invalid } = this.config;
    return invalid === undefined ? undefined : new Fault("upstream.invalid", invalid.message, { notRun: true });
  }

  #slot(need: Need): Slot {
    // Where one client is served, nobody starts the shared one.
    this.#stopSweep ??= this.#deps.clock.every(1_000, () => this.#sweep());
    let slot = this.#slots.get(need.key);
    if (slot === undefined) {
      slot = this.#makeSlot(need);
      this.#slots.set(need.key, slot);
    }
    return slot;
  }

  #makeSlot(need: Need): Slot {
    const { clock, random, meter } = this.#deps;
    const shared = need.key === "";
    const lists = shared || this.#deps.own === true;
    return new Slot(
      {
        make: (ended) => {
          if (shared) this.#log.attempt();
          const connection = new Connection(this.#deps.openWire(this.config, need), clock, this.config.timeoutMs, {
            memory: this.#memory,
            toolHeaders: this.toolHeaders,
          });
          const relay = this.#listener.attach(connection, need.key);
          const opened = connection.open(need.declaration, {
            outside: (message) => relay.outside(message),
            listChanged: (method) => {
              if (method === "notifications/tools/list_changed") this.toolHeaders.forget();
              if (lists) this.#listings.refresh(connection, true, [method.split("/")[1] ?? ""]);
            },
            lost: () => {
              this.#log.lost();
              this.#slots.get(need.key)?.restore(connection);
            },
            closed: (fault) => {
              ended(fault);
              relay.closed(fault);
            },
            noise: (line, from) => {
              this.#log.noise(line, from, shared);
              relay.noise(line, from);
            },
          });
          return { connection, opened: opened.then(() => undefined) };
        },
        ready: (connection, again) => {
          this.#introduction = connection.introduction;
          if (again) meter.reconnects++;
          this.#log.connected(connection.introduction, shared, again);
          if (lists) this.#listings.refresh(connection, again);
          this.#listener.ready(connection, need.key, again);
        },
        failed: (fault, retryMs) => {
          meter.failed(fault.code);
          this.#log.failed(fault, retryMs);
          if (shared && this.#introduction === undefined) this.#deps.onFault?.(this.config, fault);
        },
      },
      clock,
      new Backoff(random, this.#deps.restartDelayMs),
      // A remote server ends such a link with its stream, also while a client only listens.
      shared || this.config.target.kind === "sse" || this.config.target.kind === "detect",
    );
  }

  /**
   * One list as the shared connection sees it: what is known, where the server says when it changes, else what it says now.
   * @throws Fault when the server is not there or does not list
   */
  async list(kind: ListKind): Promise<List> {
    const { catalogue } = this;
    // One that was let go to make room is not started again only to be looked at.
    if (catalogue !== undefined && !this.#slots.has("")) return catalogue.lists[kind];
    return await this.#listings.list(await this.acquire(this.#shared), kind);
  }

  /** Whether all is known that the server lists. */
  get listed(): boolean {
    return this.catalogue !== undefined && !this.#listings.reading;
  }

  /** Resolves when no list is being read. */
  async settled(): Promise<void> {
    for (const kind of LIST_KINDS) await this.#listings.settled(kind);
  }

  /** Lists of the server may have changed while its shared connection did not say so. */
  listsMissed(): void {
    const connection = this.current("");
    if (connection !== undefined) this.#listings.refresh(connection, true);
  }

  #openConnections(): number {
    let open = 0;
    for (const slot of this.#slots.values()) if (slot.current !== undefined) open++;
    return open;
  }

  #sweep(): void {
    const now = this.#deps.clock.now();
    for (const slot of this.#slots.values()) slot.current?.sweep(now);
  }
}
