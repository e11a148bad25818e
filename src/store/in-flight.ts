/**
 * What is under way, by a key; it comes and goes at the rate of the calls. In a plain `Map` every table that was
 * outgrown leads to the next one, so once the collector has taken one for old, all that was ever in the later ones
 * outlives the quick collections: measured, all garbage of all calls did, and the thorough ones that followed had a
 * sixth of the CPU time. A new `Map` now and then cuts that chain.
 *
 * Its iterators see no more than what is there when the next entry comes.
 */
export class InFlight<K, V> {
  #map = new Map<K, V>();
  #removed = 0;

  get size(): number {
    return this.#map.size;
  }

  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  has(key: K): boolean {
    return this.#map.has(key);
  }

  set(key: K, value: V): void {
    // About as often as the table would be made anew anyway.
    if (this.#removed > 4 + 2 * this.#map.size) {
      this.#map = this.#map.size === 0 ? new Map() : new Map(this.#map);
      this.#removed = 0;
    }
    this.#map.set(key, value);
  }

  delete(key: K): boolean {
    this.#removed++;
    return this.#map.delete(key);
  }

  clear(): void {
    this.#map = new Map();
    this.#removed = 0;
  }

  values(): MapIterator<V> {
    return this.#map.values();
  }

  entries(): MapIterator<[K, V]> {
    return this.#map.entries();
  }

  [Symbol.iterator](): MapIterator<V> {
    return this.#map.values();
  }
}
