import type { Fault } from "../../src/upstream/fault.ts";
import type { WireListener } from "../../src/upstream/wire.ts";

export type WireEvent =
  | { readonly kind: "message"; readonly text: string; readonly via: number | undefined }
  | { readonly kind: "failed"; readonly id: number; readonly fault: Fault }
  | { readonly kind: "closed"; readonly fault: Fault | undefined }
  | { readonly kind: "noise"; readonly line: string; readonly from: "stderr" | "stdout" };

type Kind = WireEvent["kind"];
type Of<K extends Kind> = Extract<WireEvent, { kind: K }>;

/** Keeps everything a wire reports and lets a test wait for it. */
export class Recorder implements WireListener {
  readonly events: WireEvent[] = [];
  readonly #waiting = new Set<() => void>();

  message(text: string, via: number | undefined): void {
    this.#add({ kind: "message", text, via });
  }

  failed(id: number, fault: Fault): void {
    this.#add({ kind: "failed", id, fault });
  }

  closed(fault: Fault | undefined): void {
    this.#add({ kind: "closed", fault });
  }

  noise(line: string, from: "stderr" | "stdout"): void {
    this.#add({ kind: "noise", line, from });
  }

  all<K extends Kind>(kind: K): Of<K>[] {
    return this.events.filter((event): event is Of<K> => event.kind === kind);
  }

  /** The first event of a kind that fits, already there or still to come. */
  async first<K extends Kind>(kind: K, fits: (event: Of<K>) => boolean = () => true): Promise<Of<K>> {
    for (;;) {
      const found = this.all(kind).find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** The answer to one of our requests. @throws Fault when it fails */
  async answer(id: number): Promise<Of<"message">> {
    const answer = this.first("message", ({ text }) => {
      const message = JSON.parse(text) as { id?: unknown; method?: unknown };
      return message.id === id && message.method === undefined;
    });
    const failure = this.first("failed", (event) => event.id === id).then(({ fault }) => Promise.reject(fault));
    return await Promise.race([answer, failure]);
  }

  #add(event: WireEvent): void {
    this.events.push(event);
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
