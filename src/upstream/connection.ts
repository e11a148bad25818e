import { numberAt } from "../protocol/json.ts";
import { Message } from "../protocol/message.ts";
import { notificationText } from "../protocol/errors.ts";
import { codeOf } from "../protocol/eras/errors.ts";
import { ownEnvelope } from "../protocol/eras/hello.ts";
import { encodeHeader } from "../protocol/eras/header-value.ts";
import { MODERN_VERSION, Meta, ModernCode } from "../protocol/eras/names.ts";
import { namedBy, produceParamHeaders } from "../protocol/eras/param-headers.ts";
import { InFlight } from "../store/in-flight.ts";
import type { Clock } from "../telemetry/clock.ts";
import { readTools } from "./catalogue.ts";
import { Fault } from "./fault.ts";
import { greet } from "./greeting.ts";
import type { Declaration, Era, EraMemory, Introduction } from "./greeting.ts";
import type { ToolHeaders } from "./tool-headers.ts";
import type { Wire, WireListener } from "./wire.ts";

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
  /** The server says that one of its lists is another now. @param method of the notification */
  listChanged?(method: string): void;
  closed(fault: Fault | undefined): void;
  /** The server has forgotten the session of this connection. */
  lost?(): void;
  noise(line: string, from: "stderr" | "stdout"): void;
}

/** Tasks whose progress is passed on; of more than that the oldest have none. */
const MAX_TASKS = 1_000;

interface Entry {
  readonly pending: Pending;
  deadline: number;
  /** Sends the call again, once, when its headers were made from an old schema: then it did not run. */
  again?: (() => void) | undefined;
}

/** What the connections of one upstream have in common. */
export interface Shared {
  readonly memory: EraMemory;
  readonly toolHeaders: ToolHeaders;
}

/**
 * One initialized link to an upstream: gives each request an id of its own, brings answers and progress back to who
 * asked, and hands on the rest. It knows nothing of sessions.
 */
export class Connection {
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #entries = new InFlight<number, Entry>();
  /** Requests that became tasks, for their progress. */
  readonly #tasks = new Map<number, Pending>();
  #listener: ConnectionListener | undefined;
  #idle: (() => void)[] = [];
  #nextId = 1;
  #introduction: Introduction | undefined;
  #clientInfo: unknown;
  #closed = false;

  readonly #shared: Shared;

  constructor(wire: Wire, clock: Clock, timeoutMs: number, shared: Shared) {
    this.#shared = shared;
    this.#wire = wire;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Which era is spoken on it; legacy until the greeting is over. */
  get era(): Era {
    return this.#introduction?.era ?? "legacy";
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
    this.#clientInfo = declaration.clientInfo;
    const ask = (method: string, params: object, headers?: Readonly<Record<string, string>>): Promise<Message> =>
      this.#ask(method, params, headers);
    const introduction = await greet(ask, declaration, this.#shared.memory, this.#clock);
    this.#introduction = introduction;
    this.#wire.initialized(introduction.protocolVersion);
    if (introduction.era === "legacy") this.#wire.send(notificationText("notifications/initialized"));
    return introduction;
  }

  /**
   * Relays a request.
   * @param headers sent along where the transport has headers
   * @returns the id it has on this connection
   */
  request(message: Message, pending: Pending, headers?: Readonly<Record<string, string>>): number {
    const id = this.#nextId++;
    const own = String(id);
    const token = pending.progressToken === undefined ? undefined : message.meta("progressToken");
    const text = message.withId(
      own,
      token === undefined ? undefined : { start: token.start, end: token.end, text: own },
    );
    if (this.era === "legacy") this.#start(id, text, pending, headers);
    else this.#startModern(id, text, message, pending, headers);
    return id;
  }

  /**
   * A request of the proxy's own.
   * @returns raw text of the result
   * @throws Fault when the server answers with an error or not at all
   */
  async call(method: string, params?: object): Promise<string> {
    const modern = this.era === "modern";
    const own = modern ? { ...params, _meta: ownEnvelope(this.#clientInfo, MODERN_VERSION) } : params;
    const message = await this.#ask(method, own, modern ? { "mcp-method": method } : undefined);
    if (message.result !== undefined) return message.slice(message.result);
    const error = message.error === undefined ? "" : message.slice(message.error);
    throw new Fault("upstream.protocol", `the server answered ${method} with an error`, { detail: error });
  }

  #ask(method: string, params: object | undefined, headers?: Readonly<Record<string, string>>): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const id = this.#nextId++;
    const text = JSON.stringify({ jsonrpc: "2.0", id, method, ...(params === undefined ? {} : { params }) });
    const pending: Pending = {
      progressToken: undefined,
      // A greeting may take as long as a package takes to download; who waits for it has a deadline of its own.
      paused: this.#introduction === undefined,
      related: (message) => this.#listener?.outside(message),
      answered: resolve,
      failed: reject,
    };
    this.#start(id, text, pending, headers);
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
    for (const [id, entry] of this.#entries.entries()) {
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
      const id = token === undefined ? Number.NaN : numberAt(message.text, token);
      const task = this.#tasks.size === 0 ? undefined : this.#tasks.get(id);
      if (task?.progressToken !== undefined) return task.related(message);
      const entry = this.#entries.get(id);
      // Progress nobody asked for, or for a request that is over, has no reader.
      if (entry === undefined || entry.pending.progressToken === undefined) return;
      entry.deadline = this.#deadline();
      return entry.pending.related(message);
    }
    // Wherever it comes: on a call's stream, a subscription's, or outside of all.
    if (message.method?.endsWith("/list_changed") === true) this.#listener?.listChanged?.(message.method);
    const entry = via === undefined ? this.#subscribed(message) : this.#entries.get(via);
    if (entry === undefined) this.#listener?.outside(message);
    else entry.pending.related(message);
  }

  /** Stateless servers name the subscription that a notification is for, or that they end. */
  #subscribed(message: Message): Entry | undefined {
    if (this.era === "legacy") return undefined;
    if (message.method === "notifications/cancelled") {
      const span = message.param("requestId");
      const id = span === undefined ? Number.NaN : Number(message.slice(span));
      this.#failed(id, new Fault("upstream.stopped", "the server has ended the subscription"));
      return undefined;
    }
    const span = message.meta(Meta.subscriptionId);
    return span === undefined ? undefined : this.#entries.get(Number(message.slice(span)));
  }

  #failed(id: number, fault: Fault): void {
    // A stateless server answers what it understands, with the id of the request.
    const strange = this.era === "modern" && (fault.status === 400 || fault.status === 404 || fault.status === 405);
    this.#take(id)?.pending.failed(strange ? this.#changed() : fault);
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
      doubted: () => void this.#check(),
      closed: (fault) => this.#ended(fault),
      noise: (line, from) => this.#listener?.noise(line, from),
    };
  }

  /** Asks the server for a sign, so that a client that only listens hears again when its session has to be made anew. */
  async #check(): Promise<void> {
    const fault = await this.call("ping").catch((error: unknown) => error);
    if (fault instanceof Fault && fault.code === "upstream.session_lost") this.#listener?.lost?.();
  }

  #start(id: number, text: string, pending: Pending, headers?: Readonly<Record<string, string>>): void {
    this.#entries.set(id, { pending, deadline: this.#deadline() });
    if (this.#closed) this.#failed(id, new Fault("upstream.stopped", "the server is not running", { notRun: true }));
    else this.#wire.request(id, text, headers === undefined ? undefined : { headers });
  }

  /** A stateless request says in headers too what it is; which arguments it repeats there is in the tool's schema. */
  #startModern(
    id: number,
    text: string,
    message: Message,
    pending: Pending,
    more: Readonly<Record<string, string>> | undefined,
  ): void {
    const { toolHeaders } = this.#shared;
    const method = message.method ?? "";
    const key = namedBy(method);
    const name = key === undefined ? undefined : message.stringParam(key);
    const headers: Record<string, string> = { ...more, "mcp-method": method };
    if (name !== undefined) headers["mcp-name"] = encodeHeader(name);
    if (method !== "tools/call" || name === undefined || !this.attributes)
      return this.#start(id, text, pending, headers);
    const span = message.param("arguments");
    const args = span === undefined ? undefined : message.slice(span);
    const send = (): void => {
      if (!this.#entries.has(id) || this.#closed) return;
      this.#wire.request(id, text, {
        headers: { ...headers, ...produceParamHeaders(toolHeaders.of(name) ?? [], args) },
      });
    };
    const list = (): void => {
      // Without a list the call goes as it is: the server says what it misses.
      void this.refreshTools()
        .then(() => toolHeaders.missing(name))
        .then(send, send);
    };
    this.#entries.set(id, { pending, deadline: this.#deadline(), again: list });
    if (this.#closed) this.#failed(id, new Fault("upstream.stopped", "the server is not running", { notRun: true }));
    else if (toolHeaders.of(name) === undefined) list();
    else send();
  }

  /** Reads the list of tools for what it says of headers. @throws Fault */
  async refreshTools(): Promise<void> {
    await readTools(this, (tool) => void this.#shared.toolHeaders.learn(tool));
  }

  #answered(message: Message): void {
    const id = message.idNumber;
    const code = message.error === undefined ? 0 : codeOf(message.slice(message.error));
    const again = code === ModernCode.headerMismatch ? this.#entries.get(id)?.again : undefined;
    const entry = again === undefined ? this.#take(id) : this.#entries.get(id);
    if (entry === undefined) return;
    if (again !== undefined) {
      entry.again = undefined;
      return again();
    }
    const modernOnly = code === ModernCode.headerMismatch || code === ModernCode.unsupportedVersion;
    const { pending } = entry;
    if (modernOnly && this.#introduction?.era === "legacy") return pending.failed(this.#changed());
    pending.answered(message);
    if (pending.outlives !== true) return;
    this.#tasks.set(id, pending);
    if (this.#tasks.size > MAX_TASKS) this.#tasks.delete(this.#tasks.keys().next().value ?? id);
  }

  #take(id: number): Entry | undefined {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    if (this.#entries.size === 0 && this.#idle.length > 0) for (const resolve of this.#idle.splice(0)) resolve();
    return entry;
  }

  /** The server does not speak the era any more that it was met in. */
  #changed(): Fault {
    this.#shared.memory.era = undefined;
    return new Fault(
      "upstream.session_lost",
      "the server speaks another version of the protocol now; it is greeted anew",
      {
        notRun: true,
      },
    );
  }

  #deadline(): number {
    return this.#timeoutMs === 0 ? Number.POSITIVE_INFINITY : this.#clock.now() + this.#timeoutMs;
  }
}
