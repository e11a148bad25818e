import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { Accounts } from "../../../src/auth/accounts.ts";
import type { Grant } from "../../../src/oauth/grant.ts";
import { Provider } from "../../../src/oauth/provider/provider.ts";
import { BareProvider } from "../../support/bare-provider.ts";
import { user } from "../../support/users.ts";
import { failure } from "../login.ts";

const MINUTE = 60_000;
const log = { debug() {}, info() {}, warn() {}, error() {} };

let there: BareProvider;
beforeAll(async () => {
  there = await BareProvider.start(undefined);
});
afterAll(() => there[Symbol.asyncDispose]());

let time: number;
let accounts: Accounts;
let provider: Provider;
let saved: number;
const sent: string[] = [];
const save = (): Promise<void> => {
  saved++;
  return Promise.resolve();
};

beforeEach(() => {
  time = Date.now();
  saved = 0;
  sent.length = 0;
  there.odd.clear();
  accounts = new Accounts();
  accounts.replace(new Map([["you@example.com", user()]]), undefined);
  const clock = { now: () => time, after: () => () => undefined, every: () => () => undefined };
  const config = {
    issuer: there.issuer,
    clientId: "proxy",
    clientSecret: "secret",
    audience: undefined,
    scopes: ["openid", "offline_access"],
    jwksUri: undefined,
  };
  provider = new Provider(config, { accounts, keys: [new Uint8Array(32)], clock, log, onEnd: () => undefined });
});

const grantOf = (refreshToken: string | undefined): Grant => ({
  id: "g",
  client: "c",
  user: "you@example.com",
  passwordMark: undefined,
  provided: provider.seal({ identity: { subject: "1", email: "you@example.com" }, refreshToken }),
  scopes: [],
  audience: undefined,
  made: time,
  code: undefined,
  pairs: [],
  retired: [],
});

const answer = (status: number, body: object): void =>
  void there.odd.set("/token", async (request) => {
    sent.push(new URLSearchParams(await request.text()).get("refresh_token") ?? "");
    return Response.json(body, { status });
  });

test("the provider is asked with the latest refresh token, by one request, and not more often than every five minutes", async () => {
  const grant = grantOf("first");
  answer(200, { access_token: "a", token_type: "Bearer", refresh_token: "second" });
  await provider.confirm(grant, save);
  expect(sent).toEqual([]);
  time += 6 * MINUTE;
  await Promise.all([provider.confirm(grant, save), provider.confirm(grant, save), provider.confirm(grant, save)]);
  expect([sent, saved]).toEqual([["first"], 1]);
  time += 6 * MINUTE;
  await provider.confirm(grant, save);
  expect(sent).toEqual(["first", "second"]);
  expect(JSON.stringify(grant)).not.toContain("second");
});

test("a login that is over there is over here", async () => {
  const grant = grantOf("first");
  answer(400, { error: "invalid_grant" });
  time += 6 * MINUTE;
  expect(await failure(provider.confirm(grant, save))).not.toBe("it did not fail");
});

test("so is one whose address belongs to somebody else now", async () => {
  const grant = grantOf("first");
  const idToken = await there.sign({ aud: "proxy", sub: "1", email: "other@example.com", email_verified: true });
  answer(200, { access_token: "a", token_type: "Bearer", id_token: idToken });
  time += 6 * MINUTE;
  expect(await failure(provider.confirm(grant, save))).not.toBe("it did not fail");
});

test("an outage is forgiven for a day", async () => {
  const grant = grantOf("first");
  answer(503, {});
  time += 23 * 60 * MINUTE;
  await provider.confirm(grant, save);
  time += 2 * 60 * MINUTE;
  expect(await failure(provider.confirm(grant, save))).toContain("cannot be used");
});

test("without a refresh token of the provider nobody is asked", async () => {
  time += 48 * 60 * MINUTE;
  await provider.confirm(grantOf(undefined), save);
  expect(sent).toEqual([]);
});
