import { Answer, AnswerHeaders } from "../../src/http1/answer.ts";
import type { Handler } from "../../src/http1/connection.ts";
import type { Incoming } from "../../src/http1/incoming.ts";
import { HttpServer } from "../../src/http1/server.ts";
import type { HttpServerOptions } from "../../src/http1/server.ts";
import type { Clock } from "../../src/telemetry/clock.ts";
import { systemClock } from "../../src/telemetry/clock.ts";

export const TEXT = new AnswerHeaders({ "Content-Type": "text/plain" });

/** A clock that a test turns. */
export class TurnedClock implements Clock {
  #now = 1_000_000;
  readonly #beats = new Set<{ readonly ms: number; readonly call: () => void; last: number }>();

  now(): number {
    return this.#now;
  }

  after(): () => void {
    throw new Error("nothing here waits once");
  }

  every(ms: number, call: () => void): () => void {
    const beat = { ms, call, last: this.#now };
    this.#beats.add(beat);
    return () => void this.#beats.delete(beat);
  }

  /** Lets so much time pass, beat by beat. */
  turn(ms: number): void {
    for (const until = this.#now + ms; this.#now < until;) {
      this.#now += 1_000;
      for (const beat of [...this.#beats]) {
        if (this.#now - beat.last < beat.ms) continue;
        beat.last = this.#now;
        beat.call();
      }
    }
  }
}

export interface RunningServer extends AsyncDisposable {
  readonly port: number;
  readonly server: HttpServer;
  /** What the handler, or the server itself, failed with. */
  readonly failures: unknown[];
}

/** The server alone, without anything of what is served. */
export function serve(
  handler: Handler,
  clock: Clock = systemClock,
  more: Partial<Pick<HttpServerOptions, "at" | "tls" | "maxConnections" | "crowded">> = {},
): RunningServer {
  const failures: unknown[] = [];
  const server = new HttpServer({
    at: { hostname: "127.0.0.1", port: 0 },
    tls: undefined,
    maxConnections: Number.POSITIVE_INFINITY,
    crowded: () => undefined,
    ...more,
    clock,
    handler,
    refuse: (status, text) => new Answer(status, TEXT, text),
    failed: (error) => {
      failures.push(error);
      return new Answer(500, TEXT, "failed");
    },
  });
  return {
    port: server.port ?? 0,
    server,
    failures,
    [Symbol.asyncDispose]: async () => {
      const stopped = server.stop();
      server.cut();
      await stopped;
    },
  };
}

/** All of a body, in the parts in which it can be read. */
export async function bodyOf({ body }: Incoming): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let part = await body.next(); part !== undefined; part = await body.next()) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

/** Says what was understood of a request. */
export async function echo(request: Incoming): Promise<Answer> {
  const { method, url } = request;
  const body = (await bodyOf(request)).toString("latin1");
  return new Answer(200, TEXT, JSON.stringify({ method, url, headers: Object.fromEntries(request.headers), body }));
}
