import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { Message } from "../../src/protocol/message.ts";
import { Parking } from "../../src/relay/parking.ts";
import type { Parked } from "../../src/relay/parking.ts";
import { Sealer } from "../../src/store/sealer.ts";
import type { Clock } from "../../src/telemetry/clock.ts";

/** A clock that a test turns. */
class TurnedClock implements Clock {
  #now = 1_000;
  readonly #due = new Set<{ readonly at: number; readonly act: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, act: () => void): () => void {
    const due = { at: this.#now + ms, act };
    this.#due.add(due);
    return () => this.#due.delete(due);
  }

  every(): () => void {
    return () => undefined;
  }

  turn(ms: number): void {
    this.#now += ms;
    for (const due of [...this.#due]) if (due.at <= this.#now && this.#due.delete(due)) due.act();
  }
}

class Call implements Parked {
  readonly principal: { readonly kind: "token"; readonly id: string };
  ended = 0;

  constructor(id: string) {
    this.principal = { kind: "token", id };
  }

  expired(): void {
    this.ended++;
  }
}

const REQUEST = Message.read(
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}',
  "client",
) as Message;

function set(): {
  parking: Parking<Call>;
  clock: TurnedClock;
  binding: (call: Call) => Parameters<Parking<Call>["park"]>[1];
} {
  const clock = new TurnedClock();
  const parking = new Parking<Call>(new Sealer("request state", [randomBytes(32)]), clock);
  return { parking, clock, binding: (call) => ({ principal: call.principal, endpoint: "e", request: REQUEST }) };
}

test("a call that nobody comes back to ends after 10 minutes, and its state with it", () => {
  const { parking, clock, binding } = set();
  const call = new Call("a");
  const state = parking.park(call, binding(call)) as string;
  clock.turn(10 * 60_000 - 1);
  expect(call.ended).toBe(0);
  clock.turn(1);
  expect(call.ended).toBe(1);
  expect(parking.open(state, binding(call))).toBeUndefined();
});

test("a call that was fetched in time does not end by time, and an earlier round's state is not good for the next", () => {
  const { parking, clock, binding } = set();
  const call = new Call("a");
  const first = parking.park(call, binding(call)) as string;
  expect(parking.open(first, binding(call))).toEqual({ kind: "parked", call });
  clock.turn(20 * 60_000);
  expect(call.ended).toBe(0);
  const second = parking.park(call, binding(call)) as string;
  expect(parking.open(first, binding(call))).toBeUndefined();
  expect(parking.open(second, binding(call))).toEqual({ kind: "parked", call });
});

test("32 calls of one caller wait and 1000 in all; those that leave make room", () => {
  const { parking, binding } = set();
  const park = (id: string): Call | undefined => {
    const call = new Call(id);
    return parking.park(call, binding(call)) === undefined ? undefined : call;
  };
  const mine = Array.from({ length: 33 }, () => park("a"));
  expect(mine.filter((call) => call !== undefined)).toHaveLength(32);
  parking.leave(mine[0] as Call);
  expect(park("a")).toBeDefined();
  const others = Array.from({ length: 1_000 }, (_, n) => park(`b${n}`));
  expect(others.filter((call) => call !== undefined)).toHaveLength(968);
});

test("states of another key, another life of the proxy, or gone stale are not good", () => {
  const { parking, clock, binding } = set();
  const call = new Call("a");
  const wrapped = parking.wrap("upstream's own", binding(call));
  expect(parking.open(wrapped, binding(call))).toEqual({ kind: "wrapped", state: "upstream's own" });
  const key = randomBytes(32);
  const before = new Parking<Call>(new Sealer("request state", [key]), clock);
  const after = new Parking<Call>(new Sealer("request state", [key]), clock);
  const state = before.park(call, binding(call)) as string;
  expect(after.open(state, binding(call))).toBeUndefined();
  expect(parking.open(state, binding(call))).toBeUndefined();
  const again = parking.sealAgain(binding(call));
  clock.turn(10 * 60_000);
  expect(parking.open(wrapped, binding(call))).toBeUndefined();
  expect(parking.open(again, binding(call))).toBeUndefined();
});
