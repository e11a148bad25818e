import { find } from "../protocol/json.ts";
import { Message } from "../protocol/message.ts";
import { notificationText } from "../protocol/errors.ts";
import { LATEST_LEGACY } from "../protocol/versions.ts";
import type { Clock } from "../telemetry/clock.ts";
import { Fault } from "./fault.ts";
import type { RequestOptions, Wire, WireListener } from "./wire.ts";

/** Who waits for the answer to one request on a connection. */
export interface Pending {
  /** Raw progress token of the asker, undefined when it wants no progress. */
  readonly progressToken: string | undefined;
  /** True while somebody is being asked on behalf of this request; its time stands still then. */
  readonly paused: boolean;
  /** Its progress goes on after the answer: the server has made a task of it. */
  readonly outlives?: boolean;
  /** A notification or request of the server that belongs to this one. */
  related(message: Message): void;
  /** The answer is going to be fetched later, over a stream that was taken up again. */
  parked?(): void;
  answered(message: Message): void;
  failed(fault: Fault): void;
}

export interface ConnectionListener {
  /** A notification or request that names no open request. */
  outside(message: Message): void;
  closed(fault: Fault | undefined): void;
  noise(line: string, from: "stderr" | "stdout"): void;
}

/** What the proxy says of the client in `initialize`. */
export interface Declaration {
  readonly clientInfo: unknown;
  readonly capabilities: Readonly<Record<string, unknown>>;
}

/** The upstream's answer to `initialize`. */
export interface Introduction {
  /** Raw text of the result. */
  readonly text: string;
  readonly protocolVersion: string;
  readonly capabilities: Readonly<Record<string, unknown>>;
}

/** Tasks whose progress is passed on; of more than that the oldest have none. */
const MAX_TASKS = 1_000;

interface Entry {
  readonly pending: Pending;
  deadline: number;
}

/**
 * One initialized link to an upstream: gives each request an id of its own, brings answers and progress back to who
 * asked, and hands on the rest. It knows nothing of sessions.
 */
export class Connection {
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #entries = new Map<number, Entry>();
  /** Requests that became tasks, for their progress. */
  readonly #tasks = new Map<number, Pending>();
  #listener: ConnectionListener | undefined;
  #idle: (() => void)[] = [];
  #nextId = 1;
  #introduction: Introduction | undefined;
  #closed = false;

  constructor(wire: Wire, clock: Clock, timeoutMs: number) {
    this.#wire = wire;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the transport says which request a message of the server belongs to. */
  get attributes(): boolean {
    return this.#wire.attributes;
  }

  get openRequests(): number {
    return this.#entries.size;
  }

  /** @throws TypeError before `open` has resolved */
  get introduction(): Introduction {
    if (this.#introduction === undefined) throw new TypeError("the connection is not open yet");
    return this.#introduction;
  }

  /**
   * Starts the link and says hello.
   * @throws Fault when the server cannot be started or refuses
   */
  async open(declaration: Declaration, listener: ConnectionListener): Promise<Introduction> {
    this.#listener = listener;
    await this.#wire.open(this.#wireListener());
    const answer = await this.call("initialize", {
      protocolVersion: LATEST_LEGACY,
      capabilities: declaration.capabilities,
      clientInfo: declaration.clientInfo,
    });
    const introduction = readIntroduction(answer);
    this.#introduction = introduction;
    this.#wire.initialized(introduction.protocolVersion);
    this.#wire.send(notificationText("notifications/initialized"));
    return introduction;
  }

  /**
   * Relays a request.
   * @returns the id it has on this connection
   */
  request(message: Message, pending: Pending, options?: RequestOptions): number {
    const id = this.#nextId++;
    const token = pending.progressToken === undefined ? undefined : message.meta("progressToken");
    const text =
      token === undefined
        ? message.withId(String(id))
        : message.withId(String(id), { start: token.start, end: token.end, text: String(id) });
    this.#start(id, text, pending, options);
    return id;
  }

  /**
   * A request of the proxy's own.
   * @returns raw text of the result
   * @throws Fault when the server answers with an error or not at all
   */
  call(method: string, params?: object): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const id = this.#nextId++;
    const text = JSON.stringify({ jsonrpc: "2.0", id, method, ...(params === undefined ? {} : { params }) });
    this.#start(id, text, {
      progressToken: undefined,
      // `initialize` may take as long as a package takes to download; who waits for it has a deadline of its own.
      paused: method === "initialize",
      related: (message) => this.#listener?.outside(message),
      answered: (message) => {
        if (message.result !== undefined) return resolve(message.slice(message.result));
        const error = message.error === undefined ? "" : message.slice(message.error);
        reject(new Fault("upstream.protocol", `the server answered ${method} with an error`, { detail: error }));
      },
      failed: reject,
    });
    return promise;
  }

  /** Sends a notification or a response as it is. */
  send(text: string): void {
    if (!this.#closed) this.#wire.send(text);
  }

  /** Opens or closes the stream for what the server says outside any request. */
  listen(on: boolean): void {
    if (!this.#closed) this.#wire.listen(on);
  }

  /** Resolves when no request is open. */
  idle(): Promise<void> {
    return this.#entries.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Gives up a request: the server is told, and nobody hears of it again. */
  cancel(id: number, reason?: string): void {
    if (!this.#take(id) || this.#closed) return;
    this.#wire.send(
      notificationText("notifications/cancelled", { requestId: id, ...(reason === undefined ? {} : { reason }) }),
    );
    this.#wire.abandon(id);
  }

  /** Fails what has been silent for too long. To be called about once a second. */
  sweep(now: number): void {
    for (const [id, entry] of this.#entries) {
      if (entry.pending.paused) entry.deadline = now + this.#timeoutMs;
      if (entry.deadline > now) continue;
      this.cancel(id, "timeout");
      entry.pending.failed(
        new Fault("upstream.timeout", `no answer and no progress within ${Math.round(this.#timeoutMs / 1000)} s`),
      );
    }
  }

  close(): Promise<void> {
    return this.#wire.close();
  }

  #message(text: string, via: number | undefined): void {
    let message: Message | string;
    try {
      message = Message.read(text, "upstream");
    } catch {
      return this.#listener?.noise(text.slice(0, 500), "stdout");
    }
    if (typeof message === "string") return this.#listener?.noise(`${message}: ${text.slice(0, 500)}`, "stdout");
    if (message.kind === "response") return this.#answered(message);
    if (message.method === "notifications/progress") {
      const token = message.param("progressToken");
      const id = token === undefined ? Number.NaN : Number(message.slice(token));
      const task = this.#tasks.get(id);
      if (task?.progressToken !== undefined) return task.related(message);
      const entry = this.#entries.get(id);
      // Progress nobody asked for, or for a request that is over, has no reader.
      if (entry === undefined || entry.pending.progressToken === undefined) return;
      entry.deadline = this.#deadline();
      return entry.pending.related(message);
    }
    const entry = via === undefined ? undefined : this.#entries.get(via);
    if (entry === undefined) this.#listener?.outside(message);
    else entry.pending.related(message);
  }

  #failed(id: number, fault: Fault): void {
    this.#take(id)?.pending.failed(fault);
  }

  #ended(fault: Fault | undefined): void {
    this.#closed = true;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const resolve of this.#idle.splice(0)) resolve();
    const reason = fault ?? new Fault("upstream.stopped", "the connection to the server was closed");
    for (const entry of entries) entry.pending.failed(reason);
    this.#listener?.closed(fault);
  }

  #wireListener(): WireListener {
    return {
      message: (text, via) => this.#message(text, via),
      failed: (id, fault) => this.#failed(id, fault),
      parked: (id) => this.#entries.get(id)?.pending.parked?.(),
      closed: (fault) => this.#ended(fault),
      noise: (line, from) => this.#listener?.noise(line, from),
    };
  }

  #start(id: number, text: string, pending: Pending, options?: RequestOptions): void {
    this.#entries.set(id, { pending, deadline: this.#deadline() });
    if (this.#closed) this.#failed(id, new Fault("upstream.stopped", "the server is not running", { notRun: true }));
    else this.#wire.request(id, text, options);
  }

  #answered(message: Message): void {
    const id = Number(message.id);
    const pending = this.#take(id)?.pending;
    pending?.answered(message);
    if (pending?.outlives !== true) return;
    this.#tasks.set(id, pending);
    if (this.#tasks.size > MAX_TASKS) this.#tasks.delete(this.#tasks.keys().next().value ?? id);
  }

  #take(id: number): Entry | undefined {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    if (this.#entries.size === 0 && this.#idle.length > 0) for (const resolve of this.#idle.splice(0)) resolve();
    return entry;
  }

  #deadline(): number {
    return this.#timeoutMs === 0 ? Number.POSITIVE_INFINITY : this.#clock.now() + this.#timeoutMs;
  }
}

function readIntroduction(text: string): Introduction {
  const version = find(text, 0, "protocolVersion");
  const capabilities = find(text, 0, "capabilities");
  const parsed: unknown = version === undefined ? undefined : JSON.parse(text.slice(version.start, version.end));
  if (typeof parsed !== "string") {
    throw new Fault("upstream.protocol", "the server answered initialize without a protocolVersion", {
      detail: text.slice(0, 500),
    });
  }
  const known: unknown = capabilities === undefined ? {} : JSON.parse(text.slice(capabilities.start, capabilities.end));
  return {
    text,
    protocolVersion: parsed,
    capabilities: typeof known === "object" && known !== null ? (known as Record<string, unknown>) : {},
  };
}
