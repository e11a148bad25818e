import type { Principal } from "../policy/principal.ts";

/** Who hears of changes: a session, or one listening client. */
export interface Subscriber {
  readonly principal: Principal;
  push(text: string): void;
}

/** Which subscribers want to hear of which resources of one connection. */
export class Subscriptions {
  readonly #byUri = new Map<string, Set<Subscriber>>();

  /** @returns whether the subscriber did not have it before */
  add(uri: string, subscriber: Subscriber): boolean {
    const subscribers = this.#byUri.get(uri) ?? new Set();
    const known = subscribers.has(subscriber);
    subscribers.add(subscriber);
    this.#byUri.set(uri, subscribers);
    return !known;
  }

  /** @returns whether somebody else still wants it */
  remove(uri: string, subscriber: Subscriber): boolean {
    const subscribers = this.#byUri.get(uri);
    if (subscribers === undefined) return false;
    subscribers.delete(subscriber);
    if (subscribers.size > 0) return true;
    this.#byUri.delete(uri);
    return false;
  }

  /** Removes a subscriber everywhere and returns the resources that nobody wants any more. */
  drop(subscriber: Subscriber): string[] {
    const unwanted: string[] = [];
    for (const [uri, subscribers] of this.#byUri) {
      if (!subscribers.delete(subscriber) || subscribers.size > 0) continue;
      this.#byUri.delete(uri);
      unwanted.push(uri);
    }
    return unwanted;
  }

  /** Who hears of a change: subscribers of the resource, and of one that it is a part of (MCP, resources). */
  of(uri: string): Set<Subscriber> {
    const hearers = new Set(this.#byUri.get(uri));
    for (const [whole, subscribers] of this.#byUri) {
      if (uri.startsWith(whole.endsWith("/") ? whole : `${whole}/`))
        for (const subscriber of subscribers) hearers.add(subscriber);
    }
    return hearers;
  }

  uris(): string[] {
    return [...this.#byUri.keys()];
  }
}
