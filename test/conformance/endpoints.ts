/** The two things the suite is pointed at: a reference server alone, and the proxy in front of one. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { referenceServer } from "../support/reference-server.ts";
import type { Cell, Era } from "./cells.ts";
import type { Processes, Running } from "./processes.ts";

const START_TIMEOUT_MS = 30_000;
const NAME = "reference";

const Status = z.object({
  servers: z.object({ [NAME]: z.object({ requests: z.number().int().nonnegative() }) }),
});

export interface Endpoint extends AsyncDisposable {
  readonly url: string;
  /** Requests relayed so far; undefined where there is no proxy. */
  relayed(): Promise<number | undefined>;
}

export async function startReference(processes: Processes, directory: string, era: Era): Promise<Endpoint> {
  const server = processes.start(referenceServer(era, "--http", "0", "--exit-with-stdin"), directory);
  const url = await server.firstLine();
  return { url, relayed: async () => undefined, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** @param proxy Command of the proxy without its arguments. */
export async function startProxy(
  processes: Processes,
  directory: string,
  cell: Cell,
  proxy: readonly string[],
): Promise<Endpoint> {
  const reference = cell.transport === "http" ? await startReference(processes, directory, cell.upstream) : undefined;
  const [command, ...args] = referenceServer(cell.upstream);
  // Roots reach a child only where its configuration says so.
  const child = { command, args, roots: true, prefix: "" };
  const target = reference ? { url: reference.url, transportType: "streamable-http", prefix: "" } : child;
  const port = freePort();
  const base = `http://127.0.0.1:${port}`;
  const config = join(directory, `config-${port}.json`);
  await Bun.write(config, JSON.stringify({ mcpProxy: { addr: `127.0.0.1:${port}` }, mcpServers: { [NAME]: target } }));

  // What the proxy keeps must neither come from an earlier run nor stay in somebody's home.
  const env = { HOME: directory, XDG_STATE_HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory };
  const running = processes.start([...proxy, "--config", config], directory, env);
  await answers(running, `${base}/livez`);
  await answers(running, `${base}/readyz`);
  return {
    url: cell.joint ? `${base}/mcp` : `${base}/${NAME}/mcp`,
    relayed: async () => {
      try {
        const response = await fetch(`${base}/status`);
        return Status.parse(await response.json()).servers[NAME].requests;
      } catch (error) {
        throw new Error(`GET /status gives no count of requests; the proxy says:\n${running.complaints()}`, {
          cause: error,
        });
      }
    },
    [Symbol.asyncDispose]: async () => {
      await running[Symbol.asyncDispose]();
      await reference?.[Symbol.asyncDispose]();
    },
  };
}

function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

async function answers(proxy: Running, url: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  let last = "no connection";
  while (Date.now() < deadline && !proxy.hasExited()) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(START_TIMEOUT_MS) });
      if (response.ok) return;
      last = `${response.status} ${await response.text()}`;
    } catch {
      // Not listening yet; the loop ends by its deadline or with the process.
    }
    await pause(50);
  }
  throw new Error(`${url} is not ready (${last}); the proxy says:\n${proxy.complaints()}`);
}
