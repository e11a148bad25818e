import ipaddr from "ipaddr.js";

/** Where Claude's own requests come from, as published by Anthropic. */
const CLAUDE = ["160.79.104.0/21", "2607:6bc0::/48"];

/** Which addresses may register clients: `allowedIPs`. */
export class AddressRule {
  readonly #ranges: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];

  /** @param allowed addresses, ranges, or `claude`; empty: everybody */
  constructor(allowed: readonly string[]) {
    this.#ranges = allowed
      .flatMap((each) => (each === "claude" ? CLAUDE : [each]))
      .map((each) => {
        if (each.includes("/")) return ipaddr.parseCIDR(each);
        const address = ipaddr.process(each);
        return [address, address.kind() === "ipv4" ? 32 : 128];
      });
  }

  get restricts(): boolean {
    return this.#ranges.length > 0;
  }

  allows(address: string): boolean {
    if (!this.restricts) return true;
    if (!ipaddr.isValid(address)) return false;
    const found = ipaddr.process(address);
    return this.#ranges.some(([range, bits]) => range.kind() === found.kind() && found.match(range, bits));
  }
}
