import { LRUCache } from "lru-cache";

/** Characters of credentials that are remembered; by their number alone, who has one could fill the memory with blanks. */
const MAX_REMEMBERED = 1_024 * 1_024;

/**
 * Credentials that were good, by the header they came in, with who or what they were good for: so a credential is hashed
 * once and not at each request. Of bad ones nothing is remembered, so a flood of them displaces nothing.
 */
export class Accepted<T extends object | string> extends LRUCache<string, T> {
  constructor() {
    super({ maxSize: MAX_REMEMBERED, sizeCalculation: (_value, header) => header.length });
  }
}
