import type { ListenFilter } from "../protocol/eras/listen.ts";
import { agreed } from "../protocol/eras/listen.ts";
import { modernParams } from "../protocol/eras/envelope.ts";
import { codeOf } from "../protocol/eras/errors.ts";
import { Meta } from "../protocol/eras/names.ts";
import { removeMeta } from "../protocol/eras/object-text.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { Message } from "../protocol/message.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Connection, Pending } from "../upstream/connection.ts";

const AGAIN_MS = 1_000;
const LONGEST_MS = 60_000;

export interface FeedDeps {
  readonly clock: Clock;
  /** What the sessions of the line want to hear at the moment. */
  wanted(): ListenFilter;
  heard(message: Message): void;
  /** Something may have been missed while nobody listened. */
  missed(): void;
}

/**
 * What a modern server says outside requests, for sessions of legacy clients: one `subscriptions/listen`, a new one
 * before the old is closed when the sessions' wishes change (MCP 2026-07-28, basic/patterns/subscriptions).
 */
export class Feed {
  readonly #connection: Connection;
  readonly #deps: FeedDeps;
  #key = "";
  #current: { id: number; acknowledged: Promise<readonly string[]> } | undefined;
  #stopRetry: (() => void) | undefined;
  #failures = 0;
  /** Nobody has listened for a while. */
  #gap = false;
  #closed = false;

  constructor(connection: Connection, deps: FeedDeps) {
    this.#connection = connection;
    this.#deps = deps;
  }

  /** To be called whenever the wishes may have changed. */
  update(): void {
    const filter = agreed(this.#deps.wanted(), this.#connection.introduction.capabilities);
    const key = JSON.stringify(filter);
    if (this.#closed || (key === this.#key && this.#stopRetry === undefined)) return;
    this.#key = key;
    this.#stopRetry?.();
    this.#stopRetry = undefined;
    this.#listen(filter);
  }

  /** Whether the server has agreed to tell of changes of a resource. */
  async covers(uri: string): Promise<boolean> {
    const uris = await (this.#current?.acknowledged ?? Promise.resolve([]));
    return uris.includes(uri);
  }

  close(): void {
    this.#closed = true;
    this.#stopRetry?.();
  }

  #listen(filter: ListenFilter): void {
    const before = this.#current;
    const closeBefore = (): void => {
      if (before !== undefined) this.#connection.cancel(before.id, "another subscription has taken its place");
    };
    if (Object.keys(filter).length === 0) {
      this.#current = undefined;
      return closeBefore();
    }
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    const params = modernParams(JSON.stringify({ notifications: filter }), {
      capabilities: {},
      clientInfo: undefined,
      logLevel: undefined,
    });
    const request = Message.read(
      `{"jsonrpc":"2.0","id":0,"method":"subscriptions/listen","params":${params}}`,
      "upstream",
    ) as Message;
    const mine = { id: 0, acknowledged: promise };
    const over = (final: boolean): void => {
      resolve([]);
      if (this.#current !== mine || this.#closed) return;
      this.#current = undefined;
      if (!final) this.#retry();
    };
    const pending: Pending = {
      progressToken: undefined,
      paused: true,
      related: (message) => {
        if (message.method === "notifications/subscriptions/acknowledged") {
          this.#failures = 0;
          closeBefore();
          // Not before: a server that ends every subscription at once would have the lists read again without end.
          if (this.#gap) this.#deps.missed();
          this.#gap = false;
          return resolve(subscribed(message));
        }
        if (this.#current === mine) this.#deps.heard(own(message));
      },
      // A server that refuses for good is not asked again.
      answered: (message) =>
        over(message.error !== undefined && codeOf(message.slice(message.error)) === ErrorCode.methodNotFound),
      failed: () => over(this.#connection.closed),
    };
    this.#current = mine;
    mine.id = this.#connection.request(request, pending);
  }

  #retry(): void {
    const pause = Math.min(AGAIN_MS * 2 ** this.#failures++, LONGEST_MS);
    this.#stopRetry = this.#deps.clock.after(pause, () => {
      this.#stopRetry = undefined;
      this.#gap = true;
      this.#listen(agreed(this.#deps.wanted(), this.#connection.introduction.capabilities));
    });
  }
}

function subscribed(acknowledged: Message): readonly string[] {
  const { notifications } = acknowledged.parsedParams();
  const uris = (notifications as ListenFilter | undefined)?.resourceSubscriptions;
  return Array.isArray(uris) ? uris : [];
}

/** A notification as a legacy server would have sent it. */
function own(message: Message): Message {
  if (message.params === undefined) return message;
  const params = removeMeta(message.slice(message.params), (key) => key === Meta.subscriptionId);
  return message.with({ ...message.params, text: params });
}
