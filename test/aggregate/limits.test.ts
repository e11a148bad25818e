import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { auditLines, bearer, startOffice } from "../auth/office.ts";
import { ModernClient } from "../relay/modern-client.ts";
import { RawClient } from "../relay/raw-client.ts";
import type { Inbox } from "../relay/raw-client.ts";

/** What is counted and kept of requests to several servers at one URL: each once. */

const apiKeys = { "sk-of-wide-01234567": { client_id: "wide", scopes: ["*"] } };
const headers = bearer("sk-of-wide-01234567");

async function relayed(url: string): Promise<number> {
  const status = (await (await fetch(`${url}/status`, { headers })).json()) as {
    servers: { desk: { requests: number } };
  };
  return status.servers.desk.requests;
}

describe("of requests a minute", () => {
  const each: readonly (readonly [string, string])[] = [
    ["tools/list", "{}"],
    ["prompts/list", "{}"],
    ["resources/list", "{}"],
    ["tools/call", '{"name":"desk__read"}'],
    ["tools/call", '{"name":"nobody_has_this"}'],
    ["prompts/get", '{"name":"nobody_has_this"}'],
    ["prompts/get", '{"name":"vault__greet"}'],
    ["resources/read", '{"uri":"memo://one"}'],
    ["resources/read", '{"uri":"nothing://like/that"}'],
    ["completion/complete", '{"ref":{"type":"ref/prompt","name":"none"},"argument":{"name":"a","value":""}}'],
    ["vendor/method", "{}"],
  ];

  for (const era of ["legacy", "modern"] as const) {
    test(`every request of a ${era} client counts once, whatever becomes of it`, async () => {
      const all = [
        ...each,
        ...(era === "legacy"
          ? ([
              ["logging/setLevel", '{"level":"error"}'],
              ["tasks/list", "{}"],
            ] as const)
          : []),
      ];
      await using proxy = await startOffice({ mcpProxy: { apiKeys, limits: { requestsPerMinute: all.length } } });
      await proxy.logged((line) => String(line["msg"]).includes("<vault> Adding tool release"));
      const url = `${proxy.url}/mcp`;
      const raw = era === "legacy" ? await RawClient.open(url, { headers }) : undefined;
      const modern = new ModernClient(url, { headers });
      const ask = (method: string, params: string): Inbox => {
        const name = /"(?:name|uri)":"([^"]*)"/.exec(params)?.[1];
        const named = /^(tools\/call|prompts\/get|resources\/read)$/.test(method) ? { "mcp-name": name ?? "" } : {};
        return raw === undefined ? modern.request(method, params.slice(1, -1), named) : raw.request(method, params);
      };
      for (const [method, params] of all) {
        const asked = ask(method, params);
        await asked.answer();
        expect([method, params, await asked.status()]).not.toEqual([method, params, 429]);
      }
      for (const [method, params] of all) {
        const asked = ask(method, params);
        expect([method, params, await asked.status()]).toEqual([method, params, 429]);
        expect(Number(await asked.header("retry-after"))).toBeGreaterThan(0);
        expect((await asked.answer()).message.error?.code).toBe(-32000);
      }
    });
  }

  test("a refusal keeps its Retry-After where a resource has another URI here", async () => {
    await using proxy = await startOffice({ mcpProxy: { apiKeys, limits: { requestsPerMinute: 1 } } });
    const raw = await RawClient.open(`${proxy.url}/mcp`, { headers });
    const first = raw.request("resources/read", '{"uri":"memo://vault/one"}');
    expect((await first.answer()).text).toContain("vault memo");
    const second = raw.request("resources/read", '{"uri":"memo://vault/one"}');
    expect([await second.status(), Number(await second.header("retry-after")) > 0]).toEqual([429, true]);
  });
});

test("of calls in flight: one place at all URLs together, and one line for each call", async () => {
  const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-joint-"));
  const file = join(directory, "audit.jsonl");
  try {
    await using proxy = await startOffice({ mcpProxy: { apiKeys, limits: { concurrent: 1 }, audit: { file } } });
    const raw = await RawClient.open(`${proxy.url}/mcp`, { headers });
    const held = raw.call("desk__hold", "{}", "1");
    // Until it is on its way to the server.
    while ((await relayed(proxy.url)) === 0) await raw.request("ping", "{}", "0").answer();
    const refused = raw.call("vault__read", "{}", "2");
    expect(await refused.status()).toBe(429);
    const alone = await RawClient.open(`${proxy.url}/vault/mcp`, { headers });
    expect(await alone.call("read").status()).toBe(429);
    expect(await new ModernClient(`${proxy.url}/mcp`, { headers }).call("no_such_tool").status()).toBe(429);
    await raw.notify("notifications/cancelled", '{"requestId":1}');
    await held.ended();
    await raw.call("vault:read", "{}", "3").answer();
    await new ModernClient(`${proxy.url}/mcp`, { headers }).call("no_such_tool").answer();
    expect(auditLines(file).map(({ endpoint, server, tool, outcome }) => [endpoint, server, tool, outcome])).toEqual([
      ["all servers", "vault", "read", "limited"],
      ["vault", "vault", "read", "limited"],
      ["all servers", "", "no_such_tool", "limited"],
      ["all servers", "desk", "hold", "failed"],
      ["all servers", "vault", "read", "ok"],
      ["all servers", "", "no_such_tool", "denied"],
    ]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
