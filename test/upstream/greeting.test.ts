import { expect, test } from "bun:test";
import { Message } from "../../src/protocol/message.ts";
import type { Clock } from "../../src/telemetry/clock.ts";
import { greet } from "../../src/upstream/greeting.ts";
import type { Ask, EraMemory } from "../../src/upstream/greeting.ts";

/** A clock that the test turns. */
class Turned implements Clock {
  readonly #due = new Map<() => void, number>();
  #now = 0;

  now(): number {
    return this.#now;
  }

  after(ms: number, call: () => void): () => void {
    this.#due.set(call, this.#now + ms);
    return () => this.#due.delete(call);
  }

  every(): () => void {
    return () => undefined;
  }

  async turn(ms: number): Promise<void> {
    this.#now += ms;
    for (const [call, at] of this.#due) {
      if (at > this.#now) continue;
      this.#due.delete(call);
      call();
    }
    await Bun.sleep(0);
  }
}

const DECLARATION = { clientInfo: { name: "x", version: "1" }, capabilities: {} };
const LEGACY = '{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}';
const MODERN = '{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{}}';

/** A server of which the test answers each request by hand. */
class Asked {
  readonly methods: string[] = [];
  readonly #open = new Map<string, (message: Message) => void>();

  readonly ask: Ask = (method) => {
    this.methods.push(method);
    return new Promise((resolve) => this.#open.set(method, resolve));
  };

  async answer(method: string, member: string): Promise<void> {
    this.#open.get(method)?.(Message.read(`{"jsonrpc":"2.0","id":1,${member}}`, "upstream") as Message);
    await Bun.sleep(0);
  }
}

const UNKNOWN = '"error":{"code":-32601,"message":"no"}';

test("a server that was legacy, could be asked, and is silent for long is asked for the other era beside", async () => {
  const memory: EraMemory = { era: undefined };
  const clock = new Turned();
  const before = new Asked();
  const first = greet(before.ask, DECLARATION, memory, clock);
  await before.answer("server/discover", UNKNOWN);
  await before.answer("initialize", `"result":${LEGACY}`);
  expect((await first).era).toBe("legacy");

  const after = new Asked();
  const second = greet(after.ask, DECLARATION, memory, clock);
  await clock.turn(19_000);
  expect(after.methods).toEqual(["initialize"]);
  await clock.turn(1_000);
  expect(after.methods).toEqual(["initialize", "server/discover"]);
  await after.answer("server/discover", `"result":${MODERN}`);
  expect((await second).era).toBe("modern");
  expect(memory.era).toBe("modern");
});

test("its own answer counts as much, however late, and a no to the other era decides nothing", async () => {
  const memory: EraMemory = { era: "legacy", bearsProbe: true };
  const clock = new Turned();
  const server = new Asked();
  const greeted = greet(server.ask, DECLARATION, memory, clock);
  await clock.turn(20_000);
  await server.answer("server/discover", UNKNOWN);
  await clock.turn(600_000);
  await server.answer("initialize", `"result":${LEGACY}`);
  expect((await greeted).era).toBe("legacy");
  expect(memory.era).toBe("legacy");
});

test("a server that once ended when it was asked before initialize is only waited for", async () => {
  const memory: EraMemory = { era: "legacy" };
  const clock = new Turned();
  const server = new Asked();
  const greeted = greet(server.ask, DECLARATION, memory, clock);
  await clock.turn(600_000);
  expect(server.methods).toEqual(["initialize"]);
  await server.answer("initialize", `"result":${LEGACY}`);
  expect((await greeted).era).toBe("legacy");
});
