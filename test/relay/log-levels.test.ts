import { expect, test } from "bun:test";
import type { RawClient } from "./raw-client.ts";
import { listeningAt, overBoth } from "./relay-contract.ts";
import type { Listening } from "./relay-contract.ts";

const LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

overBoth("log levels", (subject) => {
  let marks = 0;

  const listening = (): Promise<Listening> => listeningAt(subject());

  /** The server logs one line of each level; returns the levels each client got. */
  async function levels(listeners: readonly Listening[]): Promise<string[][]> {
    const mark = `mark ${++marks}`;
    for (const peer of new Set(listeners.map((each) => each.peer))) {
      for (const level of LEVELS) {
        peer.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"${level}","data":"${mark}"}}`);
      }
      peer.say(`{"jsonrpc":"2.0","method":"notifications/acme/mark","params":{"mark":"${mark}"}}`);
    }
    return await Promise.all(
      listeners.map(async ({ stream }) => {
        await stream.first(({ method, params }) => method === "notifications/acme/mark" && params?.["mark"] === mark);
        return stream.said.flatMap(({ message }) =>
          message.method === "notifications/message" && message.params?.["data"] === mark
            ? [String(message.params["level"])]
            : [],
        );
      }),
    );
  }

  const setLevel = async (raw: RawClient, level: string): Promise<unknown> =>
    (await raw.request("logging/setLevel", `{"level":"${level}"}`).answer()).message.result;

  /** The levels the server was told, in order. */
  const told = (): unknown[] =>
    subject()
      .server.heard.filter(({ message }) => message.method === "logging/setLevel")
      .map(({ message }) => message.params?.["level"]);

  test("while nobody chose a level everybody gets what the server says", async () => {
    const both = [await listening(), await listening()];
    expect(await levels(both)).toEqual([LEVELS, LEVELS]);
  });

  test("each session gets its own level; the server is told the most verbose one of its link", async () => {
    const both = [await listening(), await listening()];
    const [one, two] = both as [Listening, Listening];
    expect(await setLevel(one.raw, "error")).toEqual({});
    expect(await setLevel(two.raw, "notice")).toEqual({});
    expect(told().slice(-2)).toEqual(["error", "notice"]);
    if (subject().transport === "stdio") {
      expect(await levels(both)).toEqual([LEVELS.slice(4), LEVELS.slice(2)]);
      // Quieter for one: the other still needs its own.
      expect(await setLevel(two.raw, "emergency")).toEqual({});
      expect(told().at(-1)).toBe("error");
      expect(await setLevel(one.raw, "alert")).toEqual({});
      expect(told().at(-1)).toBe("alert");
      expect(await levels(both)).toEqual([LEVELS.slice(6), LEVELS.slice(7)]);
    }
  });

  test("who chose nothing is not flooded when another one asks for everything", async () => {
    if (subject().transport !== "stdio") return;
    const both = [await listening(), await listening()];
    await setLevel((both[0] as Listening).raw, "debug");
    const [one, two] = await levels(both);
    expect(one).toEqual(LEVELS);
    expect(two).toEqual(LEVELS.slice(1));
  });

  test("a level nobody knows is the server's to judge", async () => {
    const { server } = subject();
    const one = await listening();
    server.automatic.delete("logging/setLevel");
    const inbox = one.raw.request("logging/setLevel", '{"level":"chatty"}');
    const call = await server.request("logging/setLevel", ({ message }) => message.params?.["level"] === "chatty");
    call.error('{"code":-32602,"message":"bad level"}');
    expect((await inbox.answer()).message.error).toEqual({ code: -32602, message: "bad level" });
    const refused = one.raw.request("logging/setLevel", '{"level":"emergency","n":1.0}');
    const second = await server.request(
      "logging/setLevel",
      ({ message }) => message.params?.["level"] === "emergency" && "n" in message.params,
    );
    expect(second.text).toContain('"n":1.0');
    second.error('{"code":-32601,"message":"no logging"}');
    expect((await refused.answer()).message.error?.code).toBe(-32601);
    server.automatic.set("logging/setLevel", "{}");
    // What was refused holds nothing back.
    expect(await levels([one])).toEqual([LEVELS]);
  });

  test("a log message within a call reaches its client, at that client's level", async () => {
    const { server } = subject();
    const one = await listening();
    await setLevel(one.raw, "warning");
    const inbox = one.raw.call("logs");
    const call = await server.call("logs");
    for (const level of LEVELS)
      call.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"${level}","data":[1.0]}}`);
    call.result("{}");
    await inbox.answer();
    expect(inbox.said.slice(0, -1).map(({ message }) => message.params?.["level"])).toEqual(LEVELS.slice(3));
    expect(inbox.texts[0]).toContain('"data":[1.0]');
  });
});
