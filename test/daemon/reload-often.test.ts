import { expect, test } from "bun:test";
import { EventReader, connect } from "../http/client.ts";
import { until } from "../upstream/processes.ts";
import { Launched, Place, faulty } from "./launch.ts";
import { childrenOf, descriptorsOf } from "../faults/footprint.ts";

const RELOADS = 50;

test("fifty reloads in a row leave no process and no descriptor behind, and no call is lost meanwhile", async () => {
  using place = new Place();
  const kept = faulty();
  const files = (n: number): void =>
    place.write({ kept, changed: faulty({ N: String(n) }), ...(n % 2 === 0 ? { sometimes: faulty() } : {}) });
  files(0);
  await using proxy = await Launched.up(place);
  const { pid } = proxy.process;
  const clients = [await connect(`${proxy.url}/kept/mcp`), await connect(`${proxy.url}/changed/mcp`)];
  const events = new EventReader(await clients[1]!.fetch("GET"));
  await events.until("\n\n");
  await connect(`${proxy.url}/sometimes/mcp`);
  const before = { children: childrenOf(pid).length, descriptors: descriptorsOf(pid) };
  const first = await clients[0]?.call("pid");
  let over = false;
  let calls = 0;
  const wrong: string[] = [];
  const callers = clients.map(async (client) => {
    while (!over) {
      const nonce = `n${calls++}`;
      const said = await client.call("nonce", { nonce }).catch((error: unknown) => String(error));
      if (said !== nonce) wrong.push(said);
    }
  });
  for (let n = 1; n <= RELOADS; n++) {
    files(n % RELOADS);
    await proxy.reload();
  }
  over = true;
  await Promise.all(callers);
  expect(wrong).toEqual([]);
  expect(calls).toBeGreaterThan(RELOADS);
  expect(await clients[0]?.call("pid")).toBe(first);
  await until("as many processes as before", () => childrenOf(pid).length === before.children);
  await until("as many descriptors as before", () => descriptorsOf(pid) <= before.descriptors + 2);
  await events.close();
});
