import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import type { Call } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import type { StdioPeer } from "../fixtures/relay-stdio.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient } from "./raw-client.ts";
import type { Inbox } from "./raw-client.ts";

const ROUNDS = 3;
const CLIENTS = 6;
const CALLS = 8;

/** Chance that is the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("servers that fall over under load", () => {
  const clean = new AsyncDisposableStack();
  const servers = { stdio: new RelayServer(), http: new RelayServer() };
  let proxy: RunningProxy;
  let http: RelayHttp;

  beforeAll(async () => {
    http = clean.use(new RelayHttp(servers.http));
    const { entry } = clean.use(new RelayStdio(servers.stdio));
    proxy = clean.use(await startProxy({ stdio: { ...entry, isolation: "session" }, http: http.entry }));
  });
  afterAll(() => clean.disposeAsync());

  for (const transport of ["stdio", "http"] as const) {
    test(`over ${transport}: every call ends, no answer, progress or question reaches another client`, async () => {
      const server = servers[transport];
      const random = seeded(7);
      const capabilities = '{"sampling":{}}';
      const clients = await Promise.all(
        Array.from({ length: CLIENTS }, () => RawClient.open(`${proxy.url}/${transport}/mcp`, { capabilities })),
      );
      for (let round = 0; round < ROUNDS; round++) {
        const sent = clients.flatMap((raw, who) =>
          Array.from({ length: CALLS }, (_, id) => {
            const nonce = `nonce ${round}.${who}.${id}.`;
            return {
              raw,
              nonce,
              inbox: raw.call(`round-${round}`, `{"nonce":"${nonce}"}`, String(id), '{"progressToken":1}'),
            };
          }),
        );
        const calls = await Promise.all(sent.map(() => server.call(`round-${round}`)));
        for (const call of calls) act(call, random());
        // Some of the links break in the middle of it.
        if (transport === "stdio")
          for (const peer of new Set(calls.map((call) => call.peer))) if (random() < 0.5) (peer as StdioPeer).exit(5);
        if (transport !== "stdio") http.forget();
        for (const call of calls) call.result(`{"nonce":"${String(call.args["nonce"])}"}`);
        for (const { inbox, nonce } of sent) await check(inbox, nonce);
        for (const raw of clients)
          expect((await raw.call("echo", "{}", '"again"').answer()).message.error).toBeUndefined();
      }
    });
  }

  /** A little noise of a call that everybody can tell whose it is. */
  function act(call: Call, chance: number): void {
    const nonce = String(call.args["nonce"]);
    if (chance < 0.3) call.progress(`"progress":1,"message":"${nonce}"`);
    else if (chance < 0.6) {
      call.say(`{"jsonrpc":"2.0","id":"${nonce}","method":"sampling/createMessage","params":{"nonce":"${nonce}"}}`);
    }
  }

  async function check(inbox: Inbox, nonce: string): Promise<void> {
    const { message } = await inbox.answer();
    if (message.error === undefined) expect(message.result).toEqual({ nonce });
    else expect(message.error.message).toMatch(/exit code 5|session|stopped|connection/);
    // Questions over stdio name no call; they may come with any call of the same client, never of another.
    const [round, who] = nonce.slice("nonce ".length).split(".");
    for (const text of inbox.texts) {
      for (const [, seenRound, seenWho] of text.matchAll(/nonce (\d+)\.(\d+)\./g))
        expect([seenRound, seenWho]).toEqual([round, who]);
    }
  }
});
