import type { Socket, TLSOptions } from "bun";
import { InFlight } from "../store/in-flight.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Answer } from "./answer.ts";
import { HttpDate } from "./answer-head.ts";
import { Connection } from "./connection.ts";
import type { Handler } from "./connection.ts";

/** How often is looked after connections that take too long. */
const BEAT_MS = 1_000;

export interface HttpServerOptions {
  readonly at: { readonly hostname: string; readonly port: number } | { readonly unix: string };
  readonly tls: TLSOptions | undefined;
  /** Connections open at once; what comes beyond is closed again. */
  readonly maxConnections: number;
  /** Hears of each that was closed for that. */
  readonly crowded: () => void;
  readonly clock: Clock;
  readonly handler: Handler;
  readonly refuse: (status: number, text: string) => Answer;
  readonly failed: (error: unknown) => Answer;
}

/** An HTTP/1.1 server on one socket. */
export class HttpServer {
  /** Where it listens; undefined for a Unix socket. */
  readonly port: number | undefined;
  readonly #listener: Bun.TCPSocketListener<Connection> | Bun.UnixSocketListener<Connection>;
  readonly #connections = new InFlight<Connection, Socket<Connection>>();
  readonly #stopBeating: () => void;
  #empty: (() => void) | undefined;

  /** @throws Error of the system when the address cannot be used */
  constructor({ at, tls, clock, handler, refuse, failed, maxConnections, crowded }: HttpServerOptions) {
    const scheme = tls === undefined ? "http" : "https";
    const deps = { unix: "unix" in at, scheme, clock, date: new HttpDate(), handler, refuse, failed } as const;
    const socket: Bun.SocketHandler<Connection> = {
      open: (opened) => {
        opened.data = new Connection(opened, deps);
        this.#connections.set(opened.data, opened);
        // The client has gone before it was let in; nobody can say who it was.
        if (opened.data.address === null && !deps.unix) opened.terminate();
        else if (this.#connections.size > maxConnections) {
          opened.terminate();
          crowded();
        }
      },
      data: ({ data }, bytes) => data.data(bytes),
      drain: ({ data }) => data.drained(),
      close: ({ data }) => this.#closed(data),
      // Without it, Bun 1.4 tells of a connection only when its TLS stands: who never gets so far would stay for ever.
      handshake: () => undefined,
      // Bun hands on what the others here throw, and goes on.
      error: ({ data }, error) => data.fail(error),
    };
    const secure = tls === undefined ? {} : { tls };
    if ("unix" in at) this.#listener = Bun.listen<Connection>({ ...at, ...secure, socket });
    else {
      const listener = Bun.listen<Connection>({ ...at, ...secure, socket });
      this.#listener = listener;
      this.port = listener.port;
    }
    this.#stopBeating = clock.every(BEAT_MS, () => {
      const now = clock.now();
      for (const { data } of this.#connections) data.beat(now);
    });
  }

  /**
   * Lets nobody in from now on. Requests that are here are answered, and their connections closed behind that.
   * @returns resolves when no connection is left
   */
  stop(): Promise<void> {
    this.#listener.stop(false);
    for (const { data } of [...this.#connections]) data.finish();
    return new Promise((resolve) => {
      this.#empty = resolve;
      this.#lookWhetherEmpty();
    });
  }

  /** Cuts every connection that is left. */
  cut(): void {
    for (const socket of [...this.#connections]) socket.terminate();
    this.#listener.stop(true);
    this.#stopBeating();
  }

  #closed(connection: Connection): void {
    this.#connections.delete(connection);
    connection.closed();
    this.#lookWhetherEmpty();
  }

  #lookWhetherEmpty(): void {
    if (this.#connections.size === 0) this.#empty?.();
  }
}
