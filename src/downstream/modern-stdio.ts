import type { Envelope } from "../protocol/eras/envelope.ts";
import { canonical } from "../protocol/eras/canonical.ts";
import { errorText } from "../protocol/errors.ts";
import type { Message } from "../protocol/message.ts";
import type { Caller, Local, Reply } from "../relay/ends.ts";
import type { ModernSide } from "../relay/served.ts";
import { readStateless } from "./modern-request.ts";

/** Wordings of what a client can do that are remembered; one that changes them with every request gains nothing by it. */
const MAX_LOCALS = 16;

/** One request in flight. */
interface Open {
  readonly listens: boolean;
  cancel(): void;
}

/**
 * Requests of the stateless era on standard input (MCP 2026-07-28, basic/transports/stdio): nothing goes before them,
 * there are no headers, and `notifications/cancelled` takes one back.
 */
export class ModernStdio {
  readonly #endpoint: ModernSide;
  readonly #caller: Caller;
  /** By raw id, the latest last: an id that is used again too early must not hide the earlier request for good. */
  readonly #open = new Map<string, Open[]>();
  #latest: Local | undefined;
  readonly #locals = new Map<string, Local>();

  constructor(endpoint: ModernSide, caller: Caller) {
    this.#endpoint = endpoint;
    this.#caller = caller;
  }

  /** @param reply hears of every request, but of one that listens only what it is told */
  request(message: Message, reply: Reply): void {
    const id = message.id ?? "null";
    const envelope = readStateless(message);
    if ("code" in envelope) return reply.finish(errorText(id, envelope.code, envelope.text, envelope.data));
    let over = false;
    let leave: (() => void) | undefined;
    const end = (): boolean => {
      if (over) return false;
      over = true;
      this.#close(id, open);
      return true;
    };
    const open: Open = {
      listens: message.method === "subscriptions/listen",
      cancel: () => {
        if (!end()) return;
        leave?.();
        reply.drop();
      },
    };
    this.#open.set(id, [...(this.#open.get(id) ?? []), open]);
    this.#endpoint.request({
      message,
      envelope,
      caller: { ...this.#caller, local: this.#local(envelope) },
      reply: {
        push: (text) => {
          if (!over) reply.push(text);
        },
        finish: (text) => {
          if (end()) reply.finish(text);
        },
        drop: () => {
          if (end()) reply.drop();
        },
      },
      onLeave: (act) => {
        leave = act;
        // Taken back before the server was reached.
        if (over) act();
      },
    });
  }

  /** Something for the server; from a client that has said nothing of itself yet there is no connection to send it on. */
  notification(message: Message): void {
    if (this.#latest !== undefined) this.#endpoint.notification(message, { ...this.#caller, local: this.#latest });
  }

  /** Takes a request back. @param id raw @returns whether there was one of that id */
  cancel(id: string): boolean {
    const open = this.#open.get(id)?.at(-1);
    open?.cancel();
    return open !== undefined;
  }

  /** The input has ended: what only listens would go on without end. */
  hush(): void {
    for (const open of this.#all()) if (open.listens) open.cancel();
  }

  /** The client is gone. */
  close(): void {
    for (const open of this.#all()) open.cancel();
  }

  #all(): Open[] {
    return [...this.#open.values()].flat();
  }

  #close(id: string, open: Open): void {
    const rest = (this.#open.get(id) ?? []).filter((each) => each !== open);
    if (rest.length === 0) this.#open.delete(id);
    else this.#open.set(id, rest);
  }

  #local({ capabilities, clientInfo }: Envelope): Local {
    const text = JSON.stringify([capabilities, clientInfo]);
    const known = this.#locals.get(text);
    this.#latest = known ?? { key: canonical(JSON.stringify(capabilities)), capabilities, clientInfo };
    if (known !== undefined) return known;
    if (this.#locals.size >= MAX_LOCALS) this.#locals.clear();
    this.#locals.set(text, this.#latest);
    return this.#latest;
  }
}
