import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import { Answer } from "../../src/http1/answer.ts";
import { makeCertificate } from "../support/certificate.ts";
import { program, testWith } from "../support/programs.ts";
import { TEXT, TurnedClock, bodyOf, serve } from "./server.ts";
import { Wire, eventually } from "./wire.ts";

const openssl = program("openssl");
const GET = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";

/** @param run is handed what a server needs for TLS */
function testTls(name: string, run: (tls: { cert: string; key: string }) => Promise<void>): void {
  testWith(openssl, name, async (path) => {
    const directory = mkdtempSync(join(tmpdir(), "http1-"));
    try {
      const { cert, key } = await makeCertificate(path, directory);
      await run({ cert, key });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

function secured(port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => resolve(socket));
    socket.once("error", reject);
  });
}

testTls("over TLS a large answer to a slow reader arrives whole, and one to nobody is cut after 40 s", async (tls) => {
  const text = "a\u00e4\u20ac\ud83d\ude00".repeat(1_500_000);
  const clock = new TurnedClock();
  let asked = 0;
  let left = 0;
  await using server = serve(
    (request) => {
      asked++;
      request.onLeft(() => left++);
      return new Answer(200, TEXT, text);
    },
    clock,
    { tls },
  );
  using slow = new Wire(await secured(server.port));
  slow.send(GET);
  for (let times = 0; times < 20; times++) {
    slow.socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 1));
    slow.socket.resume();
    await new Promise((next) => setImmediate(next));
  }
  const length = Buffer.byteLength(text);
  await slow.until(() => slow.text.length > length);
  expect(Buffer.from(slow.text.slice(slow.text.indexOf("\r\n\r\n") + 4), "latin1").toString()).toBe(text);
  // And again, on the same connection.
  slow.text = "";
  slow.send(GET);
  await slow.until(() => slow.text.length > length);
  using never = new Wire(await secured(server.port));
  never.socket.pause();
  never.send(GET);
  await eventually(() => asked === 3);
  clock.turn(45_000);
  await eventually(() => left === 1);
});

testTls("over TLS a body comes out as it went in, and a client that sends and sends is held back", async (tls) => {
  await using server = serve(
    async (request) => new Answer(200, TEXT, String((await bodyOf(request)).length)),
    undefined,
    {
      tls,
    },
  );
  using wire = new Wire(await secured(server.port));
  wire.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5000000\r\n\r\n");
  wire.send("a".repeat(5_000_000));
  await wire.closed;
  expect(wire.text).toEndWith("5000000");

  let asked = false;
  await using deaf = serve(
    () => {
      asked = true;
      return new Promise(() => undefined);
    },
    undefined,
    { tls },
  );
  using pours = new Wire(await secured(deaf.port));
  pours.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
  await eventually(() => asked);
  for (let sent = 0; sent < 60; sent++) pours.send(Buffer.alloc(1_000_000));
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(pours.socket.writableLength).toBeGreaterThan(10_000_000);
});

testTls("plain bytes, nonsense and silence on a port with TLS harm nobody, and are closed", async (tls) => {
  const clock = new TurnedClock();
  await using server = serve(() => new Answer(200, TEXT, "fine"), clock, { tls });
  for (const bytes of [GET, "\0".repeat(1_000), "\x16\x03\x01\xff\xff", "\x16\x03\x01\0\x05hello"]) {
    using wire = await Wire.to(server.port);
    wire.send(bytes);
    // Half of a record may be waited for, as long as for a request.
    await eventually(() => {
      clock.turn(1_000);
      return wire.over;
    });
    expect(wire.text).not.toContain("fine");
  }
  using silent = await Wire.to(server.port);
  // Let in before the clock turns.
  using wire = new Wire(await secured(server.port));
  wire.send(GET);
  await wire.until("fine");
  clock.turn(45_000);
  await silent.closed;
  expect(server.failures).toEqual([]);
});

test("on a Unix socket there are no addresses", async () => {
  const directory = mkdtempSync(join(tmpdir(), "http1-"));
  const unix = join(directory, "a.sock");
  let address: string | null | undefined;
  await using server = serve(
    ({ peer }) => {
      address = peer.address;
      return new Answer(200, TEXT, "fine", { closes: true });
    },
    undefined,
    { at: { unix } },
  );
  expect(server.port).toBe(0);
  using wire = new Wire(connect(unix));
  wire.send(GET);
  await wire.closed;
  expect(wire.text).toEndWith("fine");
  expect(address).toBeNull();
  rmSync(directory, { recursive: true });
});

test("a port that is taken is not shared", async () => {
  await using server = serve(() => new Answer(200, TEXT));
  expect(() =>
    serve(() => new Answer(200, TEXT), undefined, { at: { hostname: "127.0.0.1", port: server.port } }),
  ).toThrow();
});

test("who comes when there are enough is turned away; those who are here go on, and leave room", async () => {
  let crowded = 0;
  await using server = serve(() => new Answer(200, TEXT, "fine"), undefined, {
    maxConnections: 2,
    crowded: () => void crowded++,
  });
  const first = await Wire.to(server.port);
  using second = await Wire.to(server.port);
  for (const wire of [first, second]) {
    wire.send(GET);
    await wire.until("fine");
  }
  using third = await Wire.to(server.port);
  await third.closed;
  expect(third.text).toBe("");
  expect(crowded).toBe(1);
  first[Symbol.dispose]();
  // The server hears of that a moment later.
  for (let answered = false; !answered;) {
    using fourth = await Wire.to(server.port);
    fourth.send(GET);
    answered = await fourth.until("fine").then(
      () => true,
      () => false,
    );
  }
});
