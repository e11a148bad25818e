import { Unanswerable } from "./authorize-request.ts";
import type { ClientDocuments } from "./client-documents.ts";
import type { Client, Clients } from "./clients.ts";
import type { MinuteLimit } from "./throttle.ts";
import type { Visitor } from "./visitor.ts";

export interface ClientLookupDeps {
  readonly clients: Clients;
  readonly documents: ClientDocuments;
  /** How often strangers may make us fetch a document. */
  readonly documentLimit: MinuteLimit;
}

/** Finds the client that somebody is sent by: one that was registered here, or one that describes itself at its address. */
export class ClientLookup {
  readonly #deps: ClientLookupDeps;

  constructor(deps: ClientLookupDeps) {
    this.#deps = deps;
  }

  /** @throws Unanswerable, DocumentError */
  async find(id: string, visitor: Visitor): Promise<Client> {
    const { clients, documents, documentLimit } = this.#deps;
    if (documents.isAddress(id)) {
      if (documentLimit.take(visitor.address) > 0)
        throw new Unanswerable("Too many logins from your address.", "later", undefined, { status: 429 });
      return await documents.find(id);
    }
    const client = clients.find(id);
    if (client === undefined) throw new Unanswerable("The app is not registered here (any more).", "client");
    return client;
  }
}
