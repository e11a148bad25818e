import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { EventReader, connect, tools } from "./client.ts";
import type { Answer, HttpClient } from "./client.ts";

const filter = (mode: string | undefined, list: string[]): Record<string, unknown> =>
  tools({ options: { toolFilter: { ...(mode === undefined ? {} : { mode }), list } } });

let proxy: RunningProxy;
const clients = new Map<string, HttpClient>();
beforeAll(async () => {
  proxy = await startProxy({
    whole: tools(),
    block: filter("block", ["secret", "big"]),
    allow: filter("allow", ["echo", "seen", "change", "missing"]),
    upper: filter("BLOCK", ["secret"]),
    padded: filter(" Allow ", ["echo"]),
    empty: filter("allow", []),
    modeless: filter(undefined, ["secret"]),
    nonsense: filter("deny", ["secret"]),
  });
  await Promise.all(
    ["whole", "block", "allow", "upper", "padded", "empty", "modeless", "nonsense"].map(async (name) =>
      clients.set(name, await connect(`${proxy.url}/${name}/mcp`)),
    ),
  );
});
afterAll(() => proxy[Symbol.asyncDispose]());

function client(name: string): HttpClient {
  const found = clients.get(name);
  if (found === undefined) throw new Error(name);
  return found;
}

async function listed(name: string): Promise<string[]> {
  const pages = [
    await client(name).request("tools/list"),
    await client(name).request("tools/list", { cursor: "second" }),
  ];
  const listedOn = ({ last }: Answer): { name: string }[] => (last.result?.["tools"] ?? []) as { name: string }[];
  return pages.flatMap(listedOn).map((tool) => tool.name);
}

const ALL = ["echo", "secret", "talk", "seen", "pid", "silence", "big", "change", "hang", "shout"];

describe("lists", () => {
  const rows: [name: string, names: string[]][] = [
    ["whole", ALL],
    ["block", ALL.filter((tool) => tool !== "secret" && tool !== "big")],
    ["allow", ["echo", "seen", "change"]],
    ["upper", ALL.filter((tool) => tool !== "secret")],
    ["padded", ["echo"]],
    // Without a list or a mode nothing is filtered, as the Go program documents.
    ["empty", ALL],
    ["modeless", ALL],
    ["nonsense", ALL],
  ];
  for (const [name, names] of rows) {
    test(`of ${name} show exactly what is allowed, over both pages`, async () => {
      expect(await listed(name)).toEqual(names);
    });
  }

  test("are byte for byte the server's but for what is filtered", async () => {
    const ask = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    const plain = (await client("whole").send(ask)).text;
    expect(plain).toContain("9007199254740993");
    const filtered = (await client("block").send(ask)).text;
    const start = plain.indexOf("[");
    const end = plain.lastIndexOf("]") + 1;
    const elements = plain.slice(start + 1, end - 1).split(" ,");
    expect(elements).toHaveLength(3);
    const kept = elements.filter((element) => !element.includes('"secret"'));
    expect(filtered).toBe(`${plain.slice(0, start)}[${kept.join(",")}]${plain.slice(end)}`);
  });
});

describe("calls", () => {
  const denied = { jsonrpc: "2.0", id: "d", method: "tools/call" };
  for (const [server, tool] of [
    ["block", "secret"],
    ["block", "big"],
    ["allow", "secret"],
    ["allow", "pid"],
    ["upper", "secret"],
    ["padded", "talk"],
  ] as const) {
    test(`of ${tool} at ${server} answer as a tool that does not exist`, async () => {
      const answer = await client(server).send({ ...denied, params: { name: tool, arguments: {} } });
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.text)).toEqual({
        jsonrpc: "2.0",
        id: "d",
        error: { code: -32602, message: `Unknown tool: ${tool}` },
      });
    });
  }
  for (const server of ["block", "allow"]) {
    test(`of a tool that does not exist at ${server} cannot be told from a denied one`, async () => {
      for (const tool of ["nowhere", "missing", "SECRET", "secret "]) {
        const answer = await client(server).send({ ...denied, params: { name: tool, arguments: {} } });
        expect([answer.status, JSON.parse(answer.text)]).toEqual([
          200,
          { jsonrpc: "2.0", id: "d", error: { code: -32602, message: `Unknown tool: ${tool}` } },
        ]);
      }
    });
  }
  test("without any rule are the server's own to refuse", async () => {
    const answer = await client("whole").send({ ...denied, params: { name: "nowhere" } });
    expect(answer.last.error).toEqual({ code: -32602, message: "no such tool here: nowhere" });
  });
  test("of allowed tools work", async () => {
    expect(await client("allow").call("echo", { text: "hi" })).toBe("hi");
    expect(await client("block").call("echo", { text: "secret" })).toBe("secret");
    expect(await client("modeless").call("secret")).toBe("the secret tool ran");
  });
});

describe("a denied call cannot be smuggled", () => {
  const params = [
    '{"name":"echo","name":"secret"}',
    '{"name":"secret","name":"echo"}',
    '{"name":"echo","Name":"secret"}',
    '{"NAME":"secret"}',
    '{"NAME":"secret","name":"echo"}',
    '{"n\\u0061me":"secret","name":"echo"}',
    '{"name":"s\\u0065cret"}',
    '{"name":"\\u0073\\u0065\\u0063\\u0072\\u0065\\u0074"}',
    '{"name":["secret"]}',
    '{"name":{"name":"secret"}}',
    '{"name":null}',
    "{}",
    '["secret"]',
    '{"name":"secret","arguments":{"name":"echo"}}',
    '{"arguments":{"name":"echo"},"name":"secret"}',
    '{"name":"echo","__proto__":{"name":"secret"},"n\u0061me":"secret"}',
    '{"name":"echo\\u0000"}',
  ];
  for (const server of ["allow", "block"]) {
    for (const raw of params) {
      test(`at ${server} by ${raw}`, async () => {
        const answer = await client(server).send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${raw}}`);
        expect(answer.last.error).toBeDefined();
        expect(answer.text).not.toContain("the secret tool ran");
      });
    }
  }
  const messages = [
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"params":{"name":"secret"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"Params":{"name":"secret"}}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"secret"}}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","METHOD":"tools/call","params":{"name":"secret"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools\\/call","params":{"name":"secret"}}',
    '{"jsonrpc":"2.0","id":1,"method":"t\\u006fols/call","params":{"name":"secret"}}',
    '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret"}}]',
    '{"jsonrpc":"2.0","id":1,"method":"ping"}\n{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"secret"}}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","x":"\\n{\\"method\\":\\"tools/call\\"}"}',
    '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"secret"}}',
    '{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"secret"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"secret"}}',
  ];
  for (const message of messages) {
    test(`by ${message}`, async () => {
      for (const server of ["allow", "block"]) {
        expect((await client(server).send(message)).text).not.toContain("the secret tool ran");
      }
    });
  }
  test("and none of these tries has reached the server", async () => {
    const seen = JSON.parse(await client("block").call("seen")) as string[];
    const calls = seen.filter(
      (line) => line.includes("tools/call") && (JSON.parse(line) as { method?: string }).method === "tools/call",
    );
    for (const line of calls) expect(line).not.toMatch(/"name":\s*"secret"|"NAME"|"Name"/);
    expect(calls.length).toBeGreaterThan(0);
  });
});

test("list_changed passes with nothing in it that the filter hides", async () => {
  const one = await connect(`${proxy.url}/allow/mcp`);
  const events = new EventReader(await one.fetch("GET"));
  await one.call("change");
  await events.until("list_changed");
  expect(events.text).toContain('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
  expect(events.text).not.toContain("secret");
  await events.close();
});

test("a name in a filter that matches no tool is a warning", async () => {
  const fits = (line: Record<string, unknown>): boolean =>
    line["level"] === "warn" && String(line["msg"]).includes('"missing"');
  expect(await proxy.logged(fits)).toMatchObject({ server: "allow" });
});
