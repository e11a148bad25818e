import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from "@modelcontextprotocol/client";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport as Transport1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { bearer, logInAs, startOffice } from "../auth/office.ts";
import { ModernClient } from "../relay/modern-client.ts";
import { RawClient } from "../relay/raw-client.ts";
import type { RunningProxy } from "../support/proxy.ts";

/** Users and API keys with different rights side by side, where several servers are served at one URL. */

const TOOLS = ["read", "read_all", "write", "stir", "hold", "release"];
const of = (server: string, tools: readonly string[]): string[] => tools.map((tool) => `${server}__${tool}`);

interface Share {
  readonly tools: readonly string[];
  /** Servers whose prompts and resources are theirs too. */
  readonly whole: readonly string[];
}
const WHO = ["alice", "bob", "wide", "narrow"] as const;
type Who = (typeof WHO)[number];
const ALL: Record<Who, Share> = {
  alice: {
    tools: [
      ...of("desk", TOOLS),
      ...of(
        "vault",
        TOOLS.filter((tool) => tool !== "write"),
      ),
    ],
    whole: ["desk", "vault"],
  },
  bob: { tools: of("desk", ["read", "read_all", "stir"]), whole: [] },
  wide: { tools: [...of("desk", TOOLS), ...of("vault", TOOLS)], whole: ["desk", "vault"] },
  narrow: { tools: of("vault", ["write"]), whole: [] },
};
/** A group that serves `read` of one server, and all of the other one. */
const SOME: Record<Who, Share> = {
  alice: { tools: [...of("vault", ["read", "read_all", "stir", "hold", "release"]), "desk__read"], whole: ["vault"] },
  bob: { tools: ["desk__read"], whole: [] },
  wide: { tools: [...of("vault", TOOLS), "desk__read"], whole: ["vault"] },
  narrow: { tools: ["vault__write"], whole: [] },
};
const PLACES = { mcp: ALL, "both/mcp": ALL, "some/mcp": SOME } as const;

let proxy: RunningProxy;
const tokens = new Map<Who, string>();
const headersOf = (who: Who): Record<string, string> => bearer(tokens.get(who) ?? "");

beforeAll(async () => {
  proxy = await startOffice({
    mcpProxy: {
      users: {
        alice: { password: "password of alice", allowed_tools: ["desk:*", "vault:*"], denied_tools: ["vault:write"] },
        bob: { password: "password of bob", allowed_tools: ["desk:read*", "desk:stir"] },
      },
      apiKeys: {
        "sk-of-wide": { client_id: "wide", scopes: ["*"] },
        "sk-of-narrow": { client_id: "narrow", scopes: ["vault:write"] },
      },
      options: { oauth2: { enabled: true, persistenceDir: "state" } },
    },
    groups: {
      both: { servers: ["desk", "vault"] },
      some: { servers: ["vault", "desk"], tools: ["desk:read", "vault:*"], options: { oauth2: { enabled: true } } },
    },
  });
  tokens.set("wide", "sk-of-wide").set("narrow", "sk-of-narrow");
  for (const who of ["alice", "bob"] as const) tokens.set(who, await logInAs(proxy.url, who));
});
afterAll(() => proxy[Symbol.asyncDispose]());

type Kind = "SDK 1.x" | "SDK 1.x over SSE" | "SDK 2.x, legacy" | "SDK 2.x, modern";

async function open(kind: Kind, path: string, who: Who): Promise<Client1> {
  const url = new URL(`${proxy.url}/${path}`);
  const requestInit = { headers: headersOf(who) };
  if (kind === "SDK 2.x, legacy" || kind === "SDK 2.x, modern") {
    const mode = kind === "SDK 2.x, modern" ? "auto" : "legacy";
    const client = new Client2({ name: "two", version: "2" }, { versionNegotiation: { mode } });
    await client.connect(new Transport2(url, { requestInit }));
    return client as unknown as Client1;
  }
  const client = new Client1({ name: "one", version: "1" });
  const overSse = new URL(url.href.replace(/mcp$/, "sse"));
  await client.connect(
    kind === "SDK 1.x" ? new Transport1(url, { requestInit }) : new SSEClientTransport(overSse, { requestInit }),
  );
  return client;
}

const said = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    (value) => JSON.stringify(value),
    (error: unknown) => `${(error as { code?: number }).code} ${(error as Error).message}`,
  );

for (const kind of ["SDK 1.x", "SDK 1.x over SSE", "SDK 2.x, legacy", "SDK 2.x, modern"] as const) {
  describe(kind, () => {
    for (const [path, shares] of Object.entries(PLACES)) {
      test(`everybody sees and uses at /${path} what is his, and nothing else`, async () => {
        await Promise.all(
          WHO.map(async (who) => {
            const { tools, whole } = shares[who];
            const client = await open(kind, path, who);
            expect([who, (await client.listTools()).tools.map(({ name }) => name)]).toEqual([who, [...tools]]);
            for (const server of ["desk", "vault"]) {
              for (const tool of ["read", "write"]) {
                for (const name of [`${server}__${tool}`, `${server}:${tool}`, `${server}_${tool}`]) {
                  const answer = await said(client.callTool({ name, arguments: {} }));
                  if (tools.includes(`${server}__${tool}`)) expect(answer).toContain(`${server} ${tool} ran`);
                  else
                    expect([who, answer]).toEqual([
                      who,
                      expect.stringMatching(new RegExp(`^-32602 .*Unknown tool: ${name}$`)),
                    ]);
                }
              }
              const prompt = await said(client.getPrompt({ name: `${server}__greet` }));
              const ref = { type: "ref/prompt" as const, name: `${server}__greet` };
              const value = await said(client.complete({ ref, argument: { name: "a", value: "" } }));
              if (whole.includes(server))
                expect(prompt + value).toMatch(new RegExp(`${server} greets.*${server} value`));
              else {
                expect([who, prompt]).toEqual([who, expect.stringMatching(/-32602 .*Unknown prompt: \w+__greet$/)]);
                expect([who, value]).toEqual([who, expect.stringMatching(/-32602 /)]);
              }
            }
            expect((await client.listPrompts()).prompts.map(({ name }) => name).toSorted()).toEqual(
              whole.map((server) => `${server}__greet`),
            );
            const { resources } = await client.listResources();
            expect([resources.length, (await client.listResourceTemplates()).resourceTemplates.length]).toEqual([
              whole.length,
              whole.length,
            ]);
            const texts = await Promise.all(resources.map(({ uri }) => said(client.readResource({ uri }))));
            for (const server of whole) expect(texts.join()).toContain(`${server} memo`);
            if (whole.length === 0)
              for (const uri of ["memo://one", "memo://desk/one", "memo://vault/one"])
                expect([who, await said(client.readResource({ uri }))]).toEqual([
                  who,
                  expect.stringMatching(new RegExp(`^-32(602|002) .*${uri}$`)),
                ]);
            await client.close();
          }),
        );
      });
    }
  });
}

test("nobody is told how to use what is not his, in neither era, at no URL", async () => {
  for (const [who, path, told] of [
    ["alice", "mcp", ["desk", "vault"]],
    ["bob", "mcp", ["desk"]],
    ["narrow", "both/mcp", ["vault"]],
    ["narrow", "vault/mcp", ["vault"]],
    ["narrow", "desk/mcp", []],
  ] as const) {
    const raw = await RawClient.open(`${proxy.url}/${path}`, { headers: headersOf(who) });
    const modern = new ModernClient(`${proxy.url}/${path}`, { headers: headersOf(who) }).request("server/discover");
    for (const text of [raw.introduction.text, (await modern.answer()).text])
      for (const server of ["desk", "vault"] as const)
        expect([who, path, server, text.includes(`how to use ${server}`)]).toEqual([
          who,
          path,
          server,
          (told as readonly string[]).includes(server),
        ]);
  }
});

const LISTENED =
  '"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["memo://one"]}';

for (const path of ["mcp", "some/mcp"] as const) {
  test(`what servers say reaches at /${path} only those who may use what it is about`, async () => {
    const url = `${proxy.url}/${path}`;
    const legacy = await Promise.all(
      WHO.map(async (who) => {
        const raw = await RawClient.open(url, { headers: headersOf(who) });
        const stream = await raw.listen();
        await raw.request("tools/list").answer();
        await raw.request("resources/subscribe", '{"uri":"memo://one"}').answer();
        return { who, raw, stream };
      }),
    );
    const modern = WHO.map((who) => ({
      who,
      stream: new ModernClient(url, { headers: headersOf(who) }).request("subscriptions/listen", LISTENED),
    }));
    const granted = new Map<Who, unknown>();
    for (const { who, stream } of modern) {
      const { message } = await stream.method("notifications/subscriptions/acknowledged");
      granted.set(
        who,
        (message.params?.["notifications"] as Record<string, unknown> | undefined)?.["resourceSubscriptions"],
      );
    }
    expect([granted.get("wide"), granted.get("bob"), granted.get("narrow")]).toEqual([["memo://one"], [], []]);
    const [server, away] = path === "mcp" ? ["desk", "narrow"] : ["vault", "bob"];
    const [part] = path === "mcp" ? ["bob"] : ["narrow"];
    const wide = await RawClient.open(`${proxy.url}/${server}/mcp`, { headers: headersOf("wide") });
    await wide.call("stir").answer();
    const methods = (stream: { said: readonly { message: { method?: string } }[] }): unknown[] => [
      ...new Set(stream.said.map(({ message }) => message.method)),
    ];
    for (const all of [legacy, modern]) {
      for (const { who, stream } of all)
        if (who === "wide" || who === "alice") await stream.method("notifications/resources/updated");
      const find = (who: string): (typeof all)[number]["stream"] | undefined =>
        all.find((each) => each.who === who)?.stream;
      await find(part)?.method("notifications/tools/list_changed");
    }
    // Whatever was said before this answer was said, or not, to everybody.
    for (const { raw } of legacy) await raw.request("ping").answer();
    const told = (who: string, all: typeof legacy | typeof modern): unknown[] =>
      methods(all.find((each) => each.who === who)?.stream ?? { said: [] }).filter(
        (method) => method !== "notifications/subscriptions/acknowledged",
      );
    for (const all of [legacy, modern]) {
      expect(told(part, all)).toEqual(["notifications/tools/list_changed"]);
      expect(told(away, all)).toEqual([]);
    }
    for (const { raw } of legacy) raw.vanish();
    for (const { stream } of modern) stream.abort.abort();
  });
}

test("calls are kept with the endpoint they came by, also those that reach no server", async () => {
  const kept = (fields: Record<string, unknown>): unknown =>
    proxy.log.find((line) => Object.entries(fields).every(([key, value]) => line[key] === value));
  const narrow = await RawClient.open(`${proxy.url}/mcp`, { headers: headersOf("narrow") });
  await narrow.call("nobody_has_this").answer();
  await new ModernClient(`${proxy.url}/both/mcp`, { headers: headersOf("narrow") }).call("desk__read").answer();
  for (const line of [
    { client: "narrow", endpoint: "all servers", server: "vault", tool: "write", outcome: "ok" },
    { client: "narrow", endpoint: "both", server: "vault", tool: "read", outcome: "denied" },
    { client: "narrow", endpoint: "both", server: "desk", tool: "read", outcome: "denied" },
    { user: "bob", endpoint: "some", server: "desk", tool: "read", outcome: "ok" },
    { client: "narrow", endpoint: "all servers", server: "", tool: "nobody_has_this", outcome: "denied" },
  ])
    await proxy.logged((each) => Object.entries(line).every(([key, value]) => each[key] === value));
  expect(kept({ tool: "desk__read" })).toBeUndefined();
});
