import { offeredLists } from "../protocol/capabilities.ts";
import type { ListenFilter } from "../protocol/eras/listen.ts";
import type { Message } from "../protocol/message.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Connection } from "../upstream/connection.ts";
import { Feed } from "./feed.ts";
import type { Listening } from "./listening.ts";
import type { Session } from "./session.ts";
import type { Subscriber } from "./subscriptions.ts";
import { Subscriptions } from "./subscriptions.ts";

export interface HearingDeps {
  readonly clock: Clock;
  /** The session that has the line for itself. */
  readonly exclusive: Session | undefined;
  readonly sessions: ReadonlySet<Session>;
  /** A stateless server says something outside requests. */
  heard(message: Message): void;
  /** It may have said something while nobody listened. */
  missed(): void;
}

/** What a server says outside requests on one line: who hears it, and what the server is asked to say. */
export class Hearing {
  readonly subscriptions = new Subscriptions();
  readonly listening = new Set<Listening>();
  readonly #deps: HearingDeps;
  #feed: Feed | undefined;
  #connection: Connection | undefined;

  constructor(deps: HearingDeps) {
    this.#deps = deps;
  }

  /** The connection has said hello. */
  opened(connection: Connection): void {
    this.#connection = connection;
    if (connection.era === "modern") {
      this.#feed = new Feed(connection, {
        clock: this.#deps.clock,
        wanted: () => this.#wishes(connection),
        heard: (message) => this.#deps.heard(message),
        missed: () => {
          this.#deps.missed();
          this.listsChanged(connection);
        },
      });
    }
    this.update();
  }

  closed(): void {
    this.#connection = undefined;
    this.#feed?.close();
    this.#feed = undefined;
  }

  /** Somebody's wish to hear anything at all may have changed. */
  update(): void {
    if (this.#feed !== undefined) return this.#feed.update();
    this.#connection?.listen(this.#deps.exclusive?.hasStream ?? true);
  }

  /** Lists may have changed while nobody could tell. */
  listsChanged(connection: Connection): void {
    const kinds = offeredLists(connection.introduction.capabilities);
    for (const session of this.#deps.sessions) session.listChanged(kinds);
    if (connection.era === "legacy") for (const listening of this.listening) listening.listChanged(kinds);
  }

  /** Somebody is gone who may have subscribed to resources. */
  gone(subscriber: Subscriber): void {
    const uris = this.subscriptions.drop(subscriber);
    if (this.#connection === undefined || uris.length === 0) return;
    if (this.#feed !== undefined) return this.#feed.update();
    for (const uri of uris) this.#connection.call("resources/unsubscribe", { uri }).catch(() => undefined);
  }

  /** Whether a stateless server agrees to tell of a resource that was just added; undefined for other servers. */
  covers(uri: string): Promise<boolean> | undefined {
    const feed = this.#feed;
    if (feed === undefined) return undefined;
    feed.update();
    return feed.covers(uri);
  }

  /** A resource is nobody's any more. @returns whether that was said to a stateless server */
  uncovers(): boolean {
    this.#feed?.update();
    return this.#feed !== undefined;
  }

  /** What a stateless server shall tell of outside requests. */
  #wishes(connection: Connection): ListenFilter {
    const lists = this.#deps.exclusive?.hasStream ?? true;
    const uris = this.subscriptions.uris();
    return {
      ...(lists ? { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true } : {}),
      ...(uris.length === 0 || connection.closed ? {} : { resourceSubscriptions: uris }),
    };
  }
}
