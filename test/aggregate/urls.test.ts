import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { HttpClient, connect, tools } from "../http/client.ts";
import type { Answer } from "../http/client.ts";
import { named } from "../http/reached.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";

const A = "token-of-server-a-0123456789";
const B = "token-of-server-b-0123456789";
const OWN = "token-of-the-group-0123456789";

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

function names({ last }: Answer): string[] {
  return ((last.result?.["tools"] ?? []) as { name: string }[]).map(({ name }) => name);
}

describe("ten servers, three of them broken", () => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    const well = Object.fromEntries(
      "abcdefg".split("").map((name) => [name, tools({ options: { toolFilter: { mode: "allow", list: ["echo"] } } })]),
    );
    proxy = await startProxy({
      ...well,
      exits: { command: "false" },
      hangs: { command: "sleep", args: ["600"] },
      missing: { command: "/nonexistent/server" },
    });
  });
  afterAll(() => proxy[Symbol.asyncDispose]());

  test("the list has the others, in the order of the configuration, within a deadline; the next one at once", async () => {
    const client = await connect(`${proxy.url}/mcp`);
    const first = performance.now();
    expect(names(await client.request("tools/list"))).toEqual("abcdefg".split("").map((name) => `${name}__echo`));
    const second = performance.now();
    expect(names(await client.request("tools/list"))).toHaveLength(7);
    expect(second - first).toBeLessThan(10_000);
    expect(performance.now() - second).toBeLessThan(2_000);
    expect(await client.call("g__echo", { text: "here" })).toBe("here");
  });

  test("every spelling of a call finds its server, and none finds two", async () => {
    const client = await connect(`${proxy.url}/mcp`);
    for (const name of ["c__echo", "c:echo", "c_echo"]) expect(await client.call(name, { text: name })).toBe(name);
    for (const name of ["echo", "c__secret", "c:secret", "nobody__echo", "__proto__", "constructor", "c__", ""]) {
      const { status, last } = await client.request("tools/call", { name });
      expect([name, status, last.error?.code]).toEqual([name, 200, -32602]);
      expect(last.error?.message).toBe(`Unknown tool: ${name}`);
    }
  });

  test("a server that is down says so itself", async () => {
    const client = await connect(`${proxy.url}/mcp`);
    const { last } = await client.request("tools/call", { name: "missing__echo" });
    expect(last.error?.message).toStartWith("missing: ");
  });

  test("the bare base URL is the same for a client, and a page for everybody else", async () => {
    const client = await connect(`${proxy.url}/`);
    expect(names(await client.request("tools/list"))).toHaveLength(7);
    expect((await fetch(`${proxy.url}/`)).headers.get("mcp-session-id")).toBeNull();
    expect((await fetch(`${proxy.url}/`, { headers: { accept: "text/event-stream" } })).status).toBe(400);
    expect((await client.fetch("DELETE")).status).toBe(204);
  });
});

describe("who reaches what", () => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    proxy = await startProxy(
      { a: named("a", A), b: named("b", B), open: named("open") },
      {
        groups: {
          both: { servers: ["b", "a"] },
          own: { servers: ["a", "b"], tools: ["a:echo", "b:*"], options: { authTokens: [OWN] } },
          empty: { servers: ["a"], options: {} },
          twice: { servers: ["open", "open"] },
        },
      },
    );
  });
  afterAll(() => proxy[Symbol.asyncDispose]());

  const servers = async (path: string, headers: Record<string, string>): Promise<string[]> => {
    const client = await connect(proxy.url + path, headers);
    return [...new Set(names(await client.request("tools/list")).map((name) => name.split("__")[0] ?? ""))];
  };
  const status = async (path: string, headers: Record<string, string>): Promise<number> => {
    const client = new HttpClient(proxy.url + path, headers);
    return (await client.send({ jsonrpc: "2.0", id: 1, method: "initialize", params: {} })).status;
  };

  test("exactly the servers whose own URL takes the same credential", async () => {
    expect(await servers("/mcp", bearer(A))).toEqual(["a", "open"]);
    expect(await servers("/mcp", bearer(B))).toEqual(["b", "open"]);
    expect(await servers("/mcp", {})).toEqual(["open"]);
    expect(await servers("/both/mcp", bearer(A))).toEqual(["a"]);
    const client = await connect(`${proxy.url}/mcp`, bearer(A));
    const { last } = await client.request("tools/call", { name: "b__echo" });
    expect(last.error?.message).toBe("Unknown tool: b__echo");
  });

  test("a server that stands twice in a group is there once", async () => {
    expect(await servers("/twice/mcp", {})).toEqual(["open"]);
  });

  test("requests are in the log only where a server has logEnabled", async () => {
    const client = await connect(`${proxy.url}/mcp`, bearer(A));
    await client.request("tools/list");
    expect(proxy.log.find((line) => line["method"] === "tools/list")).toBeUndefined();
  });

  test("a credential that is good nowhere is refused, also beside servers that are open", async () => {
    expect(await status("/mcp", bearer("wrong"))).toBe(401);
    expect(await status("/", bearer("wrong"))).toBe(401);
    expect(await status("/both/mcp", {})).toBe(401);
  });

  test("options of a group replace those of its servers; empty ones do not open them", async () => {
    const client = await connect(`${proxy.url}/own/mcp`, bearer(OWN));
    const listed = names(await client.request("tools/list"));
    expect(listed.filter((name) => name.startsWith("a__"))).toEqual(["a__echo"]);
    expect(listed).toContain("b__secret");
    const { last } = await client.request("tools/call", { name: "a__secret" });
    expect(last.error?.message).toBe("Unknown tool: a__secret");
    expect(await status("/own/mcp", bearer(A))).toBe(401);
    expect(await status("/empty/mcp", {})).toBe(401);
    expect(await status("/empty/mcp", bearer(A))).toBe(200);
  });

  test("a session of one caller is nobody else's, and one URL's is no other's", async () => {
    const client = await connect(`${proxy.url}/mcp`, bearer(A));
    const foreign = new HttpClient(`${proxy.url}/mcp`, bearer(B));
    foreign.session = client.session;
    expect((await foreign.request("tools/list")).status).toBe(404);
    const elsewhere = new HttpClient(`${proxy.url}/both/mcp`, bearer(A));
    elsewhere.session = client.session;
    expect((await elsewhere.request("tools/list")).status).toBe(404);
  });
});
