import { expect, test } from "bun:test";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { bearer } from "../auth/office.ts";
import { startProxy } from "../support/proxy.ts";
import { ModernClient } from "./modern-client.ts";
import { RawClient } from "./raw-client.ts";
import type { Posted } from "./modern-client.ts";

/** What `requestState` means for the limit of calls in flight: only the round of a call that goes on has a place. */

const mcpProxy = { limits: { concurrent: 1 } };
const TOKEN = "token-of-a-limited-caller";
const options = { named: { authTokens: [TOKEN] }, anonymous: {} } as const;
const headers = { named: bearer(TOKEN), anonymous: {} } as const;
const DISCOVERED =
  '{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"public"}';
const QUESTION = '"inputRequests":{"who":{"method":"elicitation/create","params":{"message":"?"}}}';

const round = (client: ModernClient, tool: string, state: string, key = "who"): Posted =>
  client.call(tool, `,"inputResponses":{"${key}":{"action":"decline"}},"requestState":${JSON.stringify(state)}`);

for (const who of ["named", "anonymous"] as const) {
  test(`a state that was made up gives no second place to a caller who is ${who}`, async () => {
    const server = new RelayServer();
    await using end = new RelayStdio(server);
    await using proxy = await startProxy({ it: { ...end.entry, options: options[who] } }, { mcpProxy });
    const url = `${proxy.url}/it/mcp`;
    const legacy = await RawClient.open(url, { headers: headers[who] });
    const first = legacy.call("first", "{}", "1");
    const call = await server.call("first");
    const params = '{"name":"second","arguments":{},"requestState":"mine"}';
    expect(await legacy.request("tools/call", params, "2").status()).toBe(429);
    const modern = new ModernClient(url, { headers: headers[who] });
    expect(await round(modern, "second", "mine").status()).toBe(429);
    call.result('{"content":[]}');
    await first.answer();
  });

  test(`the state of a stateless server gives no second place to a caller who is ${who}`, async () => {
    const server = new RelayServer();
    server.automatic.set("server/discover", DISCOVERED);
    await using end = new RelayStdio(server);
    await using proxy = await startProxy({ it: { ...end.entry, options: options[who] } }, { mcpProxy });
    const client = new ModernClient(`${proxy.url}/it/mcp`, { headers: headers[who] });
    const asked = client.call("asks");
    (await server.call("asks")).result(`{"resultType":"input_required",${QUESTION},"requestState":"s"}`);
    const { result } = (await asked.answer()).message as { result: { requestState: string } };
    const going = round(client, "asks", result.requestState);
    const call = await server.call("asks");
    expect(await round(client, "asks", result.requestState).status()).toBe(429);
    call.result('{"resultType":"complete","content":[]}');
    expect((await going.answer()).message.result).toMatchObject({ resultType: "complete" });
  });

  test(`a caller who is ${who} answers the question of the one call there is a place for`, async () => {
    const server = new RelayServer();
    await using end = new RelayStdio(server);
    await using proxy = await startProxy({ it: { ...end.entry, options: options[who] } }, { mcpProxy });
    const client = new ModernClient(`${proxy.url}/it/mcp`, { headers: headers[who] });
    const asked = client.call("asks");
    const call = await server.call("asks");
    const params = '{"message":"?","requestedSchema":{"type":"object","properties":{}}}';
    const answered = call.ask("elicitation/create", params, "7");
    const { result } = (await asked.answer()).message as {
      result: { requestState: string; inputRequests: Record<string, unknown> };
    };
    expect(await client.call("other").status()).toBe(429);
    const [key = ""] = Object.keys(result.inputRequests);
    const last = round(client, "asks", result.requestState, key);
    await answered;
    call.result('{"content":[]}');
    expect((await last.answer()).message.result).toMatchObject({ content: [] });
    const free = client.call("after");
    (await server.call("after")).result('{"content":[]}');
    expect(await free.status()).toBe(200);
  });
}
