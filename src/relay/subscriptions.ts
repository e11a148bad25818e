import type { Session } from "./session.ts";

/** Which sessions want to hear of which resources of one connection. */
export class Subscriptions {
  readonly #byUri = new Map<string, Set<Session>>();

  /** @returns whether the session did not have it before */
  add(uri: string, session: Session): boolean {
    const sessions = this.#byUri.get(uri) ?? new Set();
    const known = sessions.has(session);
    sessions.add(session);
    this.#byUri.set(uri, sessions);
    return !known;
  }

  /** @returns whether somebody else still wants it */
  remove(uri: string, session: Session): boolean {
    const sessions = this.#byUri.get(uri);
    if (sessions === undefined) return false;
    sessions.delete(session);
    if (sessions.size > 0) return true;
    this.#byUri.delete(uri);
    return false;
  }

  /** Removes a session everywhere and returns the resources that nobody wants any more. */
  drop(session: Session): string[] {
    const unwanted: string[] = [];
    for (const [uri, sessions] of this.#byUri) {
      if (!sessions.delete(session) || sessions.size > 0) continue;
      this.#byUri.delete(uri);
      unwanted.push(uri);
    }
    return unwanted;
  }

  /** Who hears of a change: subscribers of the resource, and of one that it is a part of (MCP, resources). */
  of(uri: string): Set<Session> {
    const sessions = new Set(this.#byUri.get(uri));
    for (const [whole, subscribers] of this.#byUri) {
      if (uri.startsWith(whole.endsWith("/") ? whole : `${whole}/`))
        for (const session of subscribers) sessions.add(session);
    }
    return sessions;
  }

  uris(): string[] {
    return [...this.#byUri.keys()];
  }
}
