import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { EventReader, connect } from "../http/client.ts";
import { until } from "../upstream/processes.ts";
import { Launched, Place, faulty } from "./launch.ts";

const LIST_CHANGED = "notifications/tools/list_changed";

describe("a reload", () => {
  const place = new Place();
  const ledger = place.file("ledger");
  let proxy: Launched;
  const url = (server: string): string => `${proxy.url}/${server}/mcp`;
  const kept = faulty();
  /** How often `changed` differs from before. */
  let generation = 0;
  const changed = (): Record<string, unknown> => faulty({ GENERATION: String(++generation), FAULT_LEDGER: ledger });

  beforeAll(async () => {
    place.write({ kept, changed: changed() });
    proxy = await Launched.up(place);
  });
  afterAll(async () => {
    await proxy.stop();
    place[Symbol.dispose]();
  });

  test("leaves a server that is the same alone: its process, its sessions and their streams", async () => {
    const client = await connect(url("kept"));
    const events = new EventReader(await client.fetch("GET"));
    await events.until("\n\n");
    const pid = await client.call("pid");
    place.write({ kept, changed: changed() });
    await proxy.reload();
    expect(await client.call("pid")).toBe(pid);
    await client.call("change");
    await events.until(LIST_CHANGED);
    await events.close();
  });

  test("starts a changed server anew, and a session of it works on with the same id and the same stream", async () => {
    const client = await connect(url("changed"));
    const events = new EventReader(await client.fetch("GET"));
    await events.until("\n\n");
    const pid = await client.call("pid");
    place.write({ kept, changed: changed() });
    await proxy.reload();
    expect(await client.call("pid")).not.toBe(pid);
    await events.until(LIST_CHANGED);
    await until("the process from before is gone", () => !existsSync(`/proc/${pid}`));
    // What the new process says arrives on the stream from before.
    events.text = "";
    await client.call("change");
    await events.until(LIST_CHANGED);
    await events.close();
  });

  test("lets a call in flight at a changed server finish, while new ones go to the new process", async () => {
    const client = await connect(url("changed"));
    const pid = await client.call("pid");
    const go = place.file("go");
    const inFlight = client.call("until", { file: go });
    await until("the server has the call", () => readFileSync(ledger, "utf8").includes(`until ${go}`));
    place.write({ kept, changed: changed() });
    await proxy.reload();
    expect(await client.call("pid")).not.toBe(pid);
    writeFileSync(go, "");
    expect(await inFlight).toBe("released");
    await until("the process from before is gone", () => !existsSync(`/proc/${pid}`));
  });

  test("adds a server, and removes it with its process and the streams of its sessions", async () => {
    place.write({ kept, changed: changed(), added: faulty() });
    await proxy.reload();
    const client = await connect(url("added"));
    const pid = await client.call("pid");
    const events = new EventReader(await client.fetch("GET"));
    await events.until("\n\n");
    place.write({ kept, changed: changed() });
    await proxy.reload();
    await events.rest();
    expect((await client.request("ping")).status).toBe(404);
    await until("its process is gone", () => !existsSync(`/proc/${pid}`));
  });

  test("takes a filter over without a new process, for lists and calls, and tells the sessions", async () => {
    const client = await connect(url("kept"));
    const events = new EventReader(await client.fetch("GET"));
    await events.until("\n\n");
    const pid = await client.call("pid");
    const toolFilter = { mode: "block", list: ["nonce"] };
    place.write({ kept: { ...kept, options: { toolFilter } } });
    await proxy.reload();
    await events.until(LIST_CHANGED);
    expect((await client.request("tools/list")).text).not.toContain('"nonce"');
    expect((await client.request("tools/call", { name: "nonce", arguments: {} })).last.error?.code).toBe(-32602);
    expect(await client.call("pid")).toBe(pid);
    place.write({ kept });
    await proxy.reload();
    expect(await client.call("nonce", { nonce: "back" })).toBe("back");
    expect(await client.call("pid")).toBe(pid);
    await events.close();
  });

  test("takes a new log level over", async () => {
    expect(proxy.log.some(({ level }) => level === "debug")).toBe(false);
    place.write({ kept }, { log: { level: "debug" } });
    await proxy.reload();
    place.write({ kept, "is-new": faulty() }, { log: { level: "debug" } });
    await proxy.after("connection open", () => proxy.process.kill("SIGHUP"));
    place.write({ kept });
    await proxy.reload();
  });

  test("of a file with mistakes keeps all that runs and says what is wrong, and where", async () => {
    const client = await connect(url("kept"));
    const pid = await client.call("pid");
    const from = proxy.log.length;
    place.replace('{\n  "mcpServers": {\n    "kept": { "command": 7 }\n  }\n}');
    await proxy.reload("was not taken over");
    const said = proxy.log.slice(from).map(({ msg }) => String(msg));
    expect(said.find((line) => line.includes("command"))).toContain(":3:");
    place.replace('{ "mcpServers": {\n oops');
    const again = proxy.log.length;
    await proxy.reload("was not taken over");
    expect(proxy.log.slice(again).some(({ msg }) => /config\.json:2:\d/.test(String(msg)))).toBe(true);
    expect(await client.call("pid")).toBe(pid);
    place.write({ kept });
    await proxy.reload();
    expect(await client.call("pid")).toBe(pid);
  });

  test("that brings a server with panicIfInvalid which cannot start does not end what runs", async () => {
    const client = await connect(url("kept"));
    const pid = await client.call("pid");
    const broken = { command: "no-such-command-here", options: { panicIfInvalid: true } };
    place.write({ kept, broken });
    await proxy.after("upstream failed", () => proxy.process.kill("SIGHUP"));
    expect(await client.call("pid")).toBe(pid);
    expect(proxy.process.exitCode).toBeNull();
    place.write({ kept });
    await proxy.reload();
  });

  test("that takes a token away fails the calls its holder has in flight", async () => {
    const behind = (...authTokens: string[]): object =>
      faulty({ FAULT_LEDGER: ledger, BEHIND: "tokens" }, { options: { authTokens } });
    place.write({ kept, behind: behind("first", "second") });
    await proxy.reload();
    const client = await connect(url("behind"), { Authorization: "Bearer first" });
    const go = place.file("never");
    const inFlight = client.request("tools/call", { name: "until", arguments: { file: go } });
    await until("the server has the call", () => readFileSync(ledger, "utf8").includes(`until ${go}`));
    place.write({ kept, behind: behind("second") });
    await proxy.reload();
    const ended = await Promise.race([inFlight.then(({ text }) => text), Bun.sleep(5_000).then(() => "still open")]);
    expect(ended).not.toBe("still open");
    expect(ended).not.toContain("released");
  });
});
