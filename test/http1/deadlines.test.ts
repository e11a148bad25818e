import { describe, expect, test } from "bun:test";
import { Answer } from "../../src/http1/answer.ts";
import type { Handler } from "../../src/http1/connection.ts";
import type { Incoming } from "../../src/http1/incoming.ts";
import type { RunningServer } from "./server.ts";
import { TEXT, TurnedClock, bodyOf, echo, serve } from "./server.ts";
import { Wire, eventually } from "./wire.ts";

const HEAD = "POST / HTTP/1.1\r\nHost: here\r\n";

class Table implements AsyncDisposable {
  readonly clock = new TurnedClock();
  readonly server: RunningServer;
  opened = 0;
  readonly requests: Incoming[] = [];

  constructor(handler: Handler = echo) {
    this.server = serve((request) => {
      this.requests.push(request);
      return handler(request);
    }, this.clock);
  }

  /** A connection that the server knows, and has read so much of. */
  async wire(bytes = ""): Promise<Wire> {
    const wire = await Wire.to(this.server.port);
    // The server has let in and read whatever was there before an answer to a later connection.
    wire.send(bytes);
    await this.settled();
    return wire;
  }

  /** What was sent before has been read. */
  async settled(): Promise<void> {
    for (let times = 0; times < 3; times++) {
      using probe = await Wire.to(this.server.port);
      const before = this.requests.length;
      probe.send("GET /probe HTTP/1.1\r\nHost: here\r\n\r\n");
      await eventually(() => this.requests.length > before);
      this.requests.splice(
        this.requests.findLastIndex(({ url }) => url.endsWith("/probe")),
        1,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}

describe("closed without a word is who", () => {
  test("says nothing for 40 s", async () => {
    await using table = new Table();
    using wire = await table.wire();
    table.clock.turn(38_000);
    await table.settled();
    expect(wire.over).toBeFalse();
    table.clock.turn(3_000);
    await wire.closed;
    expect(wire.text).toBe("");
  });
  test("says nothing for 40 s behind an answer", async () => {
    await using table = new Table();
    using wire = await table.wire("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await wire.until("}");
    table.clock.turn(38_000);
    await table.settled();
    expect(wire.over).toBeFalse();
    table.clock.turn(3_000);
    await wire.closed;
    expect(wire.text.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });
  test("owes the rest of a body whose request was answered, for 10 s", async () => {
    await using table = new Table(() => new Answer(403, TEXT, "no"));
    using wire = await table.wire(`${HEAD}Content-Length: 500\r\n\r\n`);
    await wire.until("no");
    for (let times = 0; times < 12; times++) {
      wire.send("a");
      await table.settled();
      table.clock.turn(1_000);
    }
    await wire.closed;
  });
  test("does not go after the last answer, and still sends", async () => {
    await using table = new Table(() => new Answer(413, TEXT, "too much", { closes: true }));
    using wire = await Wire.to(table.server.port);
    // Half open, as a client that does not look at what it is told.
    wire.socket.allowHalfOpen = true;
    wire.send(`${HEAD}Content-Length: 5000000\r\n\r\n`);
    await wire.until("too much");
    wire.send("a".repeat(100_000));
    await table.settled();
    expect(wire.over).toBeFalse();
    table.clock.turn(3_000);
    await wire.closed;
  });
});

describe("told that it takes too long is who", () => {
  test("drips a head for 10 s", async () => {
    await using table = new Table();
    using wire = await table.wire();
    table.clock.turn(30_000);
    for (let times = 0; times < 11; times++) {
      wire.send(HEAD.charAt(times));
      await table.settled();
      table.clock.turn(1_000);
    }
    await wire.closed;
    expect(wire.text).toStartWith("HTTP/1.1 408 ");
  });
  for (const framing of ["Content-Length: 5000", "Transfer-Encoding: chunked"]) {
    test(`drips a body for 40 s, ${framing}`, async () => {
      await using table = new Table();
      using wire = await table.wire(`${HEAD}${framing}\r\n\r\n`);
      for (let times = 0; times < 20; times++) {
        wire.send(framing.startsWith("C") ? "a" : "1\r\na\r\n");
        await table.settled();
        expect(wire.text).toBe("");
        table.clock.turn(2_000);
      }
      await wire.closed;
      expect(wire.text).toStartWith("HTTP/1.1 408 ");
      expect(table.requests[0]?.left).toBeTrue();
      expect(table.server.failures).toEqual([]);
    });
  }
});

describe("left alone is who", () => {
  test("waits for an answer, for as long as it takes", async () => {
    let answer: ((answer: Answer) => void) | undefined;
    await using table = new Table((request) =>
      request.url.endsWith("/probe")
        ? new Answer(200, TEXT)
        : new Promise((resolve) => {
            answer = resolve;
          }),
    );
    using wire = await table.wire(`${HEAD}Content-Length: 2\r\n\r\nhi`);
    table.clock.turn(3_600_000);
    answer?.(new Answer(200, TEXT, "at last"));
    await wire.until("at last");
    wire.send("GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await wire.closed;
    expect(wire.text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  });
  test("has a stream open and reads it", async () => {
    await using table = new Table((request) =>
      request.url.endsWith("/probe")
        ? new Answer(200, TEXT)
        : new Answer(200, TEXT, { open: () => "begin", drained() {}, left() {} }),
    );
    using wire = await table.wire("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await wire.until("begin");
    table.clock.turn(3_600_000);
    await table.settled();
    expect(wire.over).toBeFalse();
  });
  test("sends body after body, each in its time", async () => {
    await using table = new Table();
    using wire = await table.wire();
    for (let times = 0; times < 4; times++) {
      wire.text = "";
      wire.send(`${HEAD}Content-Length: 2\r\n\r\n`);
      await table.settled();
      table.clock.turn(20_000);
      wire.send("hi");
      await wire.until("}");
    }
  });
});

test("a client that does not read its answer is cut after 40 s, and its stream hears of it", async () => {
  for (const kind of ["text", "stream"]) {
    let left = 0;
    const body = { open: () => "x".repeat(20_000_000), drained() {}, left: () => void left++ };
    await using table = new Table((request) =>
      request.url.endsWith("/probe")
        ? new Answer(200, TEXT)
        : new Answer(200, TEXT, kind === "text" ? "x".repeat(50_000_000) : body),
    );
    using wire = await Wire.to(table.server.port);
    wire.socket.pause();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await eventually(() => table.requests.length > 0);
    await table.settled();
    table.clock.turn(38_000);
    await table.settled();
    const gone = (): boolean => (kind === "stream" ? left === 1 : table.requests[0]?.left === true);
    expect([kind, gone()]).toEqual([kind, false]);
    // What the system still takes for itself in the first moments counts as read.
    for (let seconds = 0; seconds < 120 && !gone(); seconds++) {
      table.clock.turn(1_000);
      await table.settled();
    }
    await eventually(gone);
    wire.socket.resume();
    await wire.closed;
    expect(wire.text.length).toBeLessThan(20_000_000);
  }
});

test("a client that reads a little of its answer now and then is not cut", async () => {
  await using table = new Table(
    (request) => new Answer(200, TEXT, request.url.endsWith("/probe") ? "" : "x".repeat(50_000_000)),
  );
  using wire = await Wire.to(table.server.port);
  wire.socket.pause();
  wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually(() => table.requests.length > 0);
  await table.settled();
  for (let times = 1; times <= 4; times++) {
    table.clock.turn(30_000);
    await table.settled();
    expect([times, table.requests[0]?.left]).toEqual([times, false]);
    // Far less than the third of what the system holds behind which it tells of room.
    const enough = times * 400_000;
    wire.socket.resume();
    await eventually(() => wire.text.length >= enough);
    wire.socket.pause();
  }
});

test("a body that is read in its time is not cut short by who reads it slowly", async () => {
  let go: (() => void) | undefined;
  await using table = new Table(async (request) => {
    if (request.url.endsWith("/probe")) return new Answer(200, TEXT);
    await new Promise<void>((resolve) => {
      go = resolve;
    });
    return new Answer(200, TEXT, String((await bodyOf(request)).length));
  });
  using wire = await table.wire(`${HEAD}Content-Length: 2000000\r\n\r\n`);
  wire.send("a".repeat(2_000_000));
  await table.settled();
  table.clock.turn(30_000);
  go?.();
  await wire.until("2000000");
});
