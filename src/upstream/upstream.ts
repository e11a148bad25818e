import type { ServerConfig } from "../config/config.ts";
import { nearest } from "../config/nearest.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { Backoff } from "./backoff.ts";
import { LISTS, LIST_KINDS, catalogueOf, readCatalogue, readList } from "./catalogue.ts";
import type { Catalogue, List, ListKind } from "./catalogue.ts";
import { Connection } from "./connection.ts";
import type { ConnectionListener } from "./connection.ts";
import { Fault } from "./fault.ts";
import type { Declaration, EraMemory, Introduction } from "./greeting.ts";
import { Slot } from "./slot.ts";
import type { SlotState } from "./slot.ts";
import { ToolHeaders } from "./tool-headers.ts";
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
  /** First delay before a lost server is started again, in milliseconds. */
  readonly restartDelayMs?: number;
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
  #introduction: Introduction | undefined;
  #catalogue: Catalogue | undefined;
  #stopSweep: (() => void) | undefined;
  /** `again`: the lists changed while they were being read. */
  #reading: "no" | "once" | "again" = "no";
  #read: Promise<void> = Promise.resolve();
  /** The server was away since its lists were read. */
  #returned = false;
  /** Lists that the server says have changed, and that are being read. */
  readonly #announced = new Set<ListKind>();

  constructor(config: ServerConfig, shared: Need, listener: UpstreamListener, deps: UpstreamDeps) {
    this.config = config;
    this.#shared = shared;
    this.#listener = listener;
    this.#deps = deps;
    // HTTP+SSE is older than the stateless era.
    this.#memory = { era: config.target.kind === "sse" ? "legacy" : undefined };
    this.toolHeaders = new ToolHeaders((tool, why) => {
      const server = config.displayName;
      if (config.target.kind === "stdio") return;
      deps.log.warn({ server, tool }, `<${server}> the tool ${tool} is left out of the lists: ${why}`);
    });
  }

  /** What the server said of itself when it was last connected. */
  get introduction(): Introduction | undefined {
    return this.#introduction;
  }

  get catalogue(): Catalogue | undefined {
    return this.#catalogue;
  }

  get status(): UpstreamStatus {
    const shared = this.#slots.get("");
    return {
      state: this.config.invalid === undefined ? (shared?.state ?? "idle") : "failed",
      fault: shared?.fault ?? this.#invalid(),
      retryAt: shared?.retryAt,
      restarts: shared?.restarts ?? 0,
      connections: this.#openConnections(),
      catalogue: this.#catalogue,
    };
  }

  /** Begins to connect in the background. */
  start(): void {
    const invalid = this.#invalid();
    if (invalid !== undefined) {
      this.#deps.log.warn({ server: this.config.displayName, code: invalid.code }, invalid.message);
      this.#deps.onFault?.(this.config, invalid);
      return;
    }
    this.#stopSweep = this.#deps.clock.every(1_000, () => this.#sweep());
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
    let slot = this.#slots.get(need.key);
    if (slot === undefined) {
      slot = this.#makeSlot(need);
      this.#slots.set(need.key, slot);
    }
    return slot;
  }

  #makeSlot(need: Need): Slot {
    const { clock, random, log } = this.#deps;
    const server = this.config.displayName;
    const shared = need.key === "";
    return new Slot(
      {
        make: (ended) => {
          const connection = new Connection(this.#deps.openWire(this.config, need), clock, this.config.timeoutMs, {
            memory: this.#memory,
            toolHeaders: this.toolHeaders,
          });
          const relay = this.#listener.attach(connection, need.key);
          const opened = connection.open(need.declaration, {
            outside: (message) => {
              relay.outside(message);
            },
            closed: (fault) => {
              ended(fault);
              relay.closed(fault);
            },
            noise: (line, from) => {
              if (from === "stderr") log.info({ server, stream: from }, line);
              else log.warn({ server, stream: from }, `not a JSON-RPC message, skipped: ${line}`);
              relay.noise(line, from);
            },
          });
          return { connection, opened: opened.then(() => undefined) };
        },
        ready: (connection, again) => {
          this.#introduction = connection.introduction;
          log.debug({ server, shared, protocolVersion: connection.introduction.protocolVersion }, "connection open");
          if (shared) {
            this.#returned ||= again;
            this.#refresh(connection);
          }
          this.#listener.ready(connection, need.key, again);
        },
        failed: (fault, retryMs) => {
          log.warn(
            {
              server,
              code: fault.code,
              ...(fault.detail === undefined ? {} : { detail: fault.detail }),
              retryMs: Math.round(retryMs),
            },
            `upstream failed: ${fault.message}`,
          );
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
    // One that was let go to make room is not started again only to be looked at.
    if (this.#catalogue !== undefined && !this.#slots.has("")) return this.#catalogue.lists[kind];
    const connection = await this.acquire(this.#shared);
    while (this.#reading !== "no") await this.#read;
    const known = this.#catalogue;
    if (known !== undefined && (announces(connection, kind) || !offers(connection, kind))) return known.lists[kind];
    const visit = kind === "tools" ? (tool: string): void => void this.toolHeaders.learn(tool) : undefined;
    const list = await readList(connection, kind, visit);
    // Of two readings at once the whole one is the better one.
    if (known !== undefined && known === this.#catalogue) {
      this.#catalogue = catalogueOf({ ...known.lists, [kind]: list });
    }
    return list;
  }

  /** A list of the server has changed, as its shared connection says. @param announced undefined: any may have */
  listsChanged(announced: readonly ListKind[] = LIST_KINDS): void {
    for (const kind of announced) this.#announced.add(kind);
    const connection = this.current("");
    if (connection !== undefined) this.#refresh(connection);
  }

  /** Reads the lists once more, or waits for a reading that is under way. */
  async readAgain(): Promise<void> {
    const connection = await this.acquire(this.#shared);
    if (this.#reading === "no") this.#refresh(connection);
    while (this.#reading !== "no") await this.#read;
  }

  /** Lists what the server offers: for the log, for warnings, and for what answers without asking it. */
  #refresh(connection: Connection): void {
    // Servers announce each change of a list by itself, dozens at once when they start.
    if (this.#reading !== "no") {
      this.#reading = "again";
      return;
    }
    this.#reading = "once";
    const { log } = this.#deps;
    const done = readCatalogue(connection, (tool) => void this.toolHeaders.learn(tool)).then(
      (catalogue) => this.#learned(catalogue),
      (error: unknown) => {
        log.warn({ server: this.config.displayName, error: String(error) }, "the server's lists could not be read");
        this.#tell([]);
      },
    );
    this.#read = done.then(() => {
      const again = this.#reading === "again" && !connection.closed;
      this.#reading = "no";
      if (again) this.#refresh(connection);
    });
  }

  #learned(catalogue: Catalogue): void {
    const { log } = this.#deps;
    const { displayName: server } = this.config;
    const before = this.#catalogue;
    this.#catalogue = catalogue;
    const anew = this.#returned;
    this.#returned = false;
    const changed = LIST_KINDS.filter((kind) => {
      const [now, then] = [catalogue.lists[kind], before?.lists[kind]];
      if (anew || then === undefined) return now.size > 0 || (then?.size ?? 0) > 0;
      return !sameList(now, then);
    });
    this.#tell(changed);
    for (const tool of catalogue.tools) {
      if (before?.tools.has(tool) !== true) log.info({}, `<${server}> Adding tool ${tool}`);
    }
    if (before !== undefined) return;
    log.info({ server, tools: catalogue.tools.size }, "upstream ready");
    for (const name of this.config.toolFilter?.names ?? []) {
      if (catalogue.tools.has(name)) continue;
      const known = nearest(name, [...catalogue.tools]);
      const hint = known === undefined ? "" : `; did you mean "${known}"?`;
      log.warn({ server }, `toolFilter.list: "${name}" matches no tool of ${server}${hint}`);
    }
  }

  #tell(changed: readonly ListKind[]): void {
    const all = LIST_KINDS.filter((kind) => changed.includes(kind) || this.#announced.has(kind));
    this.#announced.clear();
    this.#listener.learned(all);
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

function offers(connection: Connection, kind: ListKind): boolean {
  return connection.introduction.capabilities[LISTS[kind].capability] !== undefined;
}

/** Whether the server promised to say when a list changes. */
function announces(connection: Connection, kind: ListKind): boolean {
  const capability = connection.introduction.capabilities[LISTS[kind].capability];
  return (
    typeof capability === "object" &&
    capability !== null &&
    "listChanged" in capability &&
    capability.listChanged === true
  );
}

function sameList(a: List, b: List): boolean {
  if (a.size !== b.size) return false;
  const other = b.entries();
  for (const [name, element] of a) {
    const [otherName, otherElement] = other.next().value ?? [];
    if (name !== otherName || element !== otherElement) return false;
  }
  return true;
}
