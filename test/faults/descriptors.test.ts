import { expect, test } from "bun:test";
import type { Socket } from "node:net";
import { Launched, Place, faulty } from "../daemon/launch.ts";
import { connect } from "../http/client.ts";
import { dial } from "../http/raw.ts";
import { until } from "../upstream/processes.ts";
import { descriptorsOf } from "./footprint.ts";
import { Ledger } from "./ledger.ts";

const LIMIT = 64;

test(`with ${LIMIT} descriptors and more clients than that it goes on, and serves again when they have left`, async () => {
  using place = new Place();
  const ledger = new Ledger(place.file("ledger"));
  place.write({ it: faulty({ FAULT_LEDGER: ledger.file }) });
  const limited = ["sh", "-c", `ulimit -n ${LIMIT}; exec "$@"`, "sh"];
  await using proxy = await Launched.up(place, { before: limited });
  const port = Number(new URL(proxy.url).port);
  const client = await connect(`${proxy.url}/it/mcp`);
  const pid = Number(await client.call("pid"));
  const sockets: Socket[] = [];
  for (let n = 0; n < LIMIT * 3; n++) {
    const socket = await dial(port);
    socket.on("error", () => undefined);
    // Half a request: it holds its descriptor.
    socket.write("POST /it/mcp HTTP/1.1\r\n");
    sockets.push(socket);
  }
  await until("every descriptor is in use", () => descriptorsOf(proxy.process.pid) >= LIMIT - 1);
  // Now the server dies as well: there is nothing left for the pipes of another one.
  process.kill(pid, "SIGKILL");
  await until("its end is noticed", () => proxy.log.some(({ code }) => code === "upstream.exited"));
  // A reload has no descriptor for reading the file either, and says so instead of failing.
  const told = proxy.log.length;
  proxy.process.kill("SIGHUP");
  await until("the reload is answered", () => proxy.log.slice(told).some(({ msg }) => /taken over/.test(String(msg))));
  expect(proxy.process.exitCode).toBeNull();
  for (const socket of sockets) socket.destroy();
  const deadline = Date.now() + 30_000;
  for (;;) {
    const said = await client.call("nonce", { nonce: "back" }).catch((error: unknown) => String(error));
    if (said === "back") break;
    if (Date.now() > deadline)
      throw new Error(`it does not come back: ${said}\n${JSON.stringify(proxy.log.slice(-5))}`);
    await Bun.sleep(200);
  }
  expect(await proxy.stop()).toBe(0);
}, 60_000);
