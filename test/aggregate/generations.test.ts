import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { referenceServer, startReference } from "../support/reference-server.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { SDK_CLIENTS } from "../support/sdk-clients.ts";
import type { Way } from "../support/sdk-clients.ts";

/** Real clients of both generations in front of servers of both eras and over both transports, served as one. */

const MEMBERS = ["old", "new", "old-http", "new-http"];

describe("servers of both eras at one URL", () => {
  const clean = new AsyncDisposableStack();
  let proxy: RunningProxy;

  async function remote(era: "legacy" | "modern"): Promise<object> {
    return clean.use(await startReference(era)).entry;
  }

  beforeAll(async () => {
    const child = (era: "legacy" | "modern"): object => {
      const [command, ...args] = referenceServer(era);
      return { command, args, roots: true };
    };
    proxy = clean.use(
      await startProxy(
        {
          old: child("legacy"),
          new: child("modern"),
          "old-http": await remote("legacy"),
          "new-http": await remote("modern"),
        },
        { groups: { some: { servers: MEMBERS } } },
      ),
    );
  });
  afterAll(() => clean.disposeAsync());

  const ways: readonly (readonly [string, () => Way])[] = [
    ["/mcp", () => `${proxy.url}/mcp`],
    ["a group", () => `${proxy.url}/some/mcp`],
    ["--stdio", () => ["--config", join(proxy.directory, "config.json"), "--stdio"]],
    ["/sse", () => `${proxy.url}/sse`],
    ["a bridge", () => [`${proxy.url}/mcp`]],
  ];
  for (const [how, way] of ways) {
    for (const [name, connect] of how === "/sse" ? SDK_CLIENTS.slice(0, 1) : SDK_CLIENTS) {
      test(`${name} at ${how}: lists, calls, prompts, reads, sees progress, is asked, hears of changes`, async () => {
        const client = await connect(way());
        const tools = await client.tools();
        for (const member of MEMBERS) {
          expect(tools).toContain(`${member}__test_elicitation`);
          const tool = (tool: string): string => `${member}__${tool}`;
          expect(await client.call(tool("test_simple_text"))).toContain("text");
          expect(await client.prompt(tool("test_simple_prompt"))).toHaveProperty("messages");
          const seen: number[] = [];
          await client.call(tool("test_tool_with_progress"), (progress) => seen.push(progress));
          // A client of the SDK that reads some together with the answer drops them, also without a proxy.
          expect(seen.length).toBeGreaterThan(0);
          expect(seen).toEqual([0, 50, 100].slice(0, seen.length));
          expect(await client.call(tool("test_input_required_result_elicitation"))).toContain("Ada");
          expect(await client.call(tool("test_input_required_result_sampling"))).toContain("Paris");
          expect(await client.call(tool("test_input_required_result_list_roots"))).toContain("file:///somewhere");
          expect(await client.call(tool("test_input_required_result_multi_round"))).not.toContain('"isError":true');
          const { heard } = await client.listening();
          await client.call(tool("test_trigger_tool_change"));
          await heard;
        }
        expect(await client.read("test://static-text")).toHaveProperty("contents");
        await client.close();
      });
    }
  }
});
