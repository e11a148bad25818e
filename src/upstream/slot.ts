import type { Clock } from "../telemetry/clock.ts";
import type { Backoff } from "./backoff.ts";
import type { Connection } from "./connection.ts";
import { Fault } from "./fault.ts";

export type SlotState = "idle" | "connecting" | "ready" | "failed" | "stopped";

export interface SlotEvents {
  /** Makes a connection; it must not be open yet. `ended` is to be called once when it is gone after it was open. */
  make(ended: (fault: Fault | undefined) => void): { connection: Connection; opened: Promise<void> };
  ready(connection: Connection, again: boolean): void;
  failed(fault: Fault, retryMs: number): void;
}

interface Waiter {
  resolve(connection: Connection): void;
  reject(fault: Fault): void;
}

/**
 * The place of one connection: makes it, makes it again after a failure, and lets callers wait for it.
 * A lasting slot reconnects by itself; the others when somebody asks.
 */
export class Slot {
  readonly #events: SlotEvents;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #lasting: boolean;
  readonly #waiters = new Set<Waiter>();
  #state: SlotState = "idle";
  #connection: Connection | undefined;
  #fault: Fault | undefined;
  #since = 0;
  #notBefore = 0;
  /** Whether the last attempt came up: then the next one is worth waiting for. */
  #wasReady = false;
  #everReady = false;
  #restoring = false;
  #cancelRetry: (() => void) | undefined;

  constructor(events: SlotEvents, clock: Clock, backoff: Backoff, lasting: boolean) {
    this.#events = events;
    this.#clock = clock;
    this.#backoff = backoff;
    this.#lasting = lasting;
  }

  get state(): SlotState {
    return this.#state;
  }

  /** The connection if it can be used right now. */
  get current(): Connection | undefined {
    return this.#state === "ready" ? this.#connection : undefined;
  }

  get fault(): Fault | undefined {
    return this.#fault;
  }

  get restarts(): number {
    return this.#backoff.failures;
  }

  /** When the next attempt is due, in milliseconds since the epoch; undefined when none is planned. */
  get retryAt(): number | undefined {
    return this.#state === "failed" ? this.#notBefore : undefined;
  }

  start(): void {
    if (this.#state === "idle" || this.#state === "failed") this.#connect();
  }

  /**
   * Waits for the connection. The end of the waiting does not end the attempt: packages take their time to download.
   * @throws Fault with the reason
   */
  acquire(waitMs: number): Promise<Connection> {
    if (this.#state === "ready" && this.#connection !== undefined) return Promise.resolve(this.#connection);
    if (this.#state === "stopped") return Promise.reject(stoppedFault());
    if (
      this.#state === "failed" &&
      !this.#wasReady &&
      this.#clock.now() < this.#notBefore &&
      this.#fault !== undefined
    ) {
      // It never came up: waiting for the next attempt would only hide the reason.
      return Promise.reject(this.#fault);
    }
    if (this.#state === "idle") this.#connect();
    else if (this.#state === "failed" && this.#cancelRetry === undefined) this.#planRetry();
    return this.#wait(waitMs);
  }

  /** As `replace`, and not given up before there is another: somebody waits to hear what the server says by itself. */
  restore(connection: Connection): void {
    if (this.#connection === connection && this.#state === "ready") this.#restoring = true;
    this.replace(connection);
  }

  /** Gives up a connection that turned out to be of no use (an ended session upstream) and makes another. */
  replace(connection: Connection): void {
    if (this.#connection !== connection || this.#state !== "ready") return;
    this.#connection = undefined;
    this.#state = "idle";
    // What is still open on it finds out for itself whether it was run.
    void connection.idle().then(() => connection.close());
    this.#connect();
  }

  async stop(): Promise<void> {
    this.#state = "stopped";
    this.#cancelRetry?.();
    for (const waiter of this.#waiters) waiter.reject(stoppedFault());
    this.#waiters.clear();
    await this.#connection?.close();
  }

  #connect(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#state = "connecting";
    const { connection, opened } = this.#events.make((fault) => this.#ended(connection, fault));
    this.#connection = connection;
    opened.then(
      () => this.#opened(connection),
      (error: unknown) => this.#refused(connection, error),
    );
  }

  #opened(connection: Connection): void {
    if (this.#connection !== connection || this.#state !== "connecting") return;
    const again = this.#everReady;
    this.#restoring = false;
    this.#everReady = true;
    this.#state = "ready";
    this.#fault = undefined;
    this.#wasReady = true;
    this.#since = this.#clock.now();
    // First who wants to prepare the connection (renew subscriptions), then who waits to use it.
    this.#events.ready(connection, again);
    for (const waiter of this.#waiters) waiter.resolve(connection);
    this.#waiters.clear();
  }

  #refused(connection: Connection, error: unknown): void {
    if (this.#connection !== connection || this.#state === "stopped") return;
    const fault =
      error instanceof Fault
        ? error
        : new Fault("upstream.protocol", "the server could not be reached", { detail: String(error) });
    this.#wasReady = false;
    void connection.close();
    this.#fail(fault, 0);
  }

  #ended(connection: Connection, fault: Fault | undefined): void {
    // While it is still opening, the failed `initialize` tells.
    if (this.#connection !== connection || this.#state !== "ready") return;
    this.#fail(fault ?? stoppedFault(), this.#clock.now() - this.#since);
  }

  #fail(fault: Fault, ranMs: number): void {
    this.#connection = undefined;
    this.#state = "failed";
    this.#fault = fault;
    const delay = this.#backoff.next(ranMs);
    this.#notBefore = this.#clock.now() + delay;
    if (!this.#wasReady) {
      for (const waiter of this.#waiters) waiter.reject(fault);
      this.#waiters.clear();
    }
    if (this.#lasting || this.#restoring || this.#waiters.size > 0) this.#planRetry();
    this.#events.failed(fault, delay);
  }

  #planRetry(): void {
    this.#cancelRetry = this.#clock.after(Math.max(0, this.#notBefore - this.#clock.now()), () => this.#connect());
  }

  #wait(waitMs: number): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const waiter: Waiter = {
      resolve: (connection) => {
        stop();
        resolve(connection);
      },
      reject: (fault) => {
        stop();
        reject(fault);
      },
    };
    const stop = this.#clock.after(waitMs, () => {
      this.#waiters.delete(waiter);
      reject(
        this.#fault ??
          new Fault(
            "upstream.connecting",
            `the server is still starting after ${Math.round(waitMs / 1000)} s; try again soon`,
          ),
      );
    });
    this.#waiters.add(waiter);
    return promise;
  }
}

function stoppedFault(): Fault {
  return new Fault("upstream.stopped", "the server has been stopped", { notRun: true });
}
