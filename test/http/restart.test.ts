import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProxy } from "../support/proxy.ts";
import type { ProxyOptions, RunningProxy } from "../support/proxy.ts";
import { EventReader, HttpClient, connect, tools } from "./client.ts";

const PING = { jsonrpc: "2.0", id: 1, method: "ping" };
const TOKEN = "the-token-of-this-test-0123";

function folder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "mcp-proxy-restart-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const SERVERS = { a: tools(), shut: tools({ options: { authTokens: [TOKEN] } }) };

/** The same client after the proxy has moved. */
function moved(client: HttpClient, proxy: RunningProxy): HttpClient {
  const next = new HttpClient(proxy.url + new URL(client.url).pathname, client.headers);
  next.session = client.session;
  return next;
}

async function statusOf(client: HttpClient): Promise<number> {
  return (await client.send(PING)).status;
}

describe("a session survives", () => {
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    test(`${signal} of the proxy, its principal bound as before, and is told to look at the lists again`, async () => {
      using directory = folder();
      const first = await startProxy(SERVERS, { directory: directory.path });
      const open = await connect(`${first.url}/a/mcp`);
      const shut = await connect(`${first.url}/shut/mcp`, { Authorization: `Bearer ${TOKEN}` });
      const ended = await connect(`${first.url}/a/mcp`);
      await first.stop(signal);

      await using second = await startProxy(SERVERS, { directory: directory.path });
      const after = moved(open, second);
      expect(await after.call("echo", { text: "still here" })).toBe("still here");
      const events = new EventReader(await after.fetch("GET"));
      await events.until("notifications/tools/list_changed");
      await events.close();
      expect(await moved(shut, second).call("echo", { text: "me too" })).toBe("me too");

      const stranger = moved(shut, second);
      expect(await statusOf(new HttpClient(stranger.url, { Authorization: "Bearer wrong" }))).toBe(401);
      const elsewhere = new HttpClient(`${second.url}/a/mcp`);
      elsewhere.session = shut.session;
      expect(await statusOf(elsewhere)).toBe(404);

      // Ended in this life of the proxy before anything else brought it back.
      const last = moved(ended, second);
      expect((await last.fetch("DELETE")).ok).toBeTrue();
      expect(await statusOf(last)).toBe(404);
    });
  }

  test("a GET stream as the first request after a restart", async () => {
    using directory = folder();
    const first = await startProxy(SERVERS, { directory: directory.path });
    const client = await connect(`${first.url}/a/mcp`);
    await first.stop("SIGKILL");
    await using second = await startProxy(SERVERS, { directory: directory.path });
    const events = new EventReader(await moved(client, second).fetch("GET"));
    await events.until("notifications/tools/list_changed");
    await events.close();
  });
});

describe("the sealing key", () => {
  test("lies in a directory of its own that others cannot read", async () => {
    await using proxy = await startProxy(SERVERS);
    const state = join(proxy.directory, "state");
    const key = join(state, "secret.key");
    expect((statSync(state).mode & 0o777).toString(8)).toBe("700");
    expect((statSync(key).mode & 0o777).toString(8)).toBe("600");
    expect(Buffer.from(readFileSync(key, "utf8").trim(), "base64")).toHaveLength(32);
  });

  test("of another proxy opens nothing", async () => {
    await using one = await startProxy(SERVERS);
    await using two = await startProxy(SERVERS);
    const client = await connect(`${one.url}/a/mcp`);
    expect(await statusOf(moved(client, two))).toBe(404);
  });

  test("from MCP_PROXY_SECRET works on another replica, MCP_PROXY_SECRET_OLD still opens, and no child sees either", async () => {
    const [old, fresh] = [Buffer.alloc(32, 1).toString("base64"), Buffer.alloc(32, 2).toString("base64")];
    const print = { spy: { ...tools(), passEnvironment: true } };
    const start = (env: Record<string, string>): Promise<RunningProxy> => startProxy({ ...SERVERS, ...print }, { env });
    await using before = await start({ MCP_PROXY_SECRET: old });
    await using replica = await start({ MCP_PROXY_SECRET: old });
    await using rotated = await start({ MCP_PROXY_SECRET: fresh, MCP_PROXY_SECRET_OLD: old });
    await using after = await start({ MCP_PROXY_SECRET: fresh });
    const client = await connect(`${before.url}/a/mcp`);
    expect(await statusOf(moved(client, replica))).toBe(200);
    expect(await statusOf(moved(client, rotated))).toBe(200);
    expect(await statusOf(moved(client, after))).toBe(404);
    const newer = await connect(`${rotated.url}/a/mcp`);
    expect(await statusOf(moved(newer, after))).toBe(200);
    expect(await statusOf(moved(newer, before))).toBe(404);
    const spy = await connect(`${rotated.url}/spy/mcp`);
    const environment = readFileSync(`/proc/${await spy.call("pid")}/environ`, "utf8");
    expect(environment).toContain("PATH=");
    expect(environment).not.toContain("MCP_PROXY_SECRET");
    expect(JSON.stringify([...rotated.log, ...before.log])).not.toContain(old);
  });

  for (const [what, secret] of [
    ["too short", "c2hvcnQ="],
    ["not base64", "!".repeat(44)],
    ["too long", Buffer.alloc(48).toString("base64")],
  ] as const) {
    test(`in the environment that is ${what} ends the start with exit code 1 and names the variable, not the value`, async () => {
      const failure = await failedStart({ env: { MCP_PROXY_SECRET: secret } });
      expect(failure).toContain("ended with 1");
      expect(failure).toContain("MCP_PROXY_SECRET");
      expect(failure).not.toContain(secret);
    });
  }

  test("that cannot be kept is a warning, and everything works", async () => {
    using directory = folder();
    // A file where the directory should be: that stops root as well.
    writeFileSync(join(directory.path, "state"), "");
    await using proxy = await startProxy(SERVERS, { directory: directory.path });
    const warning = await proxy.logged(
      (line) => line["level"] === "warn" && String(line["msg"]).includes("secret.key"),
    );
    expect(String(warning["msg"])).toContain("MCP_PROXY_SECRET");
    const client = await connect(`${proxy.url}/a/mcp`);
    expect(await statusOf(client)).toBe(200);
  });

  test("that is damaged is a warning too, and is left as it is", async () => {
    using directory = folder();
    mkdirSync(join(directory.path, "state"));
    const file = join(directory.path, "state", "secret.key");
    writeFileSync(file, "damaged");
    await using proxy = await startProxy(SERVERS, { directory: directory.path });
    await proxy.logged((line) => line["level"] === "warn" && String(line["msg"]).includes("secret.key"));
    expect(await statusOf(await connect(`${proxy.url}/a/mcp`))).toBe(200);
    expect(readFileSync(file, "utf8")).toBe("damaged");
  });

  test("in a file that others can read is closed to them, or warned about", async () => {
    using directory = folder();
    mkdirSync(join(directory.path, "state"));
    chmodSync(join(directory.path, "state"), 0o755);
    const file = join(directory.path, "state", "secret.key");
    writeFileSync(file, Buffer.alloc(32, 7).toString("base64"));
    chmodSync(file, 0o644);
    await using proxy = await startProxy(SERVERS, { directory: directory.path });
    const warned = proxy.log.some((line) => line["level"] === "warn" && String(line["msg"]).includes("secret.key"));
    expect(warned || (statSync(file).mode & 0o077) === 0).toBeTrue();
  });
});

async function failedStart(options: ProxyOptions): Promise<string> {
  try {
    await using started = await startProxy(SERVERS, options);
    return `started: ${started.url}`;
  } catch (error) {
    return String(error);
  }
}
