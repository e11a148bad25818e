/** How a relayed request ended: `error` is the server's own answer, `failed` means that there was none. */
export type Outcome = "ok" | "error" | "failed" | "cancelled";

/** Upper ends of the classes of duration, in milliseconds. */
export const DURATION_BOUNDS_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000] as const;

/**
 * What is counted of one server. Plain numbers, added up where things happen and read when somebody asks: a call must
 * cost nothing for being counted, neither a look-up by labels nor an object.
 */
export class ServerMeter {
  readonly requests: Record<Outcome, number> = { ok: 0, error: 0, failed: 0, cancelled: 0 };
  /** Requests that a filter or the caller's rights forbade, so that the server never saw them. */
  denied = 0;
  /** … that were one too many for a limit. */
  limited = 0;
  /** Requests per class of duration; the last one is for all that is longer. */
  readonly durations = new Float64Array(DURATION_BOUNDS_MS.length + 1);
  durationSumMs = 0;
  /** Connections that took the place of one that was lost. */
  reconnects = 0;
  /** Connections that failed or were lost, by the code of the fault. */
  readonly failures = new Map<string, number>();
  /** Requests that were not let in, by HTTP status. */
  readonly refusals = new Map<number, number>();

  done(outcome: Outcome, ms: number): void {
    this.requests[outcome]++;
    this.durationSumMs += ms;
    let at = 0;
    while (at < DURATION_BOUNDS_MS.length && ms > (DURATION_BOUNDS_MS[at] ?? 0)) at++;
    this.durations[at] = (this.durations[at] ?? 0) + 1;
  }

  failed(code: string): void {
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
  }

  refused(status: number): void {
    this.refusals.set(status, (this.refusals.get(status) ?? 0) + 1);
  }
}

/** What is counted of the login. */
export class LoginMeter {
  readonly logins = { ok: 0, wrong_password: 0, throttled: 0, denied: 0, not_a_user: 0, provider_failed: 0 };
  registrations = 0;
  tokens = 0;
  /** Logins whose token nobody used within a minute. */
  unused = 0;
}

/** The counters of everything that runs. They outlive a reload, since counters that fall look like a restart. */
export class Meters {
  readonly login = new LoginMeter();
  readonly #servers = new Map<string, ServerMeter>();

  /** @param server as it is shown: names can hold secrets, and those that look alike are counted together */
  server(server: string): ServerMeter {
    let meter = this.#servers.get(server);
    if (meter === undefined) {
      meter = new ServerMeter();
      this.#servers.set(server, meter);
    }
    return meter;
  }

  /** Forgets servers that are not configured any more. */
  keep(servers: ReadonlySet<string>): void {
    for (const server of this.#servers.keys()) if (!servers.has(server)) this.#servers.delete(server);
  }
}
