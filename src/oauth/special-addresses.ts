import ipaddr from "ipaddr.js";

/** Whether an address is on the public internet: no special use of any kind (RFC 6890), in any way of writing it. */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  // Translators would turn these into any IPv4 address behind our back (RFC 6052, RFC 3056).
  if (address.kind() === "ipv6" && ["rfc6052", "6to4", "teredo", "rfc6145"].includes(address.range())) return false;
  return address.range() === "unicast";
}
