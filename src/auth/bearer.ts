import { createHash, timingSafeEqual } from "node:crypto";
import { ANONYMOUS } from "../policy/principal.ts";
import type { Principal } from "../policy/principal.ts";
import { Accepted } from "./accepted.ts";
import type { Gate, Refusal } from "./gate.ts";

interface Known {
  readonly digest: Buffer;
  readonly principal: Principal;
}

/**
 * Checks the `Authorization` header of an endpoint that static tokens protect. Both `Bearer T` (RFC 6750 section 2.1)
 * and the bare `T` count, as the Go program's manual describes its list.
 */
export class TokenGate implements Gate {
  readonly login = false;
  readonly #known: readonly Known[] | undefined;
  readonly #accepted = new Accepted<Principal>();

  /** @param tokens undefined: the endpoint is open; an empty list lets nobody in */
  constructor(tokens: readonly string[] | undefined) {
    // An empty string is never a credential, whatever a configuration says.
    const usable = tokens?.map(withoutScheme).filter((token) => token !== "");
    this.#known = usable?.map((token) => {
      const digest = digestOf(token);
      return { digest, principal: { kind: "token", id: `token:${digest.toString("hex").slice(0, 16)}` } };
    });
  }

  get open(): boolean {
    return this.#known === undefined;
  }

  knows(principal: Principal): boolean {
    if (this.#known === undefined) return principal.kind === "anonymous";
    return this.#known.some((known) => known.principal.id === principal.id);
  }

  check(header: string | null): Principal | Refusal {
    if (this.#known === undefined) return ANONYMOUS;
    if (header === null) return "missing";
    const remembered = this.#accepted.get(header);
    if (remembered !== undefined) return remembered;
    const digest = digestOf(withoutScheme(header));
    let found: Principal | undefined;
    // Digests of equal length, every one of them: the time tells nothing of how much was right, or which one it was.
    for (const known of this.#known) if (timingSafeEqual(known.digest, digest)) found = known.principal;
    if (found !== undefined) this.#accepted.set(header, found);
    return found ?? "invalid";
  }
}

function withoutScheme(credential: string): string {
  return credential.trim().replace(/^bearer(\s+|$)/i, "");
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
