import { ANONYMOUS } from "../policy/principal.ts";
import type { Principal } from "../policy/principal.ts";
import { Accepted } from "./accepted.ts";
import type { Gate, Refusal } from "./gate.ts";

/**
 * In front of several servers at one URL: lets in whoever could use one of them at that one's own URL. Which of them it
 * is that a caller reaches, each of their gates says.
 */
export class JointGate implements Gate {
  readonly open: boolean;
  readonly login: boolean;
  readonly #gates: readonly Gate[];
  /** Asked first again, for each of the others would hash the credential to see that it is none of theirs. */
  readonly #takers = new Accepted<Gate>();
  readonly #audience: string;

  /** @param audience of the URL; a token for a single server is not good for all of them */
  constructor(gates: readonly Gate[], audience: string) {
    this.#gates = gates;
    this.#audience = audience;
    this.open = gates.every((gate) => gate.open);
    this.login = gates.some((gate) => gate.login);
  }

  knows(principal: Principal): boolean {
    return this.open ? principal.kind === "anonymous" : this.#gates.some((gate) => gate.knows(principal));
  }

  check(header: string | null): Principal | Refusal {
    if (this.open) return ANONYMOUS;
    if (header === null) return this.#gates.some((gate) => gate.open) ? ANONYMOUS : "missing";
    const again = this.#takers.get(header)?.check(header, this.#audience);
    if (typeof again === "object") return again;
    let refusal: Refusal = "invalid";
    for (const gate of this.#gates) {
      if (gate.open) continue;
      const found = gate.check(header, this.#audience);
      if (typeof found === "object") {
        this.#takers.set(header, gate);
        return found;
      }
      if (found === "insufficient") refusal = found;
    }
    // Also beside servers that are open to anybody: who presents something that is not good any more wants to know.
    return refusal;
  }

  learn(header: string | null): Promise<void> | undefined {
    const waits = this.#gates.flatMap((gate) => gate.learn?.(header) ?? []);
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
  }
}
