import { createHash, createHmac, randomBytes } from "node:crypto";
import type { ApiKeyConfig } from "../config/config.ts";
import type { Principal } from "../policy/principal.ts";
import { Rights } from "../policy/rights.ts";
import { Accepted } from "./accepted.ts";
import type { Gate, Refusal } from "./gate.ts";

interface Known {
  readonly principal: Principal;
  readonly rights: Rights;
}

/**
 * The API keys, as they are now. Each key is somebody of its own, also where two belong to the same client: their scopes
 * may differ, and a session of one must not serve the other.
 */
export class ApiKeys implements Gate {
  readonly open = false;
  readonly login = false;
  /**
   * By a digest under a key that nobody else has: how long a look-up takes then tells nothing about the keys, because
   * nobody can choose what is compared.
   */
  #known = new Map<string, Known>();
  #ids = new Set<string>();
  readonly #secret = randomBytes(32);
  readonly #accepted = new Accepted<Principal>();

  /** @returns ids of principals whose rights have changed */
  replace(keys: ReadonlyMap<string, ApiKeyConfig>): string[] {
    const before = this.#known;
    const changed: string[] = [];
    this.#known = new Map();
    for (const [key, { clientId, scopes }] of keys) {
      // An empty text is never a credential, whatever a file says.
      if (key.trim() === "") continue;
      const digest = this.#digest(key);
      const rule = { allowed: scopes, denied: [] };
      const old = before.get(digest);
      const id = `key:${encodeURIComponent(clientId)}:${createHash("sha256").update(key).digest("hex").slice(0, 16)}`;
      if (old?.principal.id === id) {
        if (old.rights.replace(rule)) changed.push(id);
        this.#known.set(digest, old);
      } else {
        const rights = new Rights(rule);
        this.#known.set(digest, { rights, principal: { kind: "key", id, client: clientId, rights } });
      }
    }
    // What is still open for a key that is gone hears nothing any more.
    for (const [digest, { rights }] of before)
      if (!this.#known.has(digest)) rights.replace({ allowed: [], denied: [] });
    this.#ids = new Set([...this.#known.values()].map(({ principal }) => principal.id));
    this.#accepted.clear();
    return changed;
  }

  knows(principal: Principal): boolean {
    return this.#ids.has(principal.id);
  }

  check(header: string | null): Principal | Refusal {
    if (header === null) return "missing";
    const remembered = this.#accepted.get(header);
    if (remembered !== undefined) return remembered;
    const key = /^bearer +([^\s].*?) *$/i.exec(header)?.[1];
    const found = key === undefined ? undefined : this.#known.get(this.#digest(key))?.principal;
    if (found === undefined) return "invalid";
    this.#accepted.set(header, found);
    return found;
  }

  #digest(key: string): string {
    return createHmac("sha256", this.#secret).update(key).digest("base64");
  }
}
