import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Wire } from "../../src/upstream/wire.ts";
import { Recorder } from "./recorder.ts";

export interface WireUnderTest {
  readonly wire: Wire;
  /** Ends what is around the wire, which is closed already. */
  dispose(): Promise<void>;
}

const CONTRACT_TIMEOUT_MS = 30_000;
/** The longest message, in bytes, that the wires under test accept. */
export const LIMIT_OF_WIRES = 16 * 1024 * 1024;

/** What every wire has to do; `make` gives one in front of the behaviour of test/fixtures/wire-behaviour.ts. */
export function wireContract(name: string, make: () => WireUnderTest): void {
  describe(`${name}: the contract of wires`, () => {
    let subject: WireUnderTest;
    let wire: Wire;
    let seen: Recorder;

    beforeEach(async () => {
      subject = make();
      wire = subject.wire;
      seen = new Recorder();
      await wire.open(seen);
    });

    afterEach(async () => {
      await wire.close();
      await subject.dispose();
      expect(seen.all("closed")).toHaveLength(1);
      expect(seen.events.at(-1)?.kind).toBe("closed");
    });

    const ask = (id: number, method: string, params = "{}"): void =>
      wire.request(id, `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`);
    const via = (id: number): number | undefined => (wire.attributes ? id : undefined);
    const it = (what: string, body: () => Promise<void>): void => test(what, body, CONTRACT_TIMEOUT_MS);

    it("carries a request and its answer", async () => {
      ask(7, "echo", '{"a":1}');
      expect(await seen.answer(7)).toEqual({
        kind: "message",
        text: '{"jsonrpc":"2.0","id":7,"result":{"a":1}}',
        via: via(7),
      });
    });

    it("changes no byte of a message", async () => {
      const params =
        '{"n":12345678901234567890.10,"e":1E+2,"s":"\\ud800 \\u00e9 \\/","t":"aé€😀\\n","d":1,"d":2 , "k" : [ ]}';
      ask(1, "echo", params);
      expect((await seen.answer(1)).text).toBe(`{"jsonrpc":"2.0","id":1,"result":${params}}`);
    });

    it("carries answers in whatever order they come", async () => {
      ask(1, "hold");
      ask(2, "echo");
      await seen.answer(2);
      expect(seen.all("message")).toHaveLength(1);
      ask(3, "release");
      await Promise.all([seen.answer(1), seen.answer(3)]);
    });

    it("carries many requests of one turn", async () => {
      for (let id = 1; id <= 200; id++) ask(id, "echo", `{"id":${id}}`);
      const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => seen.answer(index + 1)));
      expect(answers.map(({ text }) => (JSON.parse(text) as { result: { id: number } }).result.id)).toEqual(
        answers.map((_, index) => index + 1),
      );
    });

    it("delivers notifications before the answer they precede", async () => {
      ask(4, "notify");
      await seen.answer(4);
      expect(
        seen.all("message").map(({ text, via: from }) => [(JSON.parse(text) as { method?: string }).method, from]),
      ).toEqual([
        ["notifications/a", via(4)],
        ["notifications/b", via(4)],
        [undefined, via(4)],
      ]);
    });

    it("carries a request of the server and what is answered to it", async () => {
      ask(5, "ask");
      const question = await seen.first("message");
      expect(question).toEqual({
        kind: "message",
        text: '{"jsonrpc":"2.0","id":"q5","method":"ping"}',
        via: via(5),
      });
      const reply = '{"jsonrpc":"2.0","id":"q5","result":{"deep":1.0}}';
      wire.send(reply);
      const answer = JSON.parse((await seen.answer(5)).text) as { result: string };
      expect(answer.result).toBe(reply);
    });

    it("splits a batch into its messages", async () => {
      ask(6, "batch");
      await seen.answer(6);
      expect(seen.all("message").map(({ text }) => text)).toEqual([
        '{"jsonrpc":"2.0","method":"notifications/a"}',
        '{"jsonrpc":"2.0","id":6,"result":[1,[2]]}',
      ]);
    });

    it("carries an answer of 8 MB", async () => {
      ask(8, "big", String(8 * 1024 * 1024));
      const { text } = await seen.first("message");
      expect(text.length).toBe('{"jsonrpc":"2.0","id":8,"result":""}'.length + 8 * 1024 * 1024);
      expect(text.endsWith('xx"}')).toBe(true);
    });

    it("carries a request of 2 MB", async () => {
      const params = `"${"é".repeat(1024 * 1024)}"`;
      ask(9, "echo", params);
      const { text } = await seen.first("message");
      expect(text === `{"jsonrpc":"2.0","id":9,"result":${params}}`).toBe(true);
    });

    it("loses no more than one answer that is longer than it may be", async () => {
      ask(1, "hold");
      ask(2, "big", String(LIMIT_OF_WIRES + 1024));
      const { id, fault } = await seen.first("failed");
      expect([id, fault.code, fault.notRun]).toEqual([2, "upstream.too_large", false]);
      ask(3, "release");
      await Promise.all([seen.answer(1), seen.answer(3)]);
      expect(seen.all("failed")).toHaveLength(1);
    });

    it("puts characters together that were cut apart on the way", async () => {
      ask(9, "split");
      expect((await seen.answer(9)).text).toBe('{"jsonrpc":"2.0","id":9,"result":"aé€😀z"}');
    });

    it("lives on after a request was abandoned, and after one nobody knows", async () => {
      ask(1, "hold");
      ask(2, "echo");
      await seen.answer(2);
      wire.abandon(1);
      wire.abandon(99);
      ask(3, "echo");
      await seen.answer(3);
      expect(seen.all("failed")).toEqual([]);
    });

    it("takes the settings of all transports", async () => {
      wire.initialized("2025-06-18");
      wire.listen(false);
      ask(1, "echo");
      await seen.answer(1);
    });

    it("closes once, however often it is asked", async () => {
      ask(1, "hold");
      ask(2, "echo");
      await seen.answer(2);
      await Promise.all([wire.close(), wire.close()]);
      await wire.close();
      expect(seen.all("closed")).toEqual([{ kind: "closed", fault: undefined }]);
    });

    it("refuses requests after its end, without throwing", async () => {
      await wire.close();
      const before = seen.events.length;
      ask(1, "echo");
      wire.send('{"jsonrpc":"2.0","method":"notifications/x"}');
      wire.abandon(1);
      wire.initialized("2025-06-18");
      wire.listen(true);
      const failed = await seen.first("failed");
      expect(failed.fault.notRun).toBe(true);
      // What comes after `closed` is this refusal alone; taken out for the check of the order.
      expect(seen.events.splice(before)).toHaveLength(1);
    });
  });
}
