import { describe, expect, test } from "bun:test";
import { ModernClient } from "./modern-client.ts";
import type { Posted } from "./modern-client.ts";
import { overBoth } from "./relay-contract.ts";
import type { Said } from "./raw-client.ts";

interface Asking {
  readonly resultType: string;
  readonly inputRequests: Record<string, { method: string; params?: Record<string, unknown> }>;
  readonly requestState: string;
}

function asking(said: Said): Asking {
  expect(said.message.result).toHaveProperty("resultType", "input_required");
  expect(said.message.result).toHaveProperty("requestState");
  return said.message.result as Asking;
}

const ELICIT = '{"message":"who?","requestedSchema":{"type":"object","properties":{}},"big":1.0}';
const ACCEPT = '{"action":"accept","content":{"n":1.0}}';

function state({ requestState }: Asking): string {
  return `"requestState":${JSON.stringify(requestState)}`;
}

/** Answers everything with what fits nothing but elicitation. */
function retry(client: ModernClient, tool: string, asked: Asking, id = "2", extra = ""): Posted {
  const answers = Object.keys(asked.inputRequests).map((key) => `"${key}":${ACCEPT}`);
  return client.call(tool, `,"inputResponses":{${answers.join(",")}${extra}},${state(asked)}`, id);
}

const TOKENS = ["dialogue-token-1", "dialogue-token-2"] as const;
const as = (token: string): { headers: Record<string, string> } => ({ headers: { authorization: `Bearer ${token}` } });

overBoth(
  "questions to stateless clients",
  (subject) => {
    const client = (): ModernClient => new ModernClient(subject().url, as(TOKENS[0]));

    test("a question is the answer to the call, and the retry carries the rest", async () => {
      const first = client().call("asks");
      const call = await subject().server.call("asks");
      const answered = call.ask("elicitation/create", ELICIT, '"q1"');
      const said = await first.answer();
      const asked = asking(said);
      expect(asked.inputRequests).toEqual({
        k1: { method: "elicitation/create", params: JSON.parse(ELICIT) as Record<string, unknown> },
      });
      expect(said.text).toContain('"big":1.0');
      const second = retry(client(), "asks", asked, '"another id"', ',"unknown":5');
      expect((await answered).text).toContain(`"result":${ACCEPT}`);
      call.say('{"jsonrpc":"2.0","method":"vendor/own","params":{"big":1.0}}');
      call.result('{"content":[],"big":1.0}');
      const { text, message } = await second.answer();
      expect(message).toMatchObject({ id: "another id", result: { resultType: "complete" } });
      expect(text).toContain('"big":1.0');
    });

    test("questions that come together are asked together, those that follow in the next round", async () => {
      const first = client().call("rounds");
      const call = await subject().server.call("rounds");
      const answers = [call.ask("elicitation/create", ELICIT, "1"), call.ask("roots/list", "{}", "2")];
      if (subject().transport === "stdio") void answers.pop();
      const asked = asking(await first.answer());
      const methods = Object.values(asked.inputRequests).map(({ method }) => method);
      // Roots are not for children that were not told of them.
      expect(methods).toEqual(
        subject().transport === "stdio" ? ["elicitation/create"] : ["elicitation/create", "roots/list"],
      );
      const roots = subject().transport === "stdio" ? "" : ',"k2":{"roots":[]}';
      const second = client().call("rounds", `,"inputResponses":{"k1":${ACCEPT}${roots}},${state(asked)}`, "2");
      await Promise.all(answers);
      const last = call.ask("elicitation/create", ELICIT, "3");
      const again = asking(await second.answer());
      expect(again.requestState).not.toBe(asked.requestState);
      const third = retry(client(), "rounds", again, "3");
      await last;
      call.result('{"content":[]}');
      expect((await third.answer()).message.result).toMatchObject({ resultType: "complete" });
    });

    test("an answer that is missing or misshapen is asked for again, 3 times at most", async () => {
      const first = client().call("bad-answers");
      const call = await subject().server.call("bad-answers");
      const answered = call.ask("elicitation/create", ELICIT, '"q2"');
      let asked = asking(await first.answer());
      for (const responses of ["{}", '{"k1":5}', '{"k1":{"action":"maybe"}}']) {
        asked = asking(
          await client()
            .call("bad-answers", `,"inputResponses":${responses},${state(asked)}`)
            .answer(),
        );
      }
      const last = await client()
        .call("bad-answers", `,"inputResponses":{},${state(asked)}`)
        .answer();
      expect(last.message.error?.code).toBe(-32602);
      expect((await answered).message.result).toEqual({ action: "cancel" });
      await call.cancelled();
    });

    test("a state is good once, for its caller, its call, its endpoint, and as it was given; the call never runs anew", async () => {
      const first = client().call("guarded");
      const call = await subject().server.call("guarded");
      const answered = call.ask("elicitation/create", ELICIT, '"q3"');
      const asked = asking(await first.answer());
      const responses = `"inputResponses":{"k1":${ACCEPT}}`;
      const { requestState } = asked;
      const forged = ["x", "", `${requestState.slice(0, -2)}AA`, `${requestState}=`, requestState.slice(4)].map(
        (text) => client().call("guarded", `,${responses},"requestState":${JSON.stringify(text)}`),
      );
      const foreign = [
        new ModernClient(subject().url, as(TOKENS[1])).call("guarded", `,${responses},${state(asked)}`),
        client().call("other", `,${responses},${state(asked)}`),
        client().request("tools/call", `"name":"guarded","arguments":{"a":1},${responses},${state(asked)}`, {
          "mcp-name": "guarded",
        }),
        client().request("prompts/get", `"name":"guarded","arguments":{},${responses},${state(asked)}`, {
          "mcp-name": "guarded",
        }),
        client().request("tools/call", `"name":"guarded","arguments":{},${responses},"requestState":5`, {
          "mcp-name": "guarded",
        }),
      ];
      const errors = await Promise.all(
        [...forged, ...foreign].map(async (inbox) => (await inbox.answer()).message.error),
      );
      for (const error of errors)
        expect(error).toEqual({ code: -32602, message: "requestState is not valid for this call" });

      const good = retry(client(), "guarded", asked);
      await answered;
      const replayed = await retry(client(), "guarded", asked).answer();
      expect(replayed.message.error?.code).toBe(-32602);
      call.result('{"content":[]}');
      expect((await good.answer()).message).toHaveProperty("result");
      expect((await retry(client(), "guarded", asked).answer()).message.error?.code).toBe(-32602);
      const runs = subject().server.heard.filter(({ message }) => message.params?.["name"] === "guarded");
      expect(runs).toHaveLength(1);
    });

    test("the same call in another spelling is the same call", async () => {
      const args = (text: string, more = ""): Posted =>
        client().request("tools/call", `"name":"spelled","arguments":${text}${more}`, { "mcp-name": "spelled" });
      const first = args('{"a":1,"b":{"c":"é","d":[1,2]}}');
      const call = await subject().server.call("spelled");
      const answered = call.ask("elicitation/create", ELICIT, '"q4"');
      const asked = asking(await first.answer());
      const second = args(
        '{ "b":{"d":[1, 2],"c":"\\u00e9"}, "a":1 }',
        `,"inputResponses":{"k1":${ACCEPT}},${state(asked)}`,
      );
      await answered;
      call.result('{"content":[]}');
      expect((await second.answer()).message).toHaveProperty("result");
    });

    test("answers without a state are an ordinary new call", async () => {
      const called = client().call("plain", `,"inputResponses":{"k1":${ACCEPT}}`);
      const call = await subject().server.call("plain");
      expect(call.text).not.toContain("inputResponses");
      call.result('{"content":[]}');
      expect((await called.answer()).message).toHaveProperty("result");
    });

    test("what the client has not declared: an error to both, and the call is taken back", async () => {
      const poor = new ModernClient(subject().url, { ...as(TOKENS[0]), capabilities: '{"elicitation":{}}' });
      for (const [method, params, needed] of [
        ["sampling/createMessage", '{"messages":[],"maxTokens":1}', { sampling: {} }],
        [
          "elicitation/create",
          '{"mode":"url","url":"https://a/","elicitationId":"1","message":"m"}',
          { elicitation: { url: {} } },
        ],
      ] as const) {
        const called = poor.call("wants");
        const call = await subject().server.call("wants");
        const refused = call.ask(method, params, `"${method}"`);
        expect((await refused).message.error?.code).toBe(-32601);
        const { message } = await called.answer();
        expect(message.error).toMatchObject({ code: -32021, data: { requiredCapabilities: needed } });
        expect(await called.status()).toBe(400);
        await call.cancelled();
      }
    });

    test("a server that ends the call while its client thinks: the retry brings the answer", async () => {
      const first = client().call("impatient");
      const call = await subject().server.call("impatient");
      call.say(`{"jsonrpc":"2.0","id":"q6","method":"elicitation/create","params":${ELICIT}}`);
      const asked = asking(await first.answer());
      call.say('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q6"}}');
      call.result('{"content":[],"gave":"up"}');
      expect((await retry(client(), "impatient", asked).answer()).message.result).toMatchObject({ gave: "up" });
    });

    test("while one is waited for, a question without an address goes to the call that is open; others' calls go elsewhere", async () => {
      if (subject().transport === "http") return;
      const first = client().call("parked");
      const call = await subject().server.call("parked");
      const answered = call.ask("elicitation/create", ELICIT, '"q7"');
      const asked = asking(await first.answer());
      const other = new ModernClient(subject().url, as(TOKENS[1])).call("elsewhere");
      const otherCall = await subject().server.call("elsewhere");
      expect(otherCall.peer).not.toBe(call.peer);
      otherCall.result('{"content":[]}');
      await other.answer();
      const own = client().call("beside");
      const ownCall = await subject().server.call("beside");
      expect(ownCall.peer).toBe(call.peer);
      const second = ownCall.ask("elicitation/create", ELICIT, '"q8"');
      const ownAsked = asking(await own.answer());
      const ownEnd = retry(client(), "beside", ownAsked);
      await second;
      ownCall.result('{"content":[],"n":2}');
      expect((await ownEnd.answer()).message.result).toMatchObject({ n: 2 });
      const end = retry(client(), "parked", asked);
      await answered;
      call.result('{"content":[],"n":1}');
      expect((await end.answer()).message.result).toMatchObject({ n: 1 });
    });

    test("pages that have to be visited first: the call is made once more, and the state is good for one", async () => {
      const first = client().call("visits");
      (await subject().server.call("visits")).error(
        '{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","url":"https://a/","elicitationId":"7","message":"x"}]}}',
      );
      const asked = asking(await first.answer());
      expect(asked.inputRequests).toEqual({
        k1: { method: "elicitation/create", params: { mode: "url", url: "https://a/", message: "x" } },
      });
      const second = retry(client(), "visits", asked);
      (await subject().server.call("visits")).result('{"content":[]}');
      expect((await second.answer()).message).toHaveProperty("result");
      expect((await retry(client(), "visits", asked).answer()).message.error?.code).toBe(-32602);
    });

    test("no more than 32 calls of one caller wait", async () => {
      const calls = Array.from({ length: 33 }, (_, n) => client().call(`many-${n}`));
      // Without an address a question needs its call to be the only one that is awake.
      const said = [];
      if (subject().transport === "http") {
        await Promise.all(
          calls.map(
            async (_, n) =>
              void (await subject().server.call(`many-${n}`))
                .ask("elicitation/create", ELICIT, `"m${n}"`)
                .catch(() => undefined),
          ),
        );
        for (const inbox of calls) said.push((await inbox.answer()).message);
        expect(said.filter(({ result }) => result !== undefined)).toHaveLength(32);
        expect(said.filter(({ error }) => error?.code === -32603)).toHaveLength(1);
      } else for (const inbox of calls) inbox.abort.abort();
    });
  },
  { fronts: ["http"], entry: { options: { authTokens: TOKENS } } },
);

describe("isolation by session", () => {
  overBoth(
    "leased connections",
    (subject) => {
      test("each call has a connection with exactly its client's capabilities, used again after it", async () => {
        const poor = new ModernClient(subject().url, { capabilities: '{"sampling":{}}' });
        const rich = new ModernClient(subject().url, { capabilities: '{"elicitation":{"form":{}}}' });
        const [one, two, three] = [poor.call("one"), poor.call("two"), rich.call("three")];
        const calls = await Promise.all(["one", "two", "three"].map((tool) => subject().server.call(tool)));
        expect(new Set(calls.map(({ peer }) => peer)).size).toBe(3);
        const declared = subject().server.heard.filter(({ message }) => message.method === "initialize");
        const of = (n: number): unknown =>
          declared.find(({ peer }) => peer === calls[n]?.peer)?.message.params?.["capabilities"];
        expect([of(0), of(1), of(2)]).toEqual([{ sampling: {} }, { sampling: {} }, { elicitation: { form: {} } }]);
        for (const call of calls) call.result('{"content":[]}');
        await Promise.all([one, two, three].map((inbox) => inbox.answer()));
        const again = poor.call("again");
        const call = await subject().server.call("again");
        expect([calls[0]?.peer, calls[1]?.peer]).toContain(call.peer);
        call.result('{"content":[]}');
        await again.answer();
      });
    },
    { fronts: ["http"], entry: { isolation: "session" } },
  );
});
