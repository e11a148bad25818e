import { errorText, notificationText, resultText } from "../protocol/errors.ts";
import { codeOf, statusOf } from "../protocol/eras/errors.ts";
import { withSubscription } from "../protocol/eras/hello.ts";
import type { ListenFilter } from "../protocol/eras/listen.ts";
import { agreed, hears, listKinds, readListenFilter } from "../protocol/eras/listen.ts";
import { Meta } from "../protocol/eras/names.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { Principal } from "../policy/principal.ts";
import { mayHear } from "../policy/rights.ts";
import { Message } from "../protocol/message.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Connection, Pending } from "../upstream/connection.ts";
import type { Caller, Reply } from "./ends.ts";
import type { Line } from "./line.ts";
import type { Description } from "./line.ts";

const AGAIN_MS = 1_000;
const LONGEST_MS = 60_000;

/** What a listening client needs from the switchboard. */
export interface Source {
  /** Name of the server. */
  readonly name: string;
  readonly clock: Clock;
  /** The connection of this caller. @throws Fault */
  reach(caller: Caller): Promise<{ readonly connection: Connection; readonly line: Line }>;
  explain(error: unknown, caller: Caller): Description;
}

/**
 * One `subscriptions/listen` of a modern client (MCP 2026-07-28, basic/patterns/subscriptions). It outlives the server's
 * connection: what is behind it is opened again, and the client is told to look at its lists.
 */
export class Listening {
  readonly #request: Message;
  readonly #caller: Caller;
  readonly #reply: Reply;
  readonly #source: Source;
  readonly #filter: ListenFilter;
  #agreed: ListenFilter = {};
  #acknowledged = false;
  #over = false;
  #line: Line | undefined;
  #connection: Connection | undefined;
  #upstreamId: number | undefined;
  #failures = 0;
  #stopRetry: (() => void) | undefined;

  /** @returns a sentence when the request is none that could be answered */
  static open(request: Message, caller: Caller, reply: Reply, source: Source): Listening | string {
    const filter = readListenFilter(request);
    if (typeof filter === "string") return filter;
    const listening = new Listening(request, filter, caller, reply, source);
    listening.#start();
    return listening;
  }

  private constructor(request: Message, filter: ListenFilter, caller: Caller, reply: Reply, source: Source) {
    this.#request = request;
    this.#filter = filter;
    this.#caller = caller;
    this.#reply = reply;
    this.#source = source;
  }

  get principal(): Principal {
    return this.#caller.principal;
  }

  /** The client has left. */
  close(): void {
    if (this.#over) return;
    this.#leave();
    if (this.#upstreamId !== undefined) this.#connection?.cancel(this.#upstreamId, "the client has left");
  }

  /** The proxy ends: the client gets its answer. */
  finish(): void {
    if (this.#over) return;
    const upstreamId = this.#upstreamId;
    this.#leave();
    if (upstreamId !== undefined) this.#connection?.cancel(upstreamId);
    const meta = `{${JSON.stringify(Meta.subscriptionId)}:${this.#id}}`;
    this.#reply.finish(resultText(this.#id, `{"resultType":"complete","_meta":${meta}}`));
  }

  /** A notification of a legacy server, which knows nothing of subscriptions. */
  push(text: string): void {
    if (!this.#acknowledged || this.#over) return;
    const message = Message.read(text, "upstream");
    if (typeof message === "string" || !hears(this.#agreed, message)) return;
    this.#say(message);
  }

  /** Lists may have changed while nobody could tell. */
  listChanged(kinds: readonly string[]): void {
    const mine = new Set(listKinds(this.#agreed));
    for (const kind of kinds) if (mine.has(kind)) this.push(notificationText(`notifications/${kind}/list_changed`));
  }

  get #id(): string {
    return this.#request.id ?? "null";
  }

  #start(): void {
    this.#source.reach(this.#caller).then(
      ({ connection, line }) => {
        if (this.#over) return;
        this.#connection = connection;
        this.#line = line;
        line.listens(this);
        if (connection.era === "legacy") void this.#subscribe(connection, line);
        else this.#listen(connection);
      },
      (error: unknown) => {
        if (this.#over) return;
        if (this.#acknowledged) return this.#retry();
        const { message, data } = this.#source.explain(error, this.#caller);
        this.#leave();
        this.#reply.finish(errorText(this.#id, ErrorCode.internal, message, data), 503);
      },
    );
  }

  /** Legacy: each resource is subscribed to once for all who want it; lists are told of anyway. */
  async #subscribe(connection: Connection, line: Line): Promise<void> {
    const can = agreed(this.#filter, connection.introduction.capabilities);
    if (this.#acknowledged) return;
    const granted: string[] = [];
    await Promise.all(
      (can.resourceSubscriptions ?? []).map(async (uri) => {
        line.subscriptions.add(uri, this);
        try {
          await connection.call("resources/subscribe", { uri });
          granted.push(uri);
        } catch {
          line.subscriptions.remove(uri, this);
        }
      }),
    );
    if (this.#over) return;
    const order = (can.resourceSubscriptions ?? []).filter((uri) => granted.includes(uri));
    this.#agreed = can.resourceSubscriptions === undefined ? can : { ...can, resourceSubscriptions: order };
    this.#acknowledged = true;
    this.#say(
      Message.read(
        notificationText("notifications/subscriptions/acknowledged", { notifications: this.#agreed }),
        "upstream",
      ) as Message,
    );
  }

  #listen(connection: Connection): void {
    const pending: Pending = {
      progressToken: undefined,
      paused: true,
      related: (message) => this.#related(message),
      answered: (message) => this.#ended(message),
      failed: () => {
        if (!this.#over) this.#retry();
      },
    };
    this.#upstreamId = connection.request(this.#request, pending);
  }

  #related(message: Message): void {
    if (this.#over || message.kind === "request") return;
    if (message.method !== "notifications/subscriptions/acknowledged") {
      return this.#say(message);
    }
    this.#failures = 0;
    const { notifications } = message.parsedParams();
    this.#agreed = typeof notifications === "object" && notifications !== null ? notifications : {};
    if (!this.#acknowledged) {
      this.#acknowledged = true;
      return this.#say(message);
    }
    this.listChanged(listKinds(this.#agreed));
  }

  #ended(message: Message): void {
    if (this.#over) return;
    if (message.error !== undefined && this.#acknowledged) return this.#retry();
    this.#leave();
    const capabilities = this.#connection?.introduction.capabilities ?? {};
    const status =
      message.error === undefined
        ? 200
        : statusOf(codeOf(message.slice(message.error)), "subscriptions/listen", capabilities);
    const { result } = message;
    if (result === undefined) return this.#reply.finish(message.withId(this.#id), status);
    const text = withSubscription(message.slice(result), this.#id);
    this.#reply.finish(message.withId(this.#id, { ...result, text }));
  }

  /** The server's side is gone; the client's stream stays. */
  #retry(): void {
    this.#line?.unlistens(this);
    this.#upstreamId = undefined;
    const pause = Math.min(AGAIN_MS * 2 ** this.#failures++, LONGEST_MS);
    this.#stopRetry = this.#source.clock.after(pause, () => this.#start());
  }

  #say(message: Message): void {
    // It may have been agreed on when more was allowed.
    const own = message.method === "notifications/subscriptions/acknowledged";
    if (!own && !mayHear(this.principal.rights, this.#source.name, message.method)) return;
    const params = withSubscription(message.params === undefined ? undefined : message.slice(message.params), this.#id);
    const { params: at } = message;
    this.#reply.push(
      at === undefined
        ? `{"jsonrpc":"2.0","method":${JSON.stringify(message.method)},"params":${params}}`
        : message.edited({ ...at, text: params }),
    );
  }

  #leave(): void {
    this.#over = true;
    this.#stopRetry?.();
    this.#line?.unlistens(this);
  }
}
