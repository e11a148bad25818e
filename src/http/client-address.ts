import ipaddr from "ipaddr.js";
import type { HeaderSource } from "../relay/ends.ts";
import type { Config } from "../config/config.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = [Address, number];

const LOOPBACK = ["127.0.0.0/8", "::1/128"];
const PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10", "100.64.0.0/10"];

const FORWARDING_HEADERS = [
  "forwarded",
  "x-forwarded-for",
  "x-forwarded",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-server",
  "x-forwarded-port",
  "x-real-ip",
  "cf-connecting-ip",
  "true-client-ip",
  "x-cluster-client-ip",
  "cf-ray",
  "via",
];

/** Headers that name the client alone, in the order in which they are asked when there is no chain of hops. */
const SINGLE_HEADERS = ["x-real-ip", "true-client-ip", "cf-connecting-ip", "x-cluster-client-ip"];

/** Who really calls, where something may stand in between. A header is believed only from a trusted peer. */
export class ClientAddress {
  readonly #trusted: readonly Range[];
  readonly #header: string | undefined;

  constructor(config: Pick<Config, "trustedProxies" | "clientAddressHeader" | "baseURL" | "tls">) {
    const behindProxy = config.baseURL?.startsWith("https:") === true && config.tls === undefined;
    const ranges = config.trustedProxies ?? (behindProxy ? [...LOOPBACK, ...PRIVATE] : LOOPBACK);
    this.#trusted = ranges.map((range) => (range.includes("/") ? parseRange(range) : wholeOf(ipaddr.process(range))));
    this.#header = config.clientAddressHeader?.toLowerCase();
  }

  /** @param peer address of the socket's other end; null on a Unix socket, whose peers count as trusted proxies */
  of(peer: string | null, headers: HeaderSource): string {
    const last = peer === null ? undefined : parse(peer);
    const known = last?.toString() ?? peer ?? "unix";
    if (last !== undefined && !this.#isTrusted(last)) return known;
    if (this.#header !== undefined) return parse(headers.get(this.#header)?.trim() ?? "")?.toString() ?? known;
    const hops = hopsOf(headers);
    if (hops !== undefined) return this.#lastForeign(hops) ?? known;
    for (const header of SINGLE_HEADERS) {
      const address = parse(headers.get(header)?.trim() ?? "");
      if (address !== undefined) return address.toString();
    }
    return known;
  }

  #lastForeign(hops: readonly string[]): string | undefined {
    let nearest: string | undefined;
    for (const hop of hops.toReversed()) {
      const address = parse(hop);
      // What stands before something that is no address was written by somebody unknown.
      if (address === undefined) return nearest;
      nearest = address.toString();
      if (!this.#isTrusted(address)) return nearest;
    }
    return nearest;
  }

  #isTrusted(address: Address): boolean {
    return this.#trusted.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits));
  }
}

/** A caller on this machine with nothing in between. */
export function isDirectLoopback(peer: string | null, headers: HeaderSource): boolean {
  if (peer === null || FORWARDING_HEADERS.some((name) => headers.get(name) !== null)) return false;
  return parse(peer)?.range() === "loopback";
}

function hopsOf(headers: HeaderSource): string[] | undefined {
  const chain = headers.get("x-forwarded-for");
  if (chain !== null) return chain.split(",").map((hop) => hop.trim());
  const forwarded = headers.get("forwarded");
  if (forwarded === null) return undefined;
  return forwarded.split(",").map((hop) => /(?:^|;)\s*for="?([^";]+)"?/i.exec(hop)?.[1]?.trim() ?? "");
}

/** An address as proxies write it: with a port, in brackets, or IPv4 mapped into IPv6. */
function parse(text: string): Address | undefined {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text;
  return ipaddr.isValid(bare) ? ipaddr.process(bare) : undefined;
}

function parseRange(text: string): Range {
  const [address, bits] = ipaddr.parseCIDR(text);
  return [address, bits];
}

function wholeOf(address: Address): Range {
  return [address, address.kind() === "ipv4" ? 32 : 128];
}
