import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient } from "./raw-client.ts";

const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-restart-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("where there is a state, owners of tasks and ended sessions are known again after a kill", async () => {
  const server = new RelayServer();
  await using end = new RelayHttp(server);
  const open = { ...end.entry, isolation: "shared", options: { oauth2: { enabled: false }, authTokens: [] } };
  const start = (port?: number): Promise<RunningProxy> =>
    startProxy(
      { it: open },
      {
        directory,
        ...(port === undefined ? {} : { port }),
        mcpProxy: {
          options: {
            oauth2: { enabled: true, users: { alice: "correct horse" }, persistenceDir: join(directory, "s") },
          },
        },
      },
    );
  const first = await start();
  const url = `${first.url}/it/mcp`;
  const [mine, other, gone] = [await RawClient.open(url), await RawClient.open(url), await RawClient.open(url)];
  const inbox = mine.request("tools/call", '{"name":"long","arguments":{},"task":{"ttl":60000}}');
  (await server.call("long")).result('{"task":{"taskId":"t-1","status":"working"}}');
  await inbox.answer();
  expect(await gone.end()).toBe(204);
  await first.stop("SIGKILL");

  const second = await start(first.port);
  expect(await gone.call("echo").status()).toBe(404);
  const refused = await other.request("tasks/get", '{"taskId":"t-1"}').answer();
  expect(refused.message.error?.code).toBe(-32602);
  const asked = mine.request("tasks/get", '{"taskId":"t-1"}');
  (await server.request("tasks/get")).result('{"taskId":"t-1","status":"completed"}');
  expect((await asked.answer()).text).toContain('"completed"');
  // And nobody becomes its owner by having asked.
  expect((await other.request("tasks/cancel", '{"taskId":"t-1"}').answer()).message.error?.code).toBe(-32602);
  await second.stop();
});
