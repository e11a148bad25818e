import ipaddr from "ipaddr.js";

const GLOBAL: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("2000::"), 3];

/** Whether an address is on the public internet: no special use of any kind (RFC 6890), in any way of writing it. */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  // Global addresses begin with 001 (RFC 4291 section 2.4). All else is of special use or of none yet, such as `::7f00:1`,
  // an old way of writing 127.0.0.1, which the library takes for an ordinary address.
  if (address instanceof ipaddr.IPv6 && !address.match(GLOBAL)) return false;
  // Translators would turn 6to4 and Teredo into any IPv4 address behind our back (RFC 3056, RFC 4380).
  return address.range() === "unicast";
}
