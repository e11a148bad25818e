import { afterAll, afterEach, beforeAll, beforeEach, expect, setSystemTime, test } from "bun:test";
import { Accounts } from "../../src/auth/accounts.ts";
import { ProviderDirectory } from "../../src/auth/provider-metadata.ts";
import { ProviderTokens } from "../../src/auth/provider-tokens.ts";
import { AUDIENCE, BareProvider } from "../support/bare-provider.ts";
import { user } from "../support/users.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const log = { debug() {}, info() {}, warn() {}, error() {} };

let provider: BareProvider;
let tokens: ProviderTokens;
const begun = Date.now();
let time = begun;

beforeAll(async () => {
  provider = await BareProvider.start(undefined);
});
beforeEach(async () => {
  pass(-time + begun);
  provider.odd.clear();
  provider.asked.length = 0;
  provider.keys.length = 0;
  await provider.addKey("key-1");
  const members = new Accounts();
  members.replace(new Map([["service", user()]]), undefined);
  // The library that keeps the keys looks at the clock of the process, so that is the one that is moved.
  const clock = { now: () => Date.now(), after: () => () => undefined, every: () => () => undefined };
  const config = {
    issuer: provider.issuer,
    clientId: "proxy",
    clientSecret: "secret",
    audience: AUDIENCE,
    scopes: ["openid"],
    jwksUri: undefined,
  };
  const directory = new ProviderDirectory(config, clock);
  tokens = new ProviderTokens({ directory, audience: AUDIENCE, members, clock, log, onEnd: () => undefined });
});
afterEach(() => void setSystemTime());
afterAll(() => provider[Symbol.asyncDispose]());

function pass(ms: number): void {
  time += ms;
  setSystemTime(new Date(time));
}
const sign = (kid: string): Promise<string> =>
  provider.sign({ sub: "service", exp: Math.floor(time / SECOND) + 86_400, jti: crypto.randomUUID() }, { kid });
const accepted = async (token: string): Promise<boolean> => {
  await tokens.learn(token);
  return tokens.bearer(token) !== "invalid";
};
const fetches = (): number => provider.times("/keys");

test("39: a new key is found once the cool-down is over, with one request", async () => {
  expect(await accepted(await sign("key-1"))).toBe(true);
  await provider.addKey("key-2");
  pass(5 * SECOND);
  const early = await sign("key-2");
  expect([await accepted(early), fetches()]).toEqual([false, 1]);
  pass(31 * SECOND);
  expect([await accepted(early), await accepted(await sign("key-2")), fetches()]).toEqual([true, true, 2]);
  expect(await accepted(await sign("key-1"))).toBe(true);
});

test("39: made-up keys fetch once in each cool-down", async () => {
  await accepted(await sign("key-1"));
  await provider.addKey("made-up", false);
  for (let n = 0; n < 12; n++) {
    pass(10 * SECOND);
    expect(await accepted(await sign("made-up"))).toBe(false);
  }
  expect(fetches()).toBeGreaterThan(1);
  expect(fetches()).toBeLessThanOrEqual(5);
});

test("39: a withdrawn key opens nothing after ten minutes, not even for a token that was good", async () => {
  const token = await sign("key-1");
  expect(await accepted(token)).toBe(true);
  provider.keys.length = 0;
  await provider.addKey("key-2");
  pass(11 * MINUTE);
  expect(await accepted(token)).toBe(false);
  expect(await accepted(await sign("key-2"))).toBe(true);
});

test("while the keys cannot be had, who was good a moment ago goes on, and nobody new comes in", async () => {
  const token = await sign("key-1");
  expect(await accepted(token)).toBe(true);
  provider.odd.set("/keys", () => new Response("down", { status: 503 }));
  pass(11 * MINUTE);
  expect([await accepted(token), await accepted(await sign("key-1"))]).toEqual([true, false]);
  provider.odd.clear();
  pass(11 * MINUTE);
  expect([await accepted(token), await accepted(await sign("key-1"))]).toEqual([true, true]);
});
