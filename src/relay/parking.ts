import { randomUUID } from "node:crypto";
import { canonical } from "../protocol/eras/canonical.ts";
import { rawParam } from "../protocol/eras/envelope.ts";
import type { Message } from "../protocol/message.ts";
import type { Principal } from "../policy/principal.ts";
import { digestOf } from "../store/kept.ts";
import { Recent } from "../store/recent.ts";
import type { Sealer } from "../store/sealer.ts";
import type { Clock } from "../telemetry/clock.ts";

/** How long a client may take to come back with its answers. */
const LIFE_MS = 10 * 60_000;
/** Calls that wait for their clients: each holds a request of a server open. */
const MAX_PARKED = 1_000;
const MAX_PARKED_PER_PRINCIPAL = 32;
const MAX_USED = 100_000;

/** A call that waits for its client. */
export interface Parked {
  readonly principal: Principal;
  /** The client did not come back in time. */
  expired(): void;
}

/** What a state was made for; everything must be the same when it comes back. */
export interface Binding {
  readonly principal: Principal;
  readonly endpoint: string;
  readonly request: Message;
}

interface Sealed {
  /** `parked`: a call that goes on; `again`: one that is made anew; `wrapped`: the server's own state. */
  readonly k: "parked" | "again" | "wrapped";
  /** Principal, endpoint, method, digest of name and arguments, expiry. */
  readonly p: string;
  readonly e: string;
  readonly m: string;
  readonly d: string;
  readonly t: number;
  /** Name of the parked call or of this state; round; state of the server. */
  readonly n?: string;
  readonly r?: number;
  readonly s?: string;
}

/** What a state says that was accepted. */
export type State<T extends Parked> =
  | { readonly kind: "parked"; readonly call: T }
  | { readonly kind: "again" }
  | { readonly kind: "wrapped"; readonly state: string };

interface Place<T> {
  readonly call: T;
  readonly round: number;
  readonly stop: () => void;
}

/**
 * Calls of modern clients that wait for answers, and the sealed states that lead back to them (MCP 2026-07-28,
 * basic/patterns/mrtr: a state is attacker input). A state is good once, for who got it, for the same call.
 */
export class Parking<T extends Parked> {
  readonly #sealer: Sealer;
  readonly #clock: Clock;
  readonly #places = new Map<string, Place<T>>();
  readonly #names = new WeakMap<T, { readonly name: string; round: number }>();
  readonly #perPrincipal = new Map<string, number>();
  readonly #used = new Recent<true>(MAX_USED);

  constructor(sealer: Sealer, clock: Clock) {
    this.#sealer = sealer;
    this.#clock = clock;
  }

  /** @returns the state that leads back, or undefined when too many wait already */
  park(call: T, binding: Binding): string | undefined {
    const { id } = call.principal;
    const mine = this.#perPrincipal.get(id) ?? 0;
    if (this.#places.size >= MAX_PARKED || mine >= MAX_PARKED_PER_PRINCIPAL) return undefined;
    const named = this.#names.get(call) ?? { name: randomUUID(), round: 0 };
    named.round++;
    this.#names.set(call, named);
    const stop = this.#clock.after(LIFE_MS, () => {
      this.leave(call);
      call.expired();
    });
    this.#places.set(named.name, { call, round: named.round, stop });
    this.#perPrincipal.set(id, mine + 1);
    return this.#seal({ k: "parked", n: named.name, r: named.round }, binding);
  }

  /** Takes a call out of its place. */
  leave(call: T): void {
    const name = this.#names.get(call)?.name;
    const place = name === undefined ? undefined : this.#places.get(name);
    if (name === undefined || place === undefined) return;
    place.stop();
    this.#places.delete(name);
    const { id } = call.principal;
    const rest = (this.#perPrincipal.get(id) ?? 1) - 1;
    if (rest === 0) this.#perPrincipal.delete(id);
    else this.#perPrincipal.set(id, rest);
  }

  /** A state after which the same call is made once more: it had not run. */
  sealAgain(binding: Binding): string {
    return this.#seal({ k: "again", n: randomUUID() }, binding);
  }

  /** A server's own state, which the server cannot bind to a user it does not see. */
  wrap(state: string, binding: Binding): string {
    return this.#seal({ k: "wrapped", s: state }, binding);
  }

  /** Opens a state; undefined, without a reason that would help a forger, when it is not good for this. */
  open(text: string, binding: Binding): State<T> | undefined {
    const sealed = this.#read(text, binding);
    if (sealed === undefined) return undefined;
    if (sealed.k === "wrapped") return { kind: "wrapped", state: sealed.s ?? "" };
    const name = sealed.n ?? "";
    if (sealed.k === "again") {
      if (this.#used.has(name)) return undefined;
      this.#used.set(name, true);
      return { kind: "again" };
    }
    const call = this.#waiting(sealed);
    if (call === undefined) return undefined;
    this.leave(call);
    return { kind: "parked", call };
  }

  /** Whether a state leads back to a call that waits, which stays where it is. */
  leadsBack(text: string, binding: Binding): boolean {
    const sealed = this.#read(text, binding);
    return sealed !== undefined && this.#waiting(sealed) !== undefined;
  }

  #waiting(sealed: Sealed): T | undefined {
    const place = sealed.k === "parked" ? this.#places.get(sealed.n ?? "") : undefined;
    return place?.round === sealed.r ? place?.call : undefined;
  }

  /** What is sealed in a state that is good for this. */
  #read(text: string, binding: Binding): Sealed | undefined {
    const opened = this.#sealer.open(text);
    if (opened === undefined) return undefined;
    const sealed = JSON.parse(opened) as Sealed;
    const same =
      sealed.p === binding.principal.id &&
      sealed.e === binding.endpoint &&
      sealed.m === binding.request.method &&
      sealed.t > this.#clock.now() &&
      sealed.d === digest(binding.request);
    return same ? sealed : undefined;
  }

  #seal(part: Pick<Sealed, "k" | "n" | "r" | "s">, { principal, endpoint, request }: Binding): string {
    const whole: Sealed = {
      ...part,
      p: principal.id,
      e: endpoint,
      m: request.method ?? "",
      d: digest(request),
      t: this.#clock.now() + LIFE_MS,
    };
    return this.#sealer.seal(JSON.stringify(whole));
  }
}

/** What a call asks for, in one spelling. */
function digest(request: Message): string {
  const parts = ["name", "uri", "arguments"].map((key) => {
    const raw = rawParam(request, key);
    return raw === undefined ? "" : canonical(raw);
  });
  return digestOf(parts);
}
