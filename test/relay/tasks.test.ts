import { expect, test } from "bun:test";
import type { Call } from "../fixtures/relay-server.ts";
import type { RawClient } from "./raw-client.ts";
import { overBoth } from "./relay-contract.ts";
import type { Subject } from "./relay-contract.ts";

const RELATED = "io.modelcontextprotocol/related-task";

function task(id: string, status = "working"): string {
  const at = "2025-11-25T10:30:00Z";
  return `{"taskId":"${id}","status":"${status}","ttl":60000.0,"createdAt":"${at}","lastUpdatedAt":"${at}"}`;
}

let serial = 0;

/** Makes a call that becomes a task. */
async function begin(subject: Subject, client: RawClient): Promise<{ id: string; call: Call; answer: string }> {
  const id = `task-${++serial}`;
  const params = `{"name":"long-${id}","arguments":{},"task":{"ttl":60000},"_meta":{"progressToken":"p-${id}"}}`;
  const inbox = client.request("tools/call", params, `"${id}"`);
  const call = await subject.server.call(`long-${id}`);
  expect(call.text).toContain('"task":{"ttl":60000}');
  call.result(`{"task":${task(id)}}`);
  return { id, call, answer: (await inbox.answer()).text };
}

for (const isolation of ["shared", "auto"] as const) {
  overBoth(
    `tasks, isolation ${isolation}`,
    (subject) => {
      test("a call becomes a task, which is asked after, awaited and taken back", async () => {
        const { server, client } = subject();
        const raw = await client();
        const { id, answer } = await begin(subject(), raw);
        expect(answer).toBe(`{"jsonrpc":"2.0","id":"${id}","result":{"task":${task(id)}}}`);
        for (const [method, result] of [
          ["tasks/get", task(id)],
          ["tasks/result", `{"content":[],"_meta":{"${RELATED}":{"taskId":"${id}"}}}`],
          ["tasks/cancel", task(id, "cancelled")],
        ] as const) {
          const inbox = raw.request(method, `{"taskId":"${id}"}`, "7");
          (await server.request(method, ({ message }) => message.params?.["taskId"] === id)).result(result);
          expect((await inbox.answer()).text).toBe(`{"jsonrpc":"2.0","id":7,"result":${result}}`);
        }
      });

      test("its progress and status go on after the answer, to who made it and nobody else", async () => {
        const { client, server } = subject();
        const [mine, other] = [await client(), await client()];
        const [stream, foreign] = [await mine.listen(), await other.listen()];
        const { id, call } = await begin(subject(), mine);
        call.peer.say(
          `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${call.token},"progress":1.0}}`,
        );
        call.peer.say(`{"jsonrpc":"2.0","method":"notifications/tasks/status","params":${task(id, "completed")}}`);
        const progress = await stream.method("notifications/progress");
        expect(progress.text).toContain(`"progressToken":"p-${id}","progress":1.0`);
        expect((await stream.method("notifications/tasks/status")).text).toContain(task(id, "completed"));
        const ping = other.call("echo", "{}", "3");
        await ping.answer();
        expect(foreign.texts.filter((text) => text.includes(id))).toEqual([]);
        expect(server.heard.length).toBeGreaterThan(0);
      });

      test("its questions reach who made it, while the result is awaited and before", async () => {
        const { server, client } = subject();
        const [mine, other] = [
          await client({ capabilities: '{"elicitation":{}}' }),
          await client({ capabilities: '{"elicitation":{}}' }),
        ];
        const [stream, foreign] = [await mine.listen(), await other.listen()];
        const { id, call } = await begin(subject(), mine);
        // Something of somebody else is open meanwhile.
        const busy = other.call(`busy-${id}`, "{}", "5");
        const open = await server.call(`busy-${id}`);
        const params = `{"message":"m","requestedSchema":{"type":"object"},"_meta":{"${RELATED}":{"taskId":"${id}"}}}`;
        const early = server.ask(call.peer, "elicitation/create", params, `"early-${id}"`);
        await mine.answer(await stream.method("elicitation/create"), '{"action":"accept"}');
        expect((await early).text).toBe(`{"jsonrpc":"2.0","id":"early-${id}","result":{"action":"accept"}}`);
        const inbox = mine.request("tasks/result", `{"taskId":"${id}"}`, "9");
        const awaited = await server.request("tasks/result", ({ message }) => message.params?.["taskId"] === id);
        const late = awaited.ask("elicitation/create", params, `"late-${id}"`);
        await mine.answer(await inbox.method("elicitation/create"), '{"action":"decline"}');
        expect((await late).text).toContain('"result":{"action":"decline"}');
        awaited.result("{}");
        await inbox.answer();
        open.result("{}");
        await busy.answer();
        expect([...busy.texts, ...foreign.texts].filter((text) => text.includes("elicitation"))).toEqual([]);
      });

      test("nobody else can ask for it, await it, take it back or see it in a list", async () => {
        const { server, client, transport } = subject();
        const [mine, other] = [await client(), await client()];
        const { id } = await begin(subject(), mine);
        // With a connection of its own, the server itself tells one from the other.
        if (isolation === "auto" && transport !== "stdio") return;
        const before = server.heard.length;
        for (const method of ["tasks/get", "tasks/result", "tasks/cancel"]) {
          for (const wanted of [`"${id}"`, '"never-was"', `"${id.replace("t", "\\u0074")}"`, "7", '"__proto__"']) {
            const { message } = await other.request(method, `{"taskId":${wanted}}`, "1").answer();
            expect([method, wanted, message.error?.code]).toEqual([method, wanted, -32602]);
          }
          const doubled = other.request(method, `{"taskId":"${id}","TASKID":"x"}`, "1");
          expect((await doubled.first(() => true)).message.error?.code).toBe(-32600);
        }
        expect(server.heard.slice(before).filter(({ message }) => message.method?.startsWith("tasks/"))).toEqual([]);
        const lists = [mine.request("tasks/list", "{}", "1"), other.request("tasks/list", "{}", "1")];
        for (let i = 0; i < 2; i++)
          (await server.request("tasks/list")).result(`{"tasks":[${task(id)},${task("not-known")}],"nextCursor":"c"}`);
        const [own, none] = await Promise.all(lists.map((inbox) => inbox.answer()));
        expect(own?.text).toContain(`"result":{"tasks":[${task(id)}],"nextCursor":"c"}`);
        expect(none?.text).toContain('"result":{"tasks":[],"nextCursor":"c"}');
      });
    },
    { entry: { isolation } },
  );
}
