import { expect, test } from "bun:test";
import { ended } from "../fixtures/relay-server.ts";
import { listeningAt, overBoth } from "./relay-contract.ts";
import type { Listening } from "./relay-contract.ts";

const UPDATED = "notifications/resources/updated";

overBoth("subscriptions", (subject) => {
  const listening = (): Promise<Listening> => listeningAt(subject());

  /** The server says that a resource changed, once on each of its links. */
  function update(listeners: readonly Listening[], uri: string): void {
    for (const peer of new Set(listeners.map((each) => each.peer))) {
      peer.say(`{"jsonrpc":"2.0","method":"${UPDATED}","params":{"uri":"${uri}","own":1.0}}`);
      peer.say(`{"jsonrpc":"2.0","method":"notifications/acme/after","params":{"uri":"${uri}"}}`);
    }
  }

  /** What each one heard of a resource before the mark behind the update. */
  async function heard(listeners: readonly Listening[], uri: string): Promise<number[]> {
    const counts = listeners.map(async ({ stream }) => {
      await stream.first(({ method, params }) => method === "notifications/acme/after" && params?.["uri"] === uri);
      return stream.said.filter(({ message }) => message.method === UPDATED && message.params?.["uri"] === uri).length;
    });
    return await Promise.all(counts);
  }

  test("updates reach subscribers only, with their text as it was", async () => {
    const { transport } = subject();
    const both = [await listening(), await listening()];
    const [one] = both as [Listening];
    await one.raw.request("resources/subscribe", '{"uri":"a://1"}').answer();
    if (transport !== "stdio") {
      // Each session has a server session of its own there, and the server knows who subscribed.
      update([one], "a://1");
      expect(await heard([one], "a://1")).toEqual([1]);
    } else {
      update(both, "a://1");
      expect(await heard(both, "a://1")).toEqual([1, 0]);
    }
    expect((await one.stream.method(UPDATED)).text).toBe(
      `{"jsonrpc":"2.0","method":"${UPDATED}","params":{"uri":"a://1","own":1.0}}`,
    );
  });

  test("both subscribers hear of it; when one unsubscribes the other still does", async () => {
    const { server, transport } = subject();
    const both = [await listening(), await listening()];
    const [one, two] = both as [Listening, Listening];
    for (const { raw } of both) await raw.request("resources/subscribe", '{"uri":"a://2"}').answer();
    update(both, "a://2");
    expect(await heard(both, "a://2")).toEqual([1, 1]);
    const before = server.count("resources/unsubscribe");
    expect((await one.raw.request("resources/unsubscribe", '{"uri":"a://2"}').answer()).text).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{}}',
    );
    if (transport === "stdio") {
      expect(server.count("resources/unsubscribe")).toBe(before);
      update(both, "a://2");
      await two.stream.first(
        (_, text) => two.stream.texts.filter((each) => each === text && text.includes(UPDATED)).length === 2,
      );
      expect(one.stream.said.filter(({ message }) => message.method === UPDATED)).toHaveLength(1);
    }
    await two.raw.request("resources/unsubscribe", '{"uri":"a://2"}').answer();
    expect(server.count("resources/unsubscribe")).toBe(before + (transport === "stdio" ? 1 : 2));
  });

  test("who never subscribed ends nobody's subscription", async () => {
    const both = [await listening(), await listening()];
    const [one, two] = both as [Listening, Listening];
    await one.raw.request("resources/subscribe", '{"uri":"a://theirs"}').answer();
    expect(
      (await two.raw.request("resources/unsubscribe", '{"uri":"a://theirs"}').answer()).message.error,
    ).toBeUndefined();
    update([one], "a://theirs");
    expect(await heard([one], "a://theirs")).toEqual([1]);
  });

  test("the last subscriber's end of session unsubscribes", async () => {
    const { server } = subject();
    const one = await listening();
    await one.raw.request("resources/subscribe", '{"uri":"a://3"}').answer();
    await one.raw.end();
    const told = server.request("resources/unsubscribe", ({ message }) => message.params?.["uri"] === "a://3");
    await (subject().transport !== "stdio" ? Promise.race([told, ended(one.peer)]) : told);
  });

  test("a subscription the server refuses is none", async () => {
    const { server } = subject();
    const one = await listening();
    server.automatic.delete("resources/subscribe");
    const inbox = one.raw.request("resources/subscribe", '{"uri":"a://4"}');
    (await server.request("resources/subscribe", ({ message }) => message.params?.["uri"] === "a://4")).error(
      '{"code":-32002,"message":"Resource not found","data":{"uri":"a://4"}}',
    );
    expect((await inbox.answer()).text).toBe(
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"Resource not found","data":{"uri":"a://4"}}}',
    );
    server.automatic.set("resources/subscribe", "{}");
    if (subject().transport === "stdio") {
      update([one], "a://4");
      expect(await heard([one], "a://4")).toEqual([0]);
    }
  });

  test("a refused second subscription does not end the first", async () => {
    const { server } = subject();
    const one = await listening();
    await one.raw.request("resources/subscribe", '{"uri":"a://5"}').answer();
    server.automatic.delete("resources/subscribe");
    const inbox = one.raw.request("resources/subscribe", '{"uri":"a://5"}');
    // The first of the two is answered already and never asked for here.
    await server.request("resources/subscribe", ({ message }) => message.params?.["uri"] === "a://5");
    const again = await server.request("resources/subscribe", ({ message }) => message.params?.["uri"] === "a://5");
    again.error('{"code":-32603,"message":"already subscribed"}');
    await inbox.answer();
    server.automatic.set("resources/subscribe", "{}");
    update([one], "a://5");
    expect(await heard([one], "a://5")).toEqual([1]);
  });

  test("an update of a part of a subscribed resource reaches its subscriber", async () => {
    const one = await listening();
    await one.raw.request("resources/subscribe", '{"uri":"file:///dir"}').answer();
    update([one], "file:///dir/part");
    expect(await heard([one], "file:///dir/part")).toEqual([1]);
    if (subject().transport !== "stdio") return;
    update([one], "file:///directory");
    expect(await heard([one], "file:///directory")).toEqual([0]);
  });

  test("an update that comes before the answer to the subscription is not lost", async () => {
    const { server } = subject();
    const one = await listening();
    server.automatic.delete("resources/subscribe");
    const inbox = one.raw.request("resources/subscribe", '{"uri":"a://6"}');
    const call = await server.request("resources/subscribe", ({ message }) => message.params?.["uri"] === "a://6");
    update([one], "a://6");
    call.result("{}");
    await inbox.answer();
    server.automatic.set("resources/subscribe", "{}");
    expect(await heard([one], "a://6")).toEqual([1]);
  });
});
