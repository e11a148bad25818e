import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { directory } from "../config/helpers.ts";
import { program, testWith } from "../support/programs.ts";
import { authorizeUrl, client as registerClient, logIn, openPage, pkce, startLogin, submit } from "../oauth/login.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { connect, tools } from "./client.ts";

const TOKEN = "the-token-of-this-test-0123";
const OTHER = "another-token-of-this-test";
const SECRET = "very-secret-part-of-a-name";
const FORWARDED = { "X-Forwarded-For": "203.0.113.9" };

async function scrape(proxy: RunningProxy, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(`${proxy.url}/metrics`, { headers });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
  return await response.text();
}

/** The value of one series, whatever the order of its labels. */
function value(text: string, name: string, labels: Record<string, string> = {}): number | undefined {
  for (const line of text.split("\n")) {
    const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match?.[1] !== name) continue;
    const found = Object.fromEntries(
      [...(match[2] ?? "").matchAll(/(\w+)="([^"]*)"/g)].map((each) => [each[1], each[2]]),
    );
    if (Bun.deepEquals(found, labels)) return Number(match[3]);
  }
  return undefined;
}

describe("/metrics", () => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    proxy = await startProxy({
      shut: tools({ options: { authTokens: [TOKEN] } }),
      other: tools({ options: { authTokens: [OTHER] } }),
      [`hook/${SECRET}`]: tools({ options: { authTokens: [TOKEN] } }),
      broken: { command: "no-such-command-anywhere", options: { authTokens: [TOKEN] } },
    });
    const client = await connect(`${proxy.url}/shut/mcp`, { Authorization: `Bearer ${TOKEN}` });
    await client.call("echo", { text: "counted" });
    await client.request("tools/call", { name: "no-such-tool" });
    const secret = await connect(`${proxy.url}/hook/${SECRET}/mcp`, { Authorization: `Bearer ${TOKEN}` });
    await secret.call("echo");
    await fetch(`${proxy.url}/shut/mcp`, { method: "POST", headers: { Authorization: "Bearer wrong" } });
    await proxy.logged((line) => line["code"] === "upstream.not_found");
    await proxy.logged((line) => line["msg"] === "upstream ready" && line["server"] === "other");
  });
  afterAll(() => proxy[Symbol.asyncDispose]());

  test("counts requests by server and outcome, and how long they took", async () => {
    const text = await scrape(proxy);
    const of = (outcome: string): number | undefined =>
      value(text, "mcp_proxy_requests_total", { server: "shut", outcome });
    expect([of("ok"), of("error"), of("failed"), of("cancelled")]).toEqual([1, 1, 0, 0]);
    const all = value(text, "mcp_proxy_request_duration_seconds_count", { server: "shut" });
    expect(all).toBe(2);
    expect(value(text, "mcp_proxy_request_duration_seconds_bucket", { server: "shut", le: "+Inf" })).toBe(2);
    expect(value(text, "mcp_proxy_requests_refused_total", { server: "shut", status: "401" })).toBe(1);
    expect(value(text, "mcp_proxy_exchanges_in_flight", { server: "shut" })).toBe(0);
    expect(value(text, "mcp_proxy_connections", { server: "shut" })).toBe(1);
    expect(value(text, "mcp_proxy_upstream_up", { server: "shut" })).toBe(1);
    expect(value(text, "mcp_proxy_upstream_up", { server: "broken" })).toBe(0);
    expect(
      value(text, "mcp_proxy_upstream_failures_total", { server: "broken", code: "upstream.not_found" }),
    ).toBeGreaterThanOrEqual(1);
    expect(value(text, "mcp_proxy_sessions")).toBe(2);
  });

  test("never shows a secret, also not one that is part of a name", async () => {
    const text = await scrape(proxy);
    for (const secret of [SECRET, TOKEN, OTHER]) expect(text).not.toContain(secret);
    expect(value(text, "mcp_proxy_requests_total", { server: "hook", outcome: "ok" })).toBe(1);
  });

  test("strangers are refused, and a credential shows its own servers", async () => {
    for (const headers of [{ ...FORWARDED }, { ...FORWARDED, Authorization: "Bearer wrong" }]) {
      const response = await fetch(`${proxy.url}/metrics`, { headers });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
      expect(await response.text()).not.toContain("shut");
    }
    const mine = await scrape(proxy, { ...FORWARDED, Authorization: `Bearer ${TOKEN}` });
    expect(mine).toContain('server="shut"');
    expect(mine).not.toContain('server="other"');
  });

  test("a child that dies is counted, and so is its successor", async () => {
    const client = await connect(`${proxy.url}/other/mcp`, { Authorization: `Bearer ${OTHER}` });
    const pid = Number(await client.call("pid"));
    const lost = client.request("tools/call", { name: "hang" });
    // The one before it has been read when this one is answered.
    await client.call("echo");
    process.kill(pid, "SIGKILL");
    expect((await lost).last.error?.data).toMatchObject({ code: "upstream.exited" });
    await proxy.logged((line) => line["msg"] === "upstream ready again" && line["server"] === "other");
    const text = await scrape(proxy);
    expect(value(text, "mcp_proxy_upstream_restarts_total", { server: "other" })).toBe(1);
    expect(value(text, "mcp_proxy_upstream_failures_total", { server: "other", code: "upstream.exited" })).toBe(1);
    expect(value(text, "mcp_proxy_requests_total", { server: "other", outcome: "failed" })).toBe(1);
  });

  testWith(
    program("promtool"),
    "the configuration of docs/operations.md is accepted by Prometheus",
    async (promtool) => {
      const page = await Bun.file(join(import.meta.dir, "../../docs/operations.md")).text();
      const example = /```yaml\n(scrape_configs:[\s\S]*?)```/.exec(page)?.[1] ?? "";
      using dir = directory({ token: TOKEN });
      writeFileSync(
        join(dir.path, "prometheus.yml"),
        example.replace("/etc/prometheus/mcp-proxy.token", join(dir.path, "token")),
      );
      const child = Bun.spawn([promtool, "check", "config", join(dir.path, "prometheus.yml")], { stdout: "pipe" });
      expect(await child.stdout.text()).toContain("is valid prometheus config file syntax");
      expect(await child.exited).toBe(0);
    },
  );

  testWith(program("promtool"), "promtool finds nothing to improve", async (promtool) => {
    const child = Bun.spawn([promtool, "check", "metrics"], { stdin: new Blob([await scrape(proxy)]), stderr: "pipe" });
    expect(await child.stderr.text()).toBe("");
    expect(await child.exited).toBe(0);
  });
});

test("requests that a filter, a right or a limit forbade are counted, in both eras and at the URL of all", async () => {
  await using proxy = await startProxy(
    {
      it: tools({ options: { toolFilter: { mode: "block", list: ["echo"] } }, limits: { requestsPerMinute: 5 } }),
    },
    { mcpProxy: {} },
  );
  const client = await connect(`${proxy.url}/it/mcp`);
  expect((await client.request("tools/call", { name: "echo" })).last.error?.message).toBe("Unknown tool: echo");
  const all = await connect(`${proxy.url}/mcp`);
  await all.request("tools/call", { name: "it__echo" });
  const modern = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const response = await fetch(`${proxy.url}/it/mcp`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": "tools/call",
      "Mcp-Name": "echo",
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "echo", arguments: {}, _meta: modern },
    }),
  });
  expect(await response.text()).toContain("Unknown tool: echo");
  const of = async (outcome: string): Promise<number | undefined> =>
    value(await scrape(proxy), "mcp_proxy_requests_total", { server: "it", outcome });
  expect(await of("denied")).toBe(3);
  expect(await of("limited")).toBe(0);
  for (let n = 0; n < 4; n++) await client.request("tools/call", { name: "echo" });
  expect(await of("limited")).toBeGreaterThan(0);
});

test("logins, registrations and tokens are counted where there is a login", async () => {
  await using proxy = await startLogin();
  const { client_id: id } = await registerClient(proxy.url);
  await logIn(proxy.url, {}, id);
  const page = await openPage(authorizeUrl(proxy.url, { client_id: id, code_challenge: pkce().challenge }));
  expect((await submit(proxy.url, page, { password: "wrong" })).status).toBe(401);
  const text = await scrape(proxy);
  expect(value(text, "mcp_proxy_logins_total", { outcome: "ok" })).toBe(1);
  expect(value(text, "mcp_proxy_logins_total", { outcome: "wrong_password" })).toBe(1);
  expect(value(text, "mcp_proxy_logins_total", { outcome: "throttled" })).toBe(0);
  expect(value(text, "mcp_proxy_client_registrations_total")).toBe(1);
  expect(value(text, "mcp_proxy_tokens_issued_total")).toBe(1);
  expect(value(text, "mcp_proxy_tokens_unused_total")).toBe(0);
  for (const secret of [id, "alice"]) expect(text).not.toContain(secret);
});
