import { LRUCache } from "lru-cache";

/** What was used last, up to a number of entries. */
export class Recent<V extends string | number | true | object> extends LRUCache<string, V> {
  /** @param max entries; the one that was unused for longest makes room for another */
  constructor(max: number, options: Pick<LRUCache.OptionsBase<string, V, unknown>, "ttl" | "dispose"> = {}) {
    // Entries that weigh one each, and not a number of them: for that the library fills arrays of that length at once,
    // which took half of the start for bounds that only an attack ever reaches.
    super({ ...options, maxSize: max, sizeCalculation: () => 1 });
  }
}
