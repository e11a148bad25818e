import { Fault } from "./fault.ts";
import { HttpWire } from "./http-wire.ts";
import type { HttpWireOptions } from "./http-wire.ts";
import { SseWire } from "./sse-wire.ts";
import type { RequestOptions, Wire, WireListener } from "./wire.ts";

export type HttpKind = "http" | "sse";

/** What was found out about one server, for its next connections. */
export interface Memory {
  kind: HttpKind | undefined;
}

/**
 * A server whose transport nobody declared: Streamable HTTP, and where the first request is refused with 4xx, HTTP+SSE
 * (MCP 2025-11-25, basic/transports, "Backwards Compatibility").
 */
export class DetectWire implements Wire {
  readonly #options: HttpWireOptions;
  readonly #memory: Memory;
  #wire: Wire;
  #listener: WireListener | undefined;
  #first: { readonly id: number; readonly text: string; readonly options: RequestOptions | undefined } | undefined;
  #switching = false;
  #decided: boolean;
  #closing = false;

  constructor(options: HttpWireOptions, memory: Memory) {
    this.#options = options;
    this.#memory = memory;
    this.#decided = memory.kind !== undefined;
    this.#wire = memory.kind === "sse" ? new SseWire(options) : new HttpWire(options);
  }

  get attributes(): boolean {
    return this.#wire.attributes;
  }

  async open(listener: WireListener): Promise<void> {
    this.#listener = listener;
    const known = this.#decided;
    try {
      await this.#wire.open(this.#listening());
    } catch (error) {
      // The server may have been replaced by a newer one: next time it is looked at again.
      if (known) this.#memory.kind = undefined;
      throw error;
    }
  }

  request(id: number, text: string, options?: RequestOptions): void {
    // The question which era is spoken decides nothing by being refused: it is one more thing old servers do not know.
    if (!this.#decided && options?.headers?.["mcp-method"] === undefined) this.#first ??= { id, text, options };
    this.#wire.request(id, text, options);
  }

  send(text: string): void {
    this.#wire.send(text);
  }

  abandon(id: number): void {
    this.#wire.abandon(id);
  }

  initialized(protocolVersion: string): void {
    this.#wire.initialized(protocolVersion);
  }

  listen(on: boolean): void {
    this.#wire.listen(on);
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#wire.close();
  }

  #listening(): WireListener {
    return {
      message: (text, via) => {
        this.#decide("http");
        this.#listener?.message(text, via);
      },
      failed: (id, fault) => {
        if (this.#mayBeSse(id, fault)) void this.#switch(fault);
        else {
          // A refusal of the first request of a remembered kind: next time it is looked at again.
          if (isRefusal(fault) && this.#memory.kind === "http") this.#memory.kind = undefined;
          this.#listener?.failed(id, fault);
        }
      },
      parked: (id) => this.#listener?.parked?.(id),
      doubted: () => this.#listener?.doubted?.(),
      closed: (fault) => {
        if (!this.#switching) this.#listener?.closed(fault);
      },
      noise: (line, from) => this.#listener?.noise(line, from),
    };
  }

  #mayBeSse(id: number, fault: Fault): boolean {
    return !this.#decided && !this.#closing && this.#first?.id === id && isRefusal(fault);
  }

  #decide(kind: HttpKind): void {
    if (this.#decided) return;
    this.#decided = true;
    this.#first = undefined;
    this.#memory.kind = kind;
  }

  async #switch(refusal: Fault): Promise<void> {
    const { id, text, options } = this.#first ?? { id: 0, text: "", options: undefined };
    const before = this.#wire;
    const sse = new SseWire(this.#options);
    this.#switching = true;
    this.#wire = sse;
    await before.close();
    this.#switching = false;
    try {
      await sse.open(this.#listening());
    } catch (error) {
      const also = error instanceof Fault ? error.message : String(error);
      const detail = [refusal.detail, `as HTTP+SSE: ${also}`].filter(Boolean).join("\n");
      this.#first = undefined;
      this.#decided = true;
      const { code, message, notRun } = refusal;
      return this.#listener?.failed(id, new Fault(code, message, { detail, notRun }));
    }
    this.#decide("sse");
    sse.request(id, text, options);
  }
}

/** Whether a status says that this is not the way to ask; 401, 403 and 429 say something else. */
function isRefusal({ code, status = 0 }: Fault): boolean {
  return code === "upstream.http_status" && status >= 400 && status < 500 && status !== 429;
}
