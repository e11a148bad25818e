import type { Principal } from "../policy/principal.ts";
import type { Gate, Refusal } from "./gate.ts";

/** Several kinds of credentials at one endpoint: whoever one of them knows may come in. */
export class AnyGate implements Gate {
  readonly open = false;
  readonly login = false;
  readonly #gates: readonly Gate[];

  /** @param gates none of them open, and none with a login */
  constructor(gates: readonly Gate[]) {
    this.#gates = gates;
  }

  knows(principal: Principal): boolean {
    return this.#gates.some((gate) => gate.knows(principal));
  }

  check(header: string | null): Principal | Refusal {
    if (header === null) return "missing";
    for (const gate of this.#gates) {
      const found = gate.check(header);
      if (typeof found === "object") return found;
    }
    return "invalid";
  }
}
