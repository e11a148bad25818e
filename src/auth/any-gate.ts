import type { Principal } from "../policy/principal.ts";
import { Accepted } from "./accepted.ts";
import type { Gate, Refusal } from "./gate.ts";

/** Several kinds of credentials at one endpoint: whoever one of them knows may come in. */
export class AnyGate implements Gate {
  readonly open = false;
  readonly login = false;
  readonly #gates: readonly Gate[];
  /** Asked first again, for each of the others would hash the credential to see that it is none of theirs. */
  readonly #takers = new Accepted<Gate>();

  /** @param gates none of them open, and none with a login */
  constructor(gates: readonly Gate[]) {
    this.#gates = gates;
  }

  knows(principal: Principal): boolean {
    return this.#gates.some((gate) => gate.knows(principal));
  }

  check(header: string | null): Principal | Refusal {
    if (header === null) return "missing";
    const again = this.#takers.get(header)?.check(header);
    if (typeof again === "object") return again;
    for (const gate of this.#gates) {
      const found = gate.check(header);
      if (typeof found !== "object") continue;
      this.#takers.set(header, gate);
      return found;
    }
    return "invalid";
  }
}
