import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ModernClient } from "../relay/modern-client.ts";
import { RawClient } from "../relay/raw-client.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { auditLines, bearer, startOffice } from "./office.ts";

const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-audit-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const KEYS = {
  "sk-wide-0123456789": { client_id: "wide", scopes: ["*"] },
  "sk-narrow-0123456789": { client_id: "narrow", scopes: ["desk:read"] },
};
const WIDE = bearer("sk-wide-0123456789");
const NARROW = bearer("sk-narrow-0123456789");

describe("the audit file", () => {
  test("has one line for each call, allowed, denied and failed, and nobody else may read it", async () => {
    const file = join(directory, "audit.jsonl");
    writeFileSync(file, "");
    chmodSync(file, 0o644);
    await using proxy = await startOffice(
      { mcpProxy: { apiKeys: KEYS, audit: { file } } },
      { options: { logEnabled: false } },
    );
    const wide = await RawClient.open(`${proxy.url}/desk/mcp`, { headers: WIDE });
    await wide.call("read", '{"secret":"argument-4711"}').answer();
    const narrow = await RawClient.open(`${proxy.url}/desk/mcp`, { headers: NARROW });
    await narrow.call("write").answer();
    await narrow.call("wr\\u001b[31mite\\u009b").answer();
    const modern = new ModernClient(`${proxy.url}/vault/mcp`, { headers: WIDE });
    await modern.call("write").answer();
    await new ModernClient(`${proxy.url}/desk/mcp`, { headers: NARROW }).call("write").answer();
    wide.call("hold", "{}", "9");
    await wide.call("read", "{}", "10").answer();
    await wide.notify("notifications/cancelled", '{"requestId":9}');
    await wide.call("read", "{}", "11").answer();
    const lines = auditLines(file);
    expect(lines.map(({ client, server, tool, outcome }) => [client, server, tool, outcome])).toEqual([
      ["wide", "desk", "read", "ok"],
      ["narrow", "desk", "write", "denied"],
      ["narrow", "desk", "wr\u001b[31mite\u009b", "denied"],
      ["wide", "vault", "write", "ok"],
      ["narrow", "desk", "write", "denied"],
      ["wide", "desk", "read", "ok"],
      ["wide", "desk", "hold", "failed"],
      ["wide", "desk", "read", "ok"],
    ]);
    for (const line of lines) {
      expect(line).toMatchObject({ time: expect.any(String), caller: expect.any(String), endpoint: line["server"] });
      expect(Number(line["duration"])).toBeGreaterThanOrEqual(0);
    }
    const text = readFileSync(file, "utf8");
    // oxlint-disable-next-line no-control-regex -- finding them is the point
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|argument-4711|sk-/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(proxy.log.some((line) => "outcome" in line)).toBeFalse();
  });

  test("that was moved away is begun anew", async () => {
    const file = join(directory, "rotated.jsonl");
    await using proxy = await startOffice({ mcpProxy: { apiKeys: KEYS, audit: { file } } });
    const client = await RawClient.open(`${proxy.url}/desk/mcp`, { headers: WIDE });
    await client.call("read").answer();
    renameSync(file, `${file}.1`);
    // It is looked for once a second.
    const deadline = Date.now() + 10_000;
    while (statSync(file, { throwIfNoEntry: false }) === undefined && Date.now() < deadline) {
      await client.call("write").answer();
    }
    expect(auditLines(`${file}.1`)[0]).toMatchObject({ tool: "read" });
    expect(auditLines(file)[0]).toMatchObject({ tool: "write" });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("that cannot be written is said to be so, and its lines are in the log", async () => {
    const folder = join(directory, "not-there");
    const file = join(folder, "audit.jsonl");
    await using proxy = await startOffice({ mcpProxy: { apiKeys: KEYS, audit: { file } } });
    await proxy.logged((line) => String(line["msg"]).includes("the audit file cannot be written (ENOENT)"));
    const client = await RawClient.open(`${proxy.url}/desk/mcp`, { headers: WIDE });
    await client.call("read").answer();
    const kept = await proxy.logged((line) => line["msg"] === "a call that is not in the audit file");
    expect(kept["audit"]).toMatchObject({ client: "wide", tool: "read", outcome: "ok" });
    mkdirSync(folder);
    await client.call("write").answer();
    expect(auditLines(file)).toHaveLength(1);
    const back = await proxy.logged((line) => String(line["msg"]).includes("can be written again"));
    expect(back["lost"]).toBe(1);
  });

  test("without a file the log says it: of those with a name, unless it was told to be silent", async () => {
    await using proxy = await startOffice({ mcpProxy: { apiKeys: KEYS } });
    const client = await RawClient.open(`${proxy.url}/desk/mcp`, { headers: WIDE });
    await client.call("read").answer();
    const line = await proxy.logged((each) => each["outcome"] === "ok");
    expect(line).toMatchObject({ msg: "<desk> read called by wide: ok", client: "wide", endpoint: "desk" });
    await using silent = await startOffice({ mcpProxy: { apiKeys: KEYS, options: { logEnabled: false } } });
    const other = await RawClient.open(`${silent.url}/desk/mcp`, { headers: WIDE });
    await other.call("read").answer();
    await silent.stop();
    expect(silent.log.some((each) => "outcome" in each)).toBeFalse();
  });
});

describe("limits", () => {
  const limited = (limits: object, more: Record<string, unknown> = {}): Promise<RunningProxy> =>
    startOffice({ mcpProxy: { apiKeys: KEYS, limits, ...more } });

  test("of requests a minute: refused with what to do, in both eras, for this caller only", async () => {
    await using proxy = await limited({ requestsPerMinute: 3 });
    const url = `${proxy.url}/desk/mcp`;
    const raw = await RawClient.open(url, { headers: WIDE });
    for (let n = 0; n < 3; n++) expect((await raw.call("read").answer()).message.result).toBeDefined();
    const refused = raw.call("read", "{}", '"mine"');
    const { message } = await refused.answer();
    expect([await refused.status(), message.id, message.error]).toEqual([
      429,
      "mine",
      {
        code: -32000,
        message: expect.stringContaining("3 a minute are allowed"),
        data: { code: "limit.exceeded", retryAfterSeconds: expect.any(Number) },
      },
    ]);
    expect(Number(await refused.header("retry-after"))).toBeGreaterThan(0);
    const modern = new ModernClient(`${proxy.url}/vault/mcp`, { headers: WIDE }).call("read");
    expect([await modern.status(), Number(await modern.header("retry-after")) > 0]).toEqual([429, true]);
    expect((await modern.answer()).message.error?.code).toBe(-32000);
    // Life goes on: a client that may not even say these would think that the server is gone.
    expect((await raw.request("ping").answer()).message.result).toEqual({});
    const other = await RawClient.open(url, { headers: NARROW });
    expect((await other.call("read").answer()).message.result).toBeDefined();
    expect(proxy.log.find((line) => line["outcome"] === "limited")).toMatchObject({ client: "wide", tool: "read" });
  });

  test("of calls in flight: the place is free again when a call ends, however it ends", async () => {
    await using proxy = await limited({ concurrent: 1 });
    const url = `${proxy.url}/desk/mcp`;
    const raw = await RawClient.open(url, { headers: WIDE });
    const held = raw.call("hold", "{}", "1", '{"progressToken":1}');
    await proxy.logged((line) => String(line["msg"]).includes("upstream ready"));
    const refused = raw.call("read", "{}", "2");
    expect(await refused.status()).toBe(429);
    expect((await refused.answer()).text).toContain("Too many calls in flight");
    expect(await new ModernClient(url, { headers: WIDE }).call("read").status()).toBe(429);
    // Lists are no calls.
    expect((await raw.request("tools/list", "{}", "3").answer()).message.result).toBeDefined();
    await raw.notify("notifications/cancelled", '{"requestId":1}');
    await held.ended();
    expect((await raw.call("read", "{}", "4").answer()).message.result).toBeDefined();
    const modern = new ModernClient(url, { headers: WIDE });
    const gone = modern.call("hold");
    const refusal = async (id: string): Promise<boolean> =>
      (await raw.call("read", "{}", id).answer()).message.error !== undefined;
    while (!(await refusal("5"))) {
      // Until the other one has arrived.
    }
    gone.abort.abort();
    const deadline = Date.now() + 5_000;
    while ((await refusal("6")) && Date.now() < deadline) {
      // Until it is noticed that he has left.
    }
    expect((await raw.call("read", "{}", "7").answer()).text).toContain("desk read ran");
  });

  test("of one server are counted there", async () => {
    await using proxy = await startOffice({ mcpProxy: { apiKeys: KEYS } }, { limits: { requestsPerMinute: 2 } });
    const desk = await RawClient.open(`${proxy.url}/desk/mcp`, { headers: WIDE });
    for (const status of [200, 200, 429]) expect(await desk.call("read").status()).toBe(status);
    const vault = await RawClient.open(`${proxy.url}/vault/mcp`, { headers: WIDE });
    expect(await vault.call("read").status()).toBe(200);
  });

  test("over HTTP+SSE the refusal comes on the stream", async () => {
    await using proxy = await limited({ requestsPerMinute: 1 });
    const raw = await RawClient.open(`${proxy.url}/desk/sse`, { headers: WIDE });
    expect((await raw.call("read", "{}", "1").answer()).message.result).toBeDefined();
    expect((await raw.call("read", "{}", "2").answer()).message.error?.message).toContain("1 a minute");
  });
});
