import { expect, test } from "bun:test";
import type { Incoming } from "../fixtures/relay-server.ts";
import { overBoth } from "./relay-contract.ts";

const ROOTS = '{"roots":{"listChanged":true}}';

/** What the proxy declared on the links made so far. */
const declared = (heard: readonly Incoming[]): Record<string, unknown>[] =>
  heard
    .filter(({ message }) => message.method === "initialize")
    .map(({ message }) => message.params?.["capabilities"] as Record<string, unknown>);

overBoth("roots by default", (subject) => {
  test("a child process is never told of a client's folders; over HTTP they travel as from a direct client", async () => {
    const { server, client, transport } = subject();
    const raw = await client({ capabilities: ROOTS });
    const inbox = raw.call("roots");
    const call = await server.call("roots");
    if (transport === "stdio") {
      expect(declared(server.heard).filter((capabilities) => "roots" in capabilities)).toEqual([]);
      const answer = await call.ask("roots/list", "{}", '"r"');
      expect(answer.message.error?.code).toBeNumber();
      expect(inbox.said).toEqual([]);
    } else {
      expect(declared(server.heard).at(-1)).toEqual({ roots: { listChanged: true } });
      const answered = call.ask("roots/list", "{}", '"r"');
      await raw.answer(await inbox.method("roots/list"), '{"roots":[{"uri":"file:///a"}]}');
      expect((await answered).message.result).toEqual({ roots: [{ uri: "file:///a" }] });
    }
    call.result("{}");
    await inbox.answer();
  });

  test("roots/list_changed goes up only where the server may see roots", async () => {
    const { server, client, transport } = subject();
    const raw = await client({ capabilities: ROOTS });
    await raw.call("echo").answer();
    const before = server.count("notifications/roots/list_changed");
    await raw.notify("notifications/roots/list_changed");
    await raw.notify("notifications/acme/after-roots");
    await server.notification("notifications/acme/after-roots");
    expect(server.count("notifications/roots/list_changed") - before).toBe(transport !== "stdio" ? 1 : 0);
  });
});

overBoth(
  'roots with "roots": true',
  (subject) => {
    test("the server may ask for roots and gets those of the client whose call it is", async () => {
      const { server, client } = subject();
      const raw = await client({ capabilities: ROOTS });
      const inbox = raw.call("roots");
      const call = await server.call("roots");
      const answered = call.ask("roots/list", "{}", '"r"');
      await raw.answer(await inbox.method("roots/list"), '{"roots":[{"uri":"file:///b"}]}');
      expect((await answered).message.result).toEqual({ roots: [{ uri: "file:///b" }] });
      expect(declared(server.heard).at(-1)).toHaveProperty("roots");
      call.result("{}");
      await inbox.answer();
    });

    test("roots/list_changed goes up from a client that is alone on its link, and not from one of several", async () => {
      const { server, client, transport } = subject();
      const first = await client({ capabilities: ROOTS });
      await first.call("echo").answer();
      const before = server.count("notifications/roots/list_changed");
      await first.notify("notifications/roots/list_changed");
      await server.notification("notifications/roots/list_changed");
      // Both without questions to answer, so that both stay on the shared child.
      const second = await client({ capabilities: ROOTS });
      await second.call("echo").answer();
      await first.notify("notifications/roots/list_changed");
      await first.notify("notifications/acme/end");
      await server.notification("notifications/acme/end");
      expect(server.count("notifications/roots/list_changed") - before).toBe(transport !== "stdio" ? 2 : 1);
    });
  },
  { entry: { roots: true } },
);
