import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { Answer } from "../../src/http1/answer.ts";
import type { Outlet, StreamedBody } from "../../src/http1/answer.ts";
import { BodyBroken } from "../../src/http1/incoming-body.ts";
import type { Incoming } from "../../src/http1/incoming.ts";
import { Dice } from "./hostile-requests.ts";
import { TEXT, bodyOf, serve } from "./server.ts";
import { Wire, ask, eventually } from "./wire.ts";

const GET = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";

function sha(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A stream that a test writes to. */
class Written implements StreamedBody {
  outlet: Outlet | undefined;
  drains = 0;
  leaves = 0;
  readonly #first: string;

  constructor(first = "") {
    this.#first = first;
  }

  open(outlet: Outlet): string {
    this.outlet = outlet;
    return this.#first;
  }

  forget(): void {
    this.outlet = undefined;
    this.leaves = 0;
  }

  drained(): void {
    this.drains++;
  }

  left(): void {
    this.leaves++;
  }
}

/** What was sent in chunks, read back by nobody's code but this. */
function unchunked(text: string): { body: Buffer; whole: boolean } {
  const bytes = Buffer.from(text, "latin1");
  const parts: Buffer[] = [];
  for (let at = bytes.indexOf("\r\n\r\n") + 4; ;) {
    const end = bytes.indexOf("\r\n", at);
    if (end === -1) return { body: Buffer.concat(parts), whole: false };
    const size = Number.parseInt(bytes.toString("latin1", at, end), 16);
    if (size === 0) return { body: Buffer.concat(parts), whole: bytes.toString("latin1", end) === "\r\n\r\n" };
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    expect(bytes.toString("latin1", end + 2 + size, end + 4 + size)).toBe("\r\n");
    at = end + 4 + size;
  }
}

describe("a body comes out as it went in:", () => {
  const dice = new Dice(7);
  const large = Buffer.from(Array.from({ length: 3_000_000 }, () => dice.below(256)));
  test("3 MB in chunks of every size", async () => {
    await using server = serve(async (request) => new Answer(200, TEXT, sha(await bodyOf(request))));
    using wire = await Wire.to(server.port);
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    const parts: Buffer[] = [];
    for (let at = 0; at < large.length;) {
      const piece = large.subarray(at, at + 1 + dice.below(dice.once(4) ? 200_000 : 9));
      at += piece.length;
      parts.push(
        Buffer.from(`${piece.length.toString(16)}${dice.once(5) ? ";a=b" : ""}\r\n`),
        piece,
        Buffer.from("\r\n"),
      );
    }
    const wired = Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
    for (let at = 0; at < wired.length;) {
      const size = 1 + dice.below(dice.once(3) ? 400_000 : 100);
      wire.send(wired.subarray(at, at + size));
      at += size;
      if (dice.once(3)) await new Promise((next) => setImmediate(next));
    }
    await wire.closed;
    expect(wire.text).toEndWith(sha(large));
  });
  test("3 MB with a length, read more slowly than it comes, then a request in the same packet", async () => {
    await using server = serve(async (request) => {
      const hash = createHash("sha256");
      for (let part = await request.body.next(); part !== undefined; part = await request.body.next()) {
        hash.update(part);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      return new Answer(200, TEXT, hash.digest("hex"));
    });
    using wire = await Wire.to(server.port);
    wire.send(
      Buffer.concat([
        Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${large.length}\r\n\r\n`),
        large,
        Buffer.from("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
      ]),
    );
    await wire.closed;
    expect(wire.text).toContain(sha(large));
    expect(wire.text).toEndWith(sha(Buffer.alloc(0)));
  });
  test("characters of several bytes, one byte in a packet and a chunk", async () => {
    await using server = serve(async (request) => new Answer(200, TEXT, (await bodyOf(request)).toString()));
    using wire = await Wire.to(server.port);
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const byte of Buffer.from("\u20ac \ud83d\ude00 \u00e4")) {
      wire.send(Buffer.from([0x31, 13, 10, byte, 13, 10]));
      await new Promise((next) => setImmediate(next));
    }
    wire.send("0\r\n\r\n");
    await wire.closed;
    expect(Buffer.from(wire.text, "latin1").toString()).toEndWith("\u20ac \ud83d\ude00 \u00e4");
  });
});

describe("an answer arrives as it was given", () => {
  // Characters of one to four bytes, so that a socket that is full cuts some of them.
  const text = "a\u00e4\u20ac\ud83d\ude00".repeat(2_000_000);
  test("when it is 20 MB of text or bytes, and is read slowly", async () => {
    for (const body of [text, new Uint8Array(Buffer.from(text))]) {
      await using server = serve(() => new Answer(200, TEXT, body, { closes: true }));
      using wire = await Wire.to(server.port);
      wire.socket.pause();
      wire.send(GET);
      for (let times = 0; times < 10; times++) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        wire.socket.resume();
        await new Promise((next) => setImmediate(next));
        wire.socket.pause();
      }
      wire.socket.resume();
      await wire.closed;
      const got = Buffer.from(wire.text.slice(wire.text.indexOf("\r\n\r\n") + 4), "latin1");
      expect(sha(got)).toBe(sha(Buffer.from(text)));
    }
  });
  test("when it is a stream whose writer goes on whenever there is room", async () => {
    const stream = new Written(text.slice(0, 1_000));
    const piece = "a\u00e4\u20ac\ud83d\ude00".repeat(20_000);
    let left = 60;
    const go = (): void => {
      for (; left > 0; left--) {
        if (stream.outlet?.write(piece) === false) {
          left--;
          return;
        }
      }
      stream.outlet?.end("the end");
    };
    stream.drained = go;
    await using server = serve(() => new Answer(200, TEXT, stream));
    using wire = await Wire.to(server.port);
    wire.socket.pause();
    wire.send(GET);
    await eventually(() => stream.outlet !== undefined);
    go();
    wire.socket.resume();
    await wire.until("the end\r\n0\r\n\r\n");
    const { body, whole } = unchunked(wire.text);
    expect(whole).toBeTrue();
    expect(sha(body)).toBe(sha(Buffer.from(`${text.slice(0, 1_000)}${piece.repeat(60)}the end`)));
    expect(stream.leaves).toBe(0);
    // The connection goes on.
    wire.text = "";
    wire.send("nonsense\r\n\r\n");
    await wire.until("HTTP/1.1 400");
  });
  test("to HTTP/1.0 without chunks, up to the end of the connection", async () => {
    const stream = new Written("begin ");
    await using server = serve(() => new Answer(200, TEXT, stream));
    using wire = await Wire.to(server.port);
    wire.send("GET / HTTP/1.0\r\nHost: here\r\n\r\n");
    await wire.until("begin ");
    stream.outlet?.write("middle ");
    stream.outlet?.end("end");
    await wire.closed;
    expect(wire.text.slice(wire.text.indexOf("\r\n\r\n") + 4)).toBe("begin middle end");
    expect(wire.text).toContain("Connection: close");
    expect(wire.text).not.toContain("chunked");
  });
});

describe("a client that sends and sends is held back", () => {
  /** How much a client could write before nobody took any more. */
  async function poured(wire: Wire, bytes: (piece: number) => string, limit: number): Promise<number> {
    let sent = 0;
    for (let piece = 0; sent < limit; piece++) {
      const text = bytes(piece);
      if (!wire.socket.write(Buffer.from(text, "latin1"))) {
        const drained = new Promise<true>((resolve) => wire.socket.once("drain", () => resolve(true)));
        const full = new Promise<false>((resolve) => setTimeout(() => resolve(false), 300));
        if (!(await Promise.race([drained, full]))) return sent;
      }
      sent += text.length;
    }
    return sent;
  }
  const LIMIT = 60_000_000;

  test("in a body that nobody reads", async () => {
    for (const framing of [`Content-Length: ${LIMIT * 2}`, "Transfer-Encoding: chunked"]) {
      let asked: Incoming | undefined;
      await using server = serve((request) => {
        asked = request;
        return new Promise(() => undefined);
      });
      using wire = await Wire.to(server.port);
      wire.send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
      const chunk = framing.startsWith("C")
        ? "a".repeat(100_000)
        : `${(99_990).toString(16)}\r\n${"a".repeat(99_990)}\r\n`;
      expect(await poured(wire, () => chunk, LIMIT)).toBeLessThan(LIMIT);
      // What has been read already is there, and comes when it is asked for, and room is made again.
      const first = await asked?.body.next();
      expect(first?.length).toBeLessThan(2_000_000);
      for (let more = 0; more < 100; more++) wire.send(chunk);
      for (let read = 0; read < 9_000_000;) read += (await asked?.body.next())?.length ?? Number.NaN;
      wire.socket.destroy();
      // Who is held back is not heard of when it leaves, until somebody reads again.
      const broken = await drain(asked as Incoming).catch((error: unknown) => error);
      expect(broken).toBeInstanceOf(BodyBroken);
      expect(asked?.left).toBeTrue();
    }
  });
  test("in requests ahead of the answer", async () => {
    await using server = serve(() => new Promise(() => undefined));
    using wire = await Wire.to(server.port);
    expect(await poured(wire, () => GET.repeat(1_000), LIMIT)).toBeLessThan(LIMIT);
  });
  test("in requests whose answers it does not read", async () => {
    let answered = 0;
    await using server = serve(() => {
      answered++;
      return new Answer(200, TEXT, "x".repeat(10_000));
    });
    using wire = await Wire.to(server.port);
    wire.socket.pause();
    expect(await poured(wire, () => GET.repeat(1_000), LIMIT)).toBeLessThan(LIMIT);
    expect(answered).toBeLessThan(5_000);
    // And all of it goes on when it does.
    const before = answered;
    wire.socket.resume();
    await eventually(() => answered > before + 1_000);
  });
});

async function drain(request: Incoming): Promise<void> {
  while ((await request.body.next()) !== undefined);
}

describe("a client that leaves is heard of once,", () => {
  test("before its request, in its head, in its body, while it waits, in a stream, behind all of it", async () => {
    const seen: Incoming[] = [];
    const errors: unknown[] = [];
    const stream = new Written("begin");
    await using server = serve(async (request) => {
      seen.push(request);
      if (request.url.endsWith("/wait")) return new Promise(() => undefined);
      if (request.url.endsWith("/stream")) return new Answer(200, TEXT, stream);
      await bodyOf(request).catch((error: unknown) => void errors.push(error));
      return new Answer(200, TEXT, "done");
    });
    const leave = async (bytes: string, when: () => boolean, reset: boolean): Promise<Incoming | undefined> => {
      seen.length = 0;
      const wire = await Wire.to(server.port);
      wire.send(bytes);
      await eventually(() => when() || wire.text.includes("done"));
      let calls = 0;
      const streams = bytes.includes("/stream");
      if (!streams) seen[0]?.onLeft(() => void calls++);
      if (reset) wire.socket.resetAndDestroy();
      else wire.socket.destroy();
      if (seen[0] !== undefined && !streams && !wire.text.includes("done")) {
        await eventually(() => seen[0]?.left === true);
        expect(calls).toBe(1);
        seen[0].onLeft(() => void calls++);
        expect(calls).toBe(2);
      }
      return seen[0];
    };
    for (const reset of [false, true]) {
      await leave("", () => true, reset);
      await leave("GET / HT", () => true, reset);
      errors.length = 0;
      await leave("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello", () => seen.length > 0, reset);
      await leave(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        () => seen.length > 0,
        reset,
      );
      await eventually(() => errors.length === 2);
      await leave("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", () => seen.length > 0, reset);
      stream.forget();
      // Also where only the stream wants to hear it.
      await leave("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", () => stream.outlet !== undefined, reset);
      await eventually(() => stream.leaves > 0);
      expect(stream.leaves).toBe(1);
      // What is still said to it is said to nobody.
      expect(stream.outlet?.write("more")).toBeTrue();
      stream.outlet?.end("the end");
      stream.outlet?.cut();
      const behind = await leave("GET / HTTP/1.1\r\nHost: a\r\n\r\n", () => false, reset);
      expect(behind?.left).toBeFalse();
    }
    expect(server.failures).toEqual([]);
  });
  test("by a stream too that is only opened after it has left", async () => {
    const stream = new Written();
    let answer: ((answer: Answer) => void) | undefined;
    let asked: Incoming | undefined;
    await using server = serve((request) => {
      asked = request;
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    const wire = await Wire.to(server.port);
    wire.send(GET);
    await eventually(() => answer !== undefined);
    wire.socket.destroy();
    await eventually(() => asked?.left === true);
    answer?.(new Answer(200, TEXT, stream));
    await eventually(() => stream.leaves > 0);
    expect([stream.leaves, stream.outlet]).toEqual([1, undefined]);
  });
  test("and its address is still known then", async () => {
    let asked: Incoming | undefined;
    await using server = serve((request) => {
      asked = request;
      return new Promise(() => undefined);
    });
    const wire = await Wire.to(server.port);
    wire.send(GET);
    await eventually(() => asked !== undefined);
    wire.socket.resetAndDestroy();
    await eventually(() => asked?.left === true);
    // Nobody must take it for somebody on a Unix socket, who is believed whatever is said of addresses.
    expect(asked?.peer.address).toBe("127.0.0.1");
  });
});

test("who answers before the body is there never takes the beginning for all of it", async () => {
  const outcomes: unknown[] = [];
  await using server = serve((request) => {
    void bodyOf(request).then(
      (body) => outcomes.push(body.toString()),
      (error: unknown) => outcomes.push(error),
    );
    return new Promise((resolve) => setTimeout(() => resolve(new Answer(408, TEXT, "late")), 20));
  });
  using wire = await Wire.to(server.port);
  wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
  await wire.until("late");
  wire.send("world").send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  await wire.closed;
  expect(outcomes[0]).toBeInstanceOf(BodyBroken);
  expect(wire.text.match(/HTTP\/1\.1 408/g)).toHaveLength(2);
});

test("a stream that is cut ends in the middle, which its client can see", async () => {
  const stream = new Written("begin");
  await using server = serve(() => new Answer(200, TEXT, stream));
  using wire = await Wire.to(server.port);
  wire.send(GET);
  await wire.until("begin");
  stream.outlet?.cut();
  await wire.closed;
  expect(unchunked(wire.text).whole).toBeFalse();
  await eventually(() => stream.leaves === 1);
});

test("chunks of one byte cost as much memory as their bytes", async () => {
  let asked: Incoming | undefined;
  await using server = serve((request) => {
    asked = request;
    return new Promise(() => undefined);
  });
  using wire = await Wire.to(server.port);
  wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  wire.send("1\r\na\r\n".repeat(100_000));
  let parts = 0;
  await eventually(() => asked !== undefined);
  for (let read = 0; read < 100_000; parts++) read += (await asked?.body.next())?.length ?? Number.NaN;
  expect(parts).toBeLessThan(1_000);
});

test("a body that breaks behind a stream's beginning adds nothing to the stream, which is the last", async () => {
  const stream = new Written("begin");
  await using server = serve(() => new Answer(200, TEXT, stream));
  using wire = await Wire.to(server.port);
  wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  await wire.until("begin");
  wire.send("nonsense\r\n").send(GET);
  // Read before the next connection is.
  await ask(server.port, "nonsense\r\n\r\n");
  stream.outlet?.end("the end");
  await wire.closed;
  expect(unchunked(wire.text).body.toString()).toBe("beginthe end");
  expect(unchunked(wire.text).whole).toBeTrue();
});
