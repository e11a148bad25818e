import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { loadConfig } from "../../src/config/load.ts";
import { Daemon } from "../../src/daemon.ts";
import type { Clock } from "../../src/telemetry/clock.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";

const K = "io.modelcontextprotocol/";
const META = `"_meta":{"${K}protocolVersion":"2026-07-28","${K}clientCapabilities":{"elicitation":{},"sampling":{}}}`;
const LONG_MS = 10 * 60_000;

test("a client that never comes back: its questions are declined after 10 minutes, its call is taken back, its state is worth nothing", async () => {
  const server = new RelayServer();
  await using end = new RelayStdio(server);
  const late: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    // What lasts so long happens when the test says so.
    after: (ms, act) => {
      if (ms < LONG_MS) return systemClock.after(ms, act);
      late.push(act);
      return () => undefined;
    },
  };
  const source = { kind: "text", text: JSON.stringify({ mcpServers: { it: end.entry } }), name: "test" } as const;
  const directory = tmpdir();
  const { config } = await loadConfig(source, { env: {}, cwd: directory, home: directory, fetch, overrides: {} });
  if (config === undefined) throw new Error("the configuration is not read");
  const silent = (): void => {};
  const daemon = new Daemon(config, {
    log: { debug: silent, info: silent, warn: silent, error: silent },
    keys: { keys: [randomBytes(32)], warning: undefined },
    clock,
    random: Math.random,
    version: "0",
    onPanic: silent,
  });
  let heard = Promise.withResolvers<Record<string, { requestState?: string; code?: number }>>();
  const stdio = await daemon.startStdio((line) =>
    heard.resolve(JSON.parse(line) as Record<string, { requestState?: string; code?: number }>),
  );
  const call = (more = ""): void =>
    stdio.line(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"asks","arguments":{},${META}${more}}}`);
  call();
  const asked = await server.call("asks");
  const answers = [
    asked.ask("elicitation/create", '{"message":"?","requestedSchema":{}}', '"e"'),
    asked.ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', '"s"'),
  ];
  const { result } = await heard.promise;
  expect(result).toHaveProperty("resultType", "input_required");
  for (const act of late.splice(0)) act();
  const [elicited, sampled] = await Promise.all(answers);
  expect(elicited?.message.result).toEqual({ action: "cancel" });
  expect(sampled?.message.error?.code).toBe(-32000);
  await asked.cancelled();

  heard = Promise.withResolvers();
  call(`,"inputResponses":{"k1":{"action":"decline"}},"requestState":${JSON.stringify(result?.requestState)}`);
  expect((await heard.promise)["error"]?.code).toBe(-32602);
  expect(server.count("tools/call")).toBe(1);
  stdio.close();
  await daemon.stop();
});
