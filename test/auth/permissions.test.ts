import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from "@modelcontextprotocol/client";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport as Transport1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { RunningProxy } from "../support/proxy.ts";
import { ModernClient } from "../relay/modern-client.ts";
import { RawClient } from "../relay/raw-client.ts";
import { bearer, logInAs, startOffice } from "./office.ts";

/** Two users, and two API keys, with different rights side by side on every endpoint. */

const TOOLS = ["read", "read_all", "write", "stir", "hold", "release"];
const WHO = ["alice", "bob", "wide", "narrow"] as const;
type Who = (typeof WHO)[number];
/** What each may call at each server; those with the whole server get its prompts and resources too. */
const MAY: Record<Who, Record<"desk" | "vault", { tools: string[]; whole: boolean }>> = {
  alice: {
    desk: { tools: TOOLS, whole: true },
    vault: { tools: TOOLS.filter((tool) => tool !== "write"), whole: true },
  },
  bob: { desk: { tools: ["read", "read_all", "stir"], whole: false }, vault: { tools: [], whole: false } },
  wide: { desk: { tools: TOOLS, whole: true }, vault: { tools: TOOLS, whole: true } },
  narrow: { desk: { tools: [], whole: false }, vault: { tools: ["write"], whole: false } },
};

let proxy: RunningProxy;
const tokens = new Map<Who, string>();
const of = (who: Who): Record<string, string> => bearer(tokens.get(who) ?? "");

beforeAll(async () => {
  proxy = await startOffice({
    mcpProxy: {
      users: {
        alice: { password: "password of alice", allowed_tools: ["desk:*", "vault:*"], denied_tools: ["vault:write"] },
        bob: { password: "password of bob", allowed_tools: ["desk:read*", "desk:stir"], roles: ["guest"] },
      },
      apiKeys: {
        "sk-of-wide": { client_id: "wide", scopes: ["*"] },
        "sk-of-narrow": { client_id: "narrow", scopes: ["vault:write"] },
      },
      options: { oauth2: { enabled: true, persistenceDir: "state" } },
    },
  });
  tokens.set("wide", "sk-of-wide").set("narrow", "sk-of-narrow");
  for (const who of ["alice", "bob"] as const) tokens.set(who, await logInAs(proxy.url, who));
});
afterAll(() => proxy[Symbol.asyncDispose]());

interface Any {
  tools(): Promise<string[]>;
  call(name: string): Promise<string>;
  prompts(): Promise<number>;
  prompt(): Promise<string>;
  resources(): Promise<number>;
  templates(): Promise<number>;
  read(): Promise<string>;
  complete(): Promise<string>;
  close(): Promise<void>;
}

const REF = { ref: { type: "ref/prompt" as const, name: "greet" }, argument: { name: "a", value: "" } };

const said = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    (value) => JSON.stringify(value),
    (error: unknown) => `${(error as { code?: number }).code} ${(error as Error).message}`,
  );

async function open(kind: string, url: string, headers: Record<string, string>): Promise<Any> {
  const requestInit = { headers };
  const isOld = kind === "SDK 1.x" || kind === "SDK 1.x over SSE";
  const client = isOld
    ? new Client1({ name: "one", version: "1" })
    : new Client2(
        { name: "two", version: "2" },
        { versionNegotiation: { mode: kind === "SDK 2.x, modern" ? "auto" : "legacy" } },
      );
  if (kind === "SDK 1.x over SSE")
    await (client as Client1).connect(new SSEClientTransport(new URL(url.replace(/mcp$/, "sse")), { requestInit }));
  else if (isOld) await (client as Client1).connect(new Transport1(new URL(url), { requestInit }));
  else await (client as Client2).connect(new Transport2(new URL(url), { requestInit }));
  const any = client as Client1;
  return {
    tools: async () => (await any.listTools()).tools.map(({ name }) => name),
    call: (name) => said(any.callTool({ name, arguments: {} })),
    prompts: async () => (await any.listPrompts()).prompts.length,
    prompt: () => said(any.getPrompt({ name: "greet" })),
    resources: async () => (await any.listResources()).resources.length,
    templates: async () => (await any.listResourceTemplates()).resourceTemplates.length,
    read: () => said(any.readResource({ uri: "memo://one" })),
    complete: () => said(any.complete(REF)),
    close: () => any.close(),
  };
}

for (const kind of ["SDK 1.x", "SDK 1.x over SSE", "SDK 2.x, legacy", "SDK 2.x, modern"]) {
  describe(kind, () => {
    for (const server of ["desk", "vault"] as const) {
      test(`everybody sees and uses at ${server} what is his, and nothing else`, async () => {
        await Promise.all(
          WHO.map(async (who) => {
            const { tools, whole } = MAY[who][server];
            const any = await open(kind, `${proxy.url}/${server}/mcp`, of(who));
            expect([who, await any.tools()]).toEqual([who, tools]);
            for (const tool of TOOLS) {
              if (tool === "hold") continue;
              const answer = await any.call(tool);
              if (tools.includes(tool)) expect(answer).toContain(`${server} ${tool} ran`);
              else
                expect([who, answer]).toEqual([
                  who,
                  expect.stringMatching(new RegExp(`^-32602 .*Unknown tool: ${tool}$`)),
                ]);
            }
            if (who !== "wide") expect(await any.call("absent")).toContain("Unknown tool: absent");
            expect([await any.prompts(), await any.resources(), await any.templates()]).toEqual(
              whole ? [1, 1, 1] : [0, 0, 0],
            );
            const more = [await any.prompt(), await any.read(), await any.complete()];
            if (whole) expect(more.join()).toMatch(/greets.*memo.*value/);
            else for (const each of more) expect(each).toMatch(/^-32(602|002) /);
            await any.close();
          }),
        );
      });
    }
  });
}

test("a denied call reaches no server, in neither era, and is answered with HTTP 200", async () => {
  const url = `${proxy.url}/desk/mcp`;
  const legacy = await RawClient.open(url, { headers: of("bob") });
  const denied = legacy.call("write");
  expect([await denied.status(), (await denied.answer()).message.error]).toEqual([
    200,
    { code: -32602, message: "Unknown tool: write" },
  ]);
  const modern = new ModernClient(url, { headers: of("bob") }).call("write");
  expect([await modern.status(), (await modern.answer()).message.error]).toEqual([
    200,
    { code: -32602, message: "Unknown tool: write" },
  ]);
});

test("methods nobody here knows are for who may use the whole server", async () => {
  for (const [who, yes] of [
    ["wide", true],
    ["bob", false],
  ] as const) {
    const raw = await RawClient.open(`${proxy.url}/desk/mcp`, { headers: of(who) });
    const { message } = await raw.request("vendor/secret").answer();
    expect(yes ? message.result : message.error).toEqual(
      yes ? { word: "desk" } : { code: -32601, message: "Method not found: vendor/secret" },
    );
  }
});

test("notifications and logs reach only those who may use what they are about", async () => {
  const url = `${proxy.url}/desk/mcp`;
  const heard = await Promise.all(
    (["alice", "bob", "narrow"] as const).map(async (who) => {
      const raw = await RawClient.open(url, { headers: of(who) });
      const stream = await raw.listen();
      // The line is joined by asking; what is refused here asks nobody.
      await raw.request("tools/list").answer();
      await raw.request("resources/subscribe", '{"uri":"memo://one"}').answer();
      return { who, raw, stream };
    }),
  );
  const wide = await RawClient.open(url, { headers: of("wide") });
  await wide.call("stir").answer();
  const [alice, bob, narrow] = heard.map(({ stream }) => stream);
  await alice?.method("notifications/vendor/custom");
  await bob?.method("notifications/tools/list_changed");
  // Its own call comes after all of it on the same line.
  const mine = heard[1]?.raw.call("read");
  await mine?.answer();
  const methods = (stream: typeof bob): unknown[] => (stream?.said ?? []).map(({ message }) => message.method);
  expect(methods(alice)).toEqual(
    expect.arrayContaining(["notifications/resources/updated", "notifications/prompts/list_changed"]),
  );
  expect(new Set(methods(bob))).toEqual(new Set(["notifications/tools/list_changed"]));
  expect(methods(narrow)).toEqual([]);
  expect(mine?.texts.join()).not.toContain("log of read");
});

test("a modern client that listens hears of tools only where tools are all it may use", async () => {
  const url = `${proxy.url}/desk/mcp`;
  const params =
    '"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["memo://one"]}';
  const listens = (who: Who) => new ModernClient(url, { headers: of(who) }).request("subscriptions/listen", params);
  const [alice, bob] = [listens("alice"), listens("bob")];
  const agreed = async (stream: typeof alice): Promise<unknown> =>
    (await stream.method("notifications/subscriptions/acknowledged")).message.params?.["notifications"];
  expect(await agreed(alice)).toEqual({
    toolsListChanged: true,
    promptsListChanged: true,
    resourcesListChanged: true,
    resourceSubscriptions: ["memo://one"],
  });
  expect(await agreed(bob)).toEqual({ toolsListChanged: true });
  const wide = await RawClient.open(url, { headers: of("wide") });
  await wide.call("stir").answer();
  await alice.method("notifications/resources/updated");
  await bob.method("notifications/tools/list_changed");
  expect(bob.texts.join()).not.toMatch(/prompts|resources\//);
  alice.abort.abort();
  bob.abort.abort();
});

test("who may use nothing of a server is not told how to use it, and lists for one are for nobody else to keep", async () => {
  const said = async (who: Who, server: string): Promise<string> => {
    const raw = await RawClient.open(`${proxy.url}/${server}/mcp`, { headers: of(who) });
    return raw.introduction.text;
  };
  expect(await said("wide", "desk")).toContain("how to use desk");
  expect(await said("narrow", "desk")).not.toContain("how to use");
  const list = new ModernClient(`${proxy.url}/desk/mcp`, { headers: of("bob") }).request("tools/list");
  expect((await list.answer()).text).toContain('"cacheScope":"private"');
});

test("a session of one is nothing to another", async () => {
  const url = `${proxy.url}/desk/mcp`;
  const alice = await RawClient.open(url, { headers: of("alice") });
  for (const who of ["bob", "wide", "narrow"] as const) {
    const answer = await fetch(url, {
      method: "POST",
      headers: {
        ...of(who),
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        "Mcp-Session-Id": alice.session,
      },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
    });
    expect([who, answer.status]).toEqual([who, 404]);
  }
});

test("the log says who takes tokens beside the login, and the roles of who logs in", async () => {
  const line = await proxy.logged((each) => String(each["msg"]).startsWith("beside the login"));
  expect(line["servers"]).toEqual(["desk", "vault"]);
  expect(proxy.log.find((each) => each["user"] === "bob" && "roles" in each)).toMatchObject({ roles: ["guest"] });
});

test("every call is kept with who made it and how it ended, and no key is", async () => {
  const lines = proxy.log.filter((line) => "outcome" in line);
  const of = (fields: object): unknown => lines.find((line) => Object.entries(fields).every(([k, v]) => line[k] === v));
  expect(of({ client: "narrow", server: "vault", tool: "write", outcome: "ok" })).toBeDefined();
  expect(of({ client: "narrow", server: "desk", tool: "read", outcome: "denied" })).toBeDefined();
  expect(of({ user: "bob", server: "desk", tool: "read_all", outcome: "ok" })).toBeDefined();
  expect(of({ user: "bob", server: "vault", tool: "write", outcome: "denied" })).toBeDefined();
  for (const secret of [...tokens.values()]) expect(JSON.stringify(proxy.log)).not.toContain(secret);
});
