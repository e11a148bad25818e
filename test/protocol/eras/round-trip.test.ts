import { describe, expect, test } from "bun:test";
import { canonical } from "../../../src/protocol/eras/canonical.ts";
import { legacyParams, modernParams, readEnvelope } from "../../../src/protocol/eras/envelope.ts";
import { toModernError } from "../../../src/protocol/eras/errors.ts";
import { discoverFromInitialize, initializeFromDiscover } from "../../../src/protocol/eras/hello.ts";
import { inputRequired, readInputRequired, retryParams } from "../../../src/protocol/eras/input.ts";
import { ENVELOPE_KEYS, CACHEABLE, QUESTIONS } from "../../../src/protocol/eras/names.ts";
import { getKey, removeKeys } from "../../../src/protocol/eras/object-text.ts";
import { resultType, toLegacyResult, toModernResult } from "../../../src/protocol/eras/results.ts";
import { Message } from "../../../src/protocol/message.ts";
import { Chance, REQUESTS, object, params, result, unknown, value } from "./generated.ts";

const COUNT = 1_000;

interface Rules {
  readonly legacyParams: typeof legacyParams;
  readonly toLegacyResult: typeof toLegacyResult;
}

const ENVELOPE = { capabilities: { elicitation: {} }, clientInfo: { name: "c", version: "1" }, logLevel: "info" };

/** Numbers, strings and order of members as they were; a meta that only we had filled may stand there or not. */
function same(a: string, b: string): boolean {
  return plain(a) === plain(b);
}

function plain(text: string): string {
  return canonical(getKey(text, "_meta") === "{}" ? removeKeys(text, (key) => key === "_meta") : text);
}

/** What is lost on the way there and back, for the messages of one seed. */
function losses(rules: Rules, seed: number): string[] {
  const chance = new Chance(seed);
  const lost: string[] = [];
  for (let n = 0; n < COUNT; n++) {
    const method = chance.of(REQUESTS);
    const asked = params(chance, method);
    const modern = modernParams(asked, ENVELOPE);
    const read = Message.read(`{"jsonrpc":"2.0","id":1,"method":"${method}","params":${modern}}`, "client");
    const envelope = typeof read === "string" ? read : readEnvelope(read);
    if (typeof envelope === "string") lost.push(`envelope of ${asked}: ${envelope}`);
    if (!same(rules.legacyParams(modern), asked)) lost.push(`params ${asked}`);
    for (const key of ENVELOPE_KEYS)
      if (rules.legacyParams(modern).includes(JSON.stringify(key))) lost.push(`${key} stays`);

    const answer = result(chance, method);
    const info = object({ name: '"s"', version: '"1"', ...unknown(chance) });
    const upward = toModernResult(method, answer, info);
    if (resultType(upward) !== "complete") lost.push(`resultType of ${answer}`);
    if (CACHEABLE.has(method) !== (getKey(upward, "ttlMs") === "0")) lost.push(`caching of ${method}`);
    if (!same(rules.toLegacyResult(method, upward), answer)) lost.push(`result ${answer}`);
  }
  return lost;
}

describe("translation there and back", () => {
  const rules: Rules = { legacyParams, toLegacyResult };

  for (const seed of [1, 2, 20260728]) {
    test(`loses nothing of ${COUNT} requests and results (seed ${seed})`, () => {
      expect(losses(rules, seed)).toEqual([]);
    });
  }

  test("a rule that is broken is found: parsing arguments, dropping unknown fields, keeping the envelope", () => {
    const parsed: Rules = { ...rules, legacyParams: (text) => JSON.stringify(JSON.parse(legacyParams(text))) };
    const dropping: Rules = {
      ...rules,
      toLegacyResult: (method, text) => removeKeys(toLegacyResult(method, text), (key) => key === "vendor/key"),
    };
    const keeping: Rules = { ...rules, legacyParams: (text) => text };
    for (const broken of [parsed, dropping, keeping]) expect(losses(broken, 1).length).toBeGreaterThan(0);
  });

  test("questions, answers, states and errors keep what they say", () => {
    const chance = new Chance(11);
    const codes = ["-32602", "-32002", "-32042", "-32050", "-32000", "7"];
    const modern = ["-32602", "-32602", "-32603", "-32603", "-32000", "7"];
    for (let n = 0; n < COUNT; n++) {
      const requests = Array.from({ length: 1 + chance.below(3) }, (_, index) => ({
        key: chance.of(["k", "a b", "ümläut", "k"]) + index,
        method: chance.of([...QUESTIONS]),
        params: chance.maybe() ? object({ message: '"m"', ...unknown(chance) }) : undefined,
      }));
      const state = chance.maybe() ? chance.of(["s", "", 'with "quotes"', "\ud800"]) : undefined;
      expect(readInputRequired(inputRequired(requests, state))).toEqual({ requests, state });

      const asked = params(chance, "tools/call");
      const answers = new Map(requests.map(({ key }) => [key, object({ action: '"accept"', ...unknown(chance) })]));
      const retry = retryParams(asked, answers, state);
      expect(plain(legacyParams(retry))).toBe(plain(asked));
      const given = getKey(retry, "inputResponses") ?? "";
      for (const [key, answer] of answers) expect(getKey(given, key)).toBe(answer);
      expect(getKey(retry, "requestState")).toBe(state === undefined ? undefined : JSON.stringify(state));

      const code = chance.below(codes.length);
      const error = object({ code: codes[code], message: '"m"', data: chance.maybe() ? value(chance) : undefined });
      const said = toModernError(error);
      expect(getKey(said, "code")).toBe(modern[code] ?? "");
      expect(removeKeys(said, (key) => key === "code")).toBe(removeKeys(error, (key) => key === "code"));
    }
  });

  test("what a server says of itself comes back, with the versions of the era", () => {
    const chance = new Chance(7);
    for (let n = 0; n < COUNT; n++) {
      const hello = object({
        protocolVersion: '"2025-11-25"',
        capabilities: object({ tools: "{}", ...unknown(chance, ["extensions", "tasks"]) }),
        serverInfo: object({ name: '"s"', version: '"1"', ...unknown(chance) }),
        instructions: chance.maybe() ? '"do"' : undefined,
        ...unknown(chance, ["_meta"]),
      });
      const discovered = discoverFromInitialize(hello);
      expect(getKey(discovered, "supportedVersions")).toBe('["2026-07-28"]');
      expect(getKey(discovered, "protocolVersion")).toBeUndefined();
      expect(plain(initializeFromDiscover(discovered, "2025-11-25"))).toBe(plain(hello));
    }
  });
});
