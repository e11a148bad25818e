import type { Counter, Gauge, Metric, Registry } from "prom-client";
import { DURATION_BOUNDS_MS } from "../telemetry/meters.ts";
import type { LoginMeter, ServerMeter } from "../telemetry/meters.ts";
import type { UpstreamStatus } from "../upstream/upstream.ts";
import type { HealthDeps } from "./health.ts";

export interface MetricsDeps extends HealthDeps {
  /** Undefined where nothing is behind a login. */
  readonly loginMeter: LoginMeter | undefined;
}

/** What is known of one server, of all its connections and all names that are shown alike. */
interface Sample {
  readonly meter: ServerMeter;
  readonly statuses: UpstreamStatus[];
  inFlight: number;
}

type Labels = Record<string, string | number>;

/**
 * Everything that is measured, in the text format of Prometheus. It is collected when somebody asks; until then it is
 * numbers in memory. Labels are names of servers as they are shown and words out of fixed lists, so that neither a
 * secret nor a caller can make a series.
 * @param servers those the caller may see
 */
export async function metricsText(
  deps: MetricsDeps,
  servers: readonly string[],
): Promise<{ text: string; contentType: string }> {
  // Of the libraries this is the slowest to load, and most installations never ask.
  const { Counter, Gauge, Registry } = await import("prom-client");
  const collected = new Registry();
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name: `mcp_proxy_${name}`, help, labelNames, registers: [collected] });
  const counter = (
    name: string,
    help: string,
    labelNames: string[],
    values: Iterable<readonly [Labels, number]>,
  ): void => {
    const metric = new Counter({ name: `mcp_proxy_${name}`, help, labelNames, registers: [collected] });
    for (const [labels, value] of values) metric.inc(labels, value);
  };
  const samples = [...samplesOf(deps, servers)];

  gauge("build_info", "The version that runs; always 1.", ["version"]).set({ version: deps.version }, 1);
  gauge("sessions", "Sessions of clients in memory.").set(deps.sessions.size);
  gauge("streams", "Event streams that clients hold open.").set(deps.sessions.streams);
  const up = gauge("upstream_up", "Whether a server can be used now: 1 or 0.", ["server"]);
  const tools = gauge("upstream_tools", "Tools a server offers, before any filter.", ["server"]);
  const connections = gauge("connections", "Open connections to a server.", ["server"]);
  const inFlight = gauge("exchanges_in_flight", "Requests of clients that wait for their answer.", ["server"]);
  for (const [server, { statuses, inFlight: open }] of samples) {
    up.set({ server }, statuses.some(({ state }) => state === "ready") ? 1 : 0);
    tools.set(
      { server },
      sum(statuses, ({ catalogue }) => catalogue?.tools.size ?? 0),
    );
    connections.set(
      { server },
      sum(statuses, (status) => status.connections),
    );
    inFlight.set({ server }, open);
  }
  counter(
    "requests_total",
    "Requests, by how they ended: ok, error (the server's answer), failed (no answer), cancelled; not relayed: denied, limited.",
    ["server", "outcome"],
    samples.flatMap(([server, { meter }]) =>
      Object.entries({ ...meter.requests, denied: meter.denied, limited: meter.limited }).map(
        ([outcome, value]) => [{ server, outcome }, value] as const,
      ),
    ),
  );
  counter(
    "requests_refused_total",
    "Requests that were not let in, by HTTP status.",
    ["server", "status"],
    samples.flatMap(([server, { meter }]) =>
      [...meter.refusals].map(([status, value]) => [{ server, status }, value] as const),
    ),
  );
  counter(
    "upstream_failures_total",
    "Connections that failed or were lost, by the code of the error.",
    ["server", "code"],
    samples.flatMap(([server, { meter }]) =>
      [...meter.failures].map(([code, value]) => [{ server, code }, value] as const),
    ),
  );
  counter(
    "upstream_restarts_total",
    "Connections that took the place of one that was lost.",
    ["server"],
    samples.map(([server, { meter }]) => [{ server }, meter.reconnects]),
  );
  collected.registerMetric(durations(samples) as unknown as Metric);
  const { loginMeter: login } = deps;
  if (login !== undefined) {
    counter(
      "logins_total",
      "Logins, by outcome.",
      ["outcome"],
      Object.entries(login.logins).map(([outcome, value]) => [{ outcome }, value]),
    );
    counter("client_registrations_total", "OAuth clients that registered.", [], [[{}, login.registrations]]);
    counter("tokens_issued_total", "Answers of the token endpoint with a token.", [], [[{}, login.tokens]]);
    counter("tokens_unused_total", "Logins whose token nobody used within a minute.", [], [[{}, login.unused]]);
  }
  processMetrics(collected, Gauge, Counter, deps);
  return { text: await collected.metrics(), contentType: collected.contentType };
}

function samplesOf(deps: MetricsDeps, servers: readonly string[]): Map<string, Sample> {
  const samples = new Map<string, Sample>();
  for (const name of servers) {
    const room = deps.rooms.get(name);
    if (room === undefined) continue;
    const { config, switchboard } = room.endpoint;
    const { displayName: server } = config;
    const sample = samples.get(server) ?? { meter: switchboard.meter, statuses: [], inFlight: 0 };
    sample.statuses.push(switchboard.upstream.status);
    sample.inFlight += switchboard.open;
    samples.set(server, sample);
  }
  return samples;
}

/** A histogram of the library counts for itself; this one has been counted already. */
function durations(samples: readonly (readonly [string, Sample])[]): object {
  const name = "mcp_proxy_request_duration_seconds";
  const help = "Time from a request of a client to the end of its answer.";
  const values = samples.flatMap(([server, { meter }]) => {
    let total = 0;
    const buckets = [...meter.durations].map((count, at) => {
      total += count;
      const bound = DURATION_BOUNDS_MS[at];
      const le = bound === undefined ? "+Inf" : bound / 1_000;
      return { metricName: `${name}_bucket`, labels: { le, server }, value: total };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: { server }, value: meter.durationSumMs / 1_000 },
      { metricName: `${name}_count`, labels: { server }, value: total },
    ];
  });
  return { name, get: () => ({ name, help, type: "histogram", aggregator: "sum", values }) };
}

/** The three that every dashboard looks for, under the names it looks for. */
function processMetrics(
  collected: Registry,
  GaugeClass: typeof Gauge,
  CounterClass: typeof Counter,
  deps: MetricsDeps,
): void {
  const registers = [collected];
  const started = new GaugeClass({
    name: "process_start_time_seconds",
    help: "When the process started, in seconds since the epoch.",
    registers,
  });
  started.set(deps.startedAt / 1_000);
  const memory = new GaugeClass({
    name: "process_resident_memory_bytes",
    help: "Memory of the process in bytes, without its servers.",
    registers,
  });
  memory.set(process.memoryUsage.rss());
  const { user, system } = process.cpuUsage();
  const cpu = new CounterClass({
    name: "process_cpu_seconds_total",
    help: "CPU time of the process in seconds, without its servers.",
    registers,
  });
  cpu.inc((user + system) / 1_000_000);
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
