import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { referenceServer, startReference } from "../support/reference-server.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { SDK_CLIENTS } from "../support/sdk-clients.ts";
import type { Way } from "../support/sdk-clients.ts";

/** Real clients of both generations in front of real servers of both, over all transports. */

for (const era of ["legacy", "modern"] as const) {
  for (const transport of ["stdio", "http"] as const) {
    describe(`a ${era} server over ${transport}`, () => {
      const clean = new AsyncDisposableStack();
      let proxy: RunningProxy;
      const url = (): string => `${proxy.url}/it/mcp`;
      const command = referenceServer(era);
      const ways: (readonly [string, () => Way])[] = [
        ["", url],
        [" over a bridge", () => [url()]],
        ...(transport === "stdio" ? [[" with --stdio", () => ["--stdio", "--", ...command]] as const] : []),
      ];

      beforeAll(async () => {
        if (transport === "stdio") {
          proxy = clean.use(await startProxy({ it: { command: command[0], args: command.slice(1), roots: true } }));
          return;
        }
        const { entry } = clean.use(await startReference(era));
        proxy = clean.use(await startProxy({ it: entry }));
      });
      afterAll(() => clean.disposeAsync());

      for (const [name, connect] of SDK_CLIENTS) {
        test(`${name}: lists, calls, prompts, reads and sees progress`, async () => {
          const client = await connect(url());
          expect(await client.tools()).toContain("test_elicitation");
          expect(await client.call("test_simple_text")).toContain("text");
          expect(await client.prompt("test_simple_prompt")).toHaveProperty("messages");
          expect(await client.read("test://static-text")).toHaveProperty("contents");
          const seen: number[] = [];
          await client.call("test_tool_with_progress", (progress) => seen.push(progress));
          // A client of the SDK that reads some together with the answer drops them, also without a proxy.
          expect(seen.length).toBeGreaterThan(0);
          expect(seen).toEqual([0, 50, 100].slice(0, seen.length));
          await client.close();
        });

        for (const [how, way] of ways)
          test(`${name}${how}: is asked by elicitation, sampling and for roots, several times in one call`, async () => {
            const client = await connect(way());
            expect(await client.call("test_input_required_result_elicitation")).toContain("Ada");
            expect(await client.call("test_input_required_result_sampling")).toContain("Paris");
            expect(await client.call("test_input_required_result_list_roots")).toContain("file:///somewhere");
            expect(await client.call("test_input_required_result_multi_round")).not.toContain('"isError":true');
            await client.close();
          });

        for (const [how, way] of ways)
          test(`${name}${how}: hears that the tools have changed`, async () => {
            const client = await connect(way());
            const { heard } = await client.listening();
            await client.call("test_trigger_tool_change");
            await heard;
            await client.close();
          });
      }
    });
  }
}
