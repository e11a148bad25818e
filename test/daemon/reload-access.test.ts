import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { EventReader, HttpClient, connect } from "../http/client.ts";
import { until } from "../upstream/processes.ts";
import { Launched, Place, faulty } from "./launch.ts";

const bearer = (token: string): Record<string, string> => ({ Authorization: `Bearer ${token}` });
const behind = (...authTokens: string[]): Record<string, unknown> => faulty({}, { options: { authTokens } });

describe("after a reload", () => {
  const place = new Place();
  let proxy: Launched;
  const url = (): string => `${proxy.url}/it/mcp`;

  beforeAll(async () => {
    place.write({ it: behind("first", "second") });
    proxy = await Launched.up(place);
  });
  afterAll(async () => {
    await proxy.stop();
    place[Symbol.dispose]();
  });

  test("a token that was removed opens nothing more, the others go on, and the process stays", async () => {
    const first = await connect(url(), bearer("first"));
    const second = await connect(url(), bearer("second"));
    const pid = await second.call("pid");
    place.write({ it: behind("second", "third") });
    await proxy.reload();
    expect((await first.request("ping")).status).toBe(401);
    expect((await first.fetch("GET")).status).toBe(401);
    expect(await second.call("pid")).toBe(pid);
    expect(await (await connect(url(), bearer("third"))).call("pid")).toBe(pid);
  });

  test("a stream that a removed token had opened ends, and those of others stay", async () => {
    place.write({ it: behind("first", "second") });
    await proxy.reload();
    const first = await connect(url(), bearer("first"));
    const second = await connect(url(), bearer("second"));
    const [gone, stays] = [new EventReader(await first.fetch("GET")), new EventReader(await second.fetch("GET"))];
    await gone.until("\n\n");
    await stays.until("\n\n");
    place.write({ it: behind("second") });
    await proxy.reload();
    const heard = await Promise.race([gone.rest(), Bun.sleep(5_000).then(() => "still open")]);
    expect(heard).not.toBe("still open");
    await second.call("change");
    await stays.until("list_changed");
    expect(gone.text).not.toContain("list_changed");
    await Promise.all([gone.close(), stays.close()]);
  });

  test("a server that was open and now wants a token ends the streams of strangers", async () => {
    place.write({ it: faulty() });
    await proxy.reload();
    const stranger = await connect(url());
    const events = new EventReader(await stranger.fetch("GET"));
    await events.until("\n\n");
    place.write({ it: behind("second") });
    await proxy.reload();
    expect((await stranger.request("ping")).status).toBe(401);
    const heard = await Promise.race([events.rest(), Bun.sleep(5_000).then(() => "still open")]);
    expect(heard).not.toBe("still open");
    await events.close();
  });
});

/** A port that was free a moment ago. */
function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

describe("another address", () => {
  test("is opened, the old one is closed, sessions go on, and a call in flight at the old one finishes", async () => {
    using place = new Place();
    const ledger = place.file("ledger");
    const it = faulty({ FAULT_LEDGER: ledger });
    place.write({ it });
    await using proxy = await Launched.up(place);
    const old = proxy.url;
    const client = await connect(`${old}/it/mcp`);
    const pid = await client.call("pid");
    const go = place.file("go");
    const inFlight = client.call("until", { file: go });
    await until("the server has the call", () => readFileSync(ledger, "utf8").includes("until"));
    const port = freePort();
    place.write({ it }, { addr: `127.0.0.1:${port}` });
    await proxy.reload();
    const moved = new HttpClient(`http://127.0.0.1:${port}/it/mcp`);
    moved.session = client.session;
    expect(await moved.call("pid")).toBe(pid);
    const refused = (): Promise<boolean> =>
      fetch(`${old}/livez`, { headers: { Connection: "close" } }).then(
        () => false,
        () => true,
      );
    while (!(await refused())) await Bun.sleep(50);
    // Longer than closing a listener by force would wait.
    await Bun.sleep(2_000);
    writeFileSync(go, "");
    expect(await inFlight).toBe("released");
    expect(existsSync(`/proc/${pid}`)).toBe(true);
  });

  test("that cannot be used changes nothing, and the log names it", async () => {
    using place = new Place();
    using taken = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("mine") });
    const it = faulty();
    place.write({ it });
    await using proxy = await Launched.up(place);
    const client = await connect(`${proxy.url}/it/mcp`);
    const pid = await client.call("pid");
    place.write({ it, other: faulty() }, { addr: `127.0.0.1:${taken.port}` });
    const line = await proxy.reload("what ran before goes on");
    expect(line["msg"]).toContain(`127.0.0.1:${taken.port}`);
    expect(await client.call("pid")).toBe(pid);
    expect((await new HttpClient(`${proxy.url}/other/mcp`).request("ping")).status).toBe(404);
  });
});
