/**
 * The long form of the fault tests, `make soak`: 60 s of kills under load, then idle sessions with a stream each.
 * FAULT_SEED plays a run again. Exit code 1 when a call was wrong or lost, or a number is missed.
 */
import { connect as dial } from "node:net";
import type { Socket } from "node:net";
import { Launched, Place, faulty } from "../daemon/launch.ts";
import { HttpClient, connect } from "../http/client.ts";
import { memoryOf } from "./footprint.ts";
import { Storm } from "./storm.ts";

const CALLS = 20_000;
const KILLS = 20;
const SESSIONS = 5_000;
/** DESIGN: an open session with a stream. */
const BUDGET_BYTES = 10 * 1024;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function storm(seed: number): Promise<boolean> {
  await using running = new Storm({
    seed,
    ms: 60_000,
    calls: CALLS,
    kills: KILLS,
    servers: 4,
    callers: 16,
    everyMs: 2_000,
    proxyEvery: 5,
  });
  const { wrong, ...counts } = await running.run();
  say(`storm: ${JSON.stringify({ seed, ...counts, wrong: wrong.length })}`);
  for (const what of wrong.slice(0, 20)) say(`  wrong: ${what}`);
  return wrong.length === 0 && counts.calls >= CALLS && counts.kills >= KILLS;
}

/** A stream that is open and read, over a socket of its own: a pool of connections would open only a few. */
function listen(port: number, session: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const head = `GET /it/mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nMcp-Session-Id: ${session}\r\n\r\n`;
    const socket = dial(port, "127.0.0.1", () => socket.write(head));
    socket.once("data", (chunk: Buffer) => {
      if (chunk.toString().startsWith("HTTP/1.1 200")) resolve(socket);
      else reject(new Error(`no stream: ${chunk.toString()}`));
    });
    socket.once("error", reject);
  });
}

async function settled(pid: number): Promise<number> {
  let least = Infinity;
  for (let n = 0; n < 10; n++) {
    await Bun.sleep(500);
    least = Math.min(least, memoryOf(pid));
  }
  return least;
}

async function idleSessions(): Promise<boolean> {
  using place = new Place();
  place.write({ it: faulty() });
  await using proxy = await Launched.up(place);
  const { pid } = proxy.process;
  const port = Number(new URL(proxy.url).port);
  const first = await connect(`${proxy.url}/it/mcp`);
  // Warm: what is compiled and allocated once is not counted as a session's.
  for (let n = 0; n < 2_000; n++) await first.call("nonce", { nonce: String(n) });
  const before = await settled(pid);
  const sockets: Socket[] = [];
  const opening = Array.from({ length: 20 }, async () => {
    while (sockets.length + 20 <= SESSIONS) {
      const client = new HttpClient(`${proxy.url}/it/mcp`);
      await client.initialize();
      const socket = await listen(port, String(client.session));
      socket.on("data", () => undefined);
      sockets.push(socket);
    }
  });
  await Promise.all(opening);
  const each = ((await settled(pid)) - before) / sockets.length;
  let told = 0;
  const all = Promise.withResolvers<number>();
  for (const socket of sockets) {
    socket.on("data", (chunk: Buffer) => {
      if (chunk.includes("list_changed") && ++told === sockets.length) all.resolve(performance.now());
    });
  }
  const asked = performance.now();
  await first.call("change");
  const reached = (await Promise.race([all.promise, Bun.sleep(10_000).then(() => Infinity)])) - asked;
  say(
    `sessions: ${sockets.length} with a stream each, ${(each / 1024).toFixed(1)} KB each; list_changed reached ${told} in ${Math.round(reached)} ms`,
  );
  for (const socket of sockets) socket.destroy();
  return each <= BUDGET_BYTES && told === sockets.length;
}

const seed = Number(process.env["FAULT_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
say(`seed: ${seed}`);
const good = [await storm(seed), await idleSessions()];
process.exit(good.every(Boolean) ? 0 : 1);
