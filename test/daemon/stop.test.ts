import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EventReader, HttpClient, INITIALIZE, connect } from "../http/client.ts";
import { until } from "../upstream/processes.ts";
import { childrenOf } from "../faults/footprint.ts";
import { Launched, Place, faulty } from "./launch.ts";

/** What a drain looks like from outside, with one call that holds it open until `release`. */
async function draining(place: Place): Promise<{
  proxy: Launched;
  client: HttpClient;
  events: EventReader;
  inFlight: Promise<string>;
  release: () => void;
}> {
  const ledger = place.file("ledger");
  place.write({ it: faulty({ FAULT_LEDGER: ledger }), idle: faulty() }, { drainSeconds: 20 });
  const proxy = await Launched.up(place);
  const client = await connect(`${proxy.url}/it/mcp`);
  const events = new EventReader(await client.fetch("GET"));
  await events.until("\n\n");
  const go = place.file("go");
  const inFlight = client.call("until", { file: go });
  await until("the server has the call", () => readFileSync(ledger, "utf8").includes("until"));
  await proxy.after("stopping: 1 call in flight", () => proxy.process.kill("SIGTERM"));
  return { proxy, client, events, inFlight, release: () => writeFileSync(go, "") };
}

describe("SIGTERM with a call in flight", () => {
  test("refuses what is new with 503 and Retry-After, finishes the call, ends streams and children, and exits 0", async () => {
    using place = new Place();
    const { proxy, client, events, inFlight, release } = await draining(place);
    const children = childrenOf(proxy.process.pid);
    expect(children.length).toBeGreaterThan(0);
    const refused = await client.request("tools/call", { name: "pid", arguments: {} });
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused.last.error?.message).toContain("stop");
    const hello = await new HttpClient(client.url).send(INITIALIZE);
    expect(hello.status).toBe(503);
    expect(hello.headers.get("retry-after")).not.toBeNull();
    expect((await fetch(`${proxy.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${proxy.url}/livez`)).status).toBe(200);
    release();
    expect(await inFlight).toBe("released");
    // Properly: an end of the body, not a reset of the connection.
    await events.rest();
    expect(await proxy.process.exited).toBe(0);
    await until("no child is left", () => children.every((pid) => !existsSync(`/proc/${pid}`)));
  });

  test("takes notifications and answers to questions until the end: the call may need them", async () => {
    using place = new Place();
    const { proxy, client, inFlight, release } = await draining(place);
    expect((await client.send({ jsonrpc: "2.0", method: "notifications/initialized" })).status).toBe(202);
    expect((await client.send({ jsonrpc: "2.0", id: 99, result: {} })).status).toBe(202);
    release();
    expect(await inFlight).toBe("released");
    expect(await proxy.process.exited).toBe(0);
  });

  test("and a second signal stops now", async () => {
    using place = new Place();
    const { proxy, inFlight } = await draining(place);
    const lost = inFlight.catch(() => "lost");
    const children = childrenOf(proxy.process.pid);
    const asked = performance.now();
    expect(await proxy.stop("SIGINT")).toBe(0);
    // Far below the 20 s of the drain.
    expect(performance.now() - asked).toBeLessThan(8_000);
    expect(await lost).toBe("lost");
    await until("no child is left", () => children.every((pid) => !existsSync(`/proc/${pid}`)));
  });

  test("a call that outlasts drainSeconds gets an error and does not hold the exit", async () => {
    using place = new Place();
    const ledger = place.file("ledger");
    place.write({ it: faulty({ FAULT_LEDGER: ledger }) }, { drainSeconds: 3 });
    await using proxy = await Launched.up(place);
    const client = await connect(`${proxy.url}/it/mcp`);
    const hanging = client.request("tools/call", { name: "hang", arguments: {} });
    await until("the server has the call", () => readFileSync(ledger, "utf8").includes("hang"));
    expect(await proxy.stop()).toBe(0);
    const { status, last } = await hanging;
    expect(status).toBe(200);
    expect(last.error?.message).toMatch(/^it: /);
  });
});

describe("SIGTERM", () => {
  test("servers that will not end are killed before the time to drain is over", async () => {
    using place = new Place();
    const deaf = { command: "sh", args: ["-c", "trap '' TERM; echo up >&2; while :; do sleep 1; done"] };
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`deaf${n}`, deaf]));
    const ledger = place.file("ledger");
    // Deaf as well, and with a call in flight it begins to end late.
    const script = `trap '' TERM; ${process.execPath} ${join(import.meta.dir, "../fixtures/fault-server.ts")}; sleep 300`;
    const late = { command: "sh", args: ["-c", script], env: { FAULT_LEDGER: ledger } };
    place.write({ ...many, late }, { drainSeconds: 5 });
    await using proxy = await Launched.up(place);
    const client = await connect(`${proxy.url}/late/mcp`);
    const hanging = client.request("tools/call", { name: "hang", arguments: {} });
    await until("the server has the call", () => readFileSync(ledger, "utf8").includes("hang"));
    const children = childrenOf(proxy.process.pid);
    expect(children.length).toBeGreaterThan(30);
    expect(await proxy.stop()).toBe(0);
    expect(proxy.log.find(({ msg }) => msg === "servers that did not end in time were killed")?.["killed"]).toBe(1);
    await until("no child is left", () => children.every((pid) => !existsSync(`/proc/${pid}`)));
    await hanging;
  });

  test("while children are still connecting ends them too", async () => {
    using place = new Place();
    const ledger = place.file("ledger");
    const env = { FAULT_LEDGER: ledger };
    place.write({
      hangs: faulty({ ...env, FAULT_MODE: "hang" }),
      slow: faulty({ ...env, FAULT_DELAY: "60000" }),
      noisy: faulty({ ...env, FAULT_MODE: "garbage" }),
    });
    await using proxy = await Launched.up(place);
    const waiting = new HttpClient(`${proxy.url}/slow/mcp`).send(INITIALIZE);
    const starts = (): string[] => (existsSync(ledger) ? (readFileSync(ledger, "utf8").match(/start \d+/g) ?? []) : []);
    await until("all have started", () => starts().length === 3);
    const asked = performance.now();
    expect(await proxy.stop()).toBe(0);
    expect(performance.now() - asked).toBeLessThan(10_000);
    expect((await waiting).status).toBe(503);
    for (const start of starts()) expect(existsSync(`/proc/${start.split(" ")[1]}`)).toBe(false);
  });

  test("right after the start, before anything is connected, exits 0", async () => {
    using place = new Place();
    place.write({ a: faulty(), b: faulty() });
    await using proxy = new Launched(place);
    await proxy.said("listening on ");
    expect(await proxy.stop()).toBe(0);
  });

  test("while a reload waits for its source starts nothing any more", async () => {
    using place = new Place();
    place.write({ a: faulty() });
    const ledger = place.file("ledger");
    const { promise: asked, resolve: wasAsked } = Promise.withResolvers<void>();
    const { promise: go, resolve: release } = Promise.withResolvers<void>();
    const text = (servers: object): string =>
      JSON.stringify({ mcpProxy: { addr: "127.0.0.1:0", drainSeconds: 20 }, mcpServers: servers });
    let requests = 0;
    using source = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async () => {
        if (requests++ === 0) return new Response(text({ a: faulty({ FAULT_LEDGER: ledger }) }));
        wasAsked();
        await go;
        return new Response(text({ a: faulty({ FAULT_LEDGER: ledger }), late: faulty({ FAULT_LEDGER: ledger }) }));
      },
    });
    await using proxy = await Launched.up(place, { args: ["--config", `${source.url.href}c.json`] });
    const client = await connect(`${proxy.url}/a/mcp`);
    const gate = place.file("go");
    const inFlight = client.call("until", { file: gate });
    await until("the server has the call", () => readFileSync(ledger, "utf8").includes("until"));
    proxy.process.kill("SIGHUP");
    await asked;
    await proxy.after("stopping", () => proxy.process.kill("SIGTERM"));
    release();
    // The source's answer is there before the call ends: only then could the reload do harm.
    await Bun.sleep(500);
    writeFileSync(gate, "");
    expect(await inFlight).toBe("released");
    expect(await proxy.process.exited).toBe(0);
    expect(readFileSync(ledger, "utf8").match(/start/g)).toHaveLength(1);
    expect(proxy.log.some(({ msg }) => String(msg).includes("was taken over"))).toBe(false);
  });
});
