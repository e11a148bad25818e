import { randomBytes } from "node:crypto";
import type { StateStore } from "../store/state-store.ts";
import type { Clock } from "../telemetry/clock.ts";
import { digest } from "./digest.ts";
import { isClient, readRecords } from "./records.ts";
import type { ClientMetadata } from "./registration.ts";

/** A registered client without a login in this time is forgotten: anybody may register. */
const UNUSED_MS = 24 * 3_600_000;
/** Registered clients in total. */
const MAX_CLIENTS = 10_000;

/** A client that may ask for logins, however it became known. */
export interface Client {
  readonly id: string;
  /** When it registered, in milliseconds. */
  readonly made: number;
  readonly secretDigest: string | undefined;
  readonly metadata: ClientMetadata;
  /** Host of its metadata document, which proves who it is; undefined where it only says so of itself. */
  readonly verifiedHost?: string | undefined;
}

/** The clients that registered themselves (RFC 7591). */
export class Clients {
  readonly #store: StateStore;
  readonly #clock: Clock;
  readonly #hasGrant: (clientId: string) => boolean;
  /** In the order they came. */
  readonly #clients = new Map<string, Client>();

  constructor(store: StateStore, clock: Clock, hasGrant: (clientId: string) => boolean) {
    this.#store = store;
    this.#clock = clock;
    this.#hasGrant = hasGrant;
  }

  /** @returns how many could not be read, and are left as they are */
  async load(): Promise<number> {
    const { sound, damaged } = readRecords(await this.#store.scan(["client"]), isClient);
    for (const client of sound.toSorted((a, b) => a.made - b.made)) this.#clients.set(client.id, client);
    return damaged;
  }

  find(id: string): Client | undefined {
    const client = this.#clients.get(id);
    return client !== undefined && this.#forgotten(client) ? undefined : client;
  }

  /** @returns the client, and its secret, which is told only now */
  async register(metadata: ClientMetadata): Promise<{ client: Client; secret: string | undefined }> {
    const secret = metadata.token_endpoint_auth_method === "none" ? undefined : randomBytes(32).toString("base64url");
    const client: Client = {
      id: randomBytes(16).toString("base64url"),
      made: this.#clock.now(),
      secretDigest: secret === undefined ? undefined : digest(secret),
      metadata,
    };
    const dropped = this.#makeRoom();
    await Promise.all([this.add(client), dropped]);
    return { client, secret };
  }

  async add(client: Client): Promise<void> {
    this.#clients.set(client.id, client);
    // Without an expiry of its own: whether it is still used is known by its grants only.
    await this.#store.set(["client", client.id], JSON.stringify(client));
  }

  async sweep(): Promise<void> {
    const old = [...this.#clients.values()].filter((client) => this.#forgotten(client));
    await Promise.all(old.map((client) => this.#remove(client.id)));
  }

  #forgotten(client: Client): boolean {
    return this.#clock.now() - client.made > UNUSED_MS && !this.#hasGrant(client.id);
  }

  async #makeRoom(): Promise<void> {
    if (this.#clients.size < MAX_CLIENTS) return;
    for (const id of this.#clients.keys()) if (!this.#hasGrant(id)) return await this.#remove(id);
  }

  async #remove(id: string): Promise<void> {
    this.#clients.delete(id);
    await this.#store.delete(["client", id]);
  }
}
