import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLines } from "./lines.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");

/** A proxy of the project, running as users run it: as a process, from a configuration file. */
export interface RunningProxy extends AsyncDisposable {
  /** Without a trailing slash. */
  readonly url: string;
  readonly port: number;
  readonly process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** The directory of its configuration and its state. */
  readonly directory: string;
  /** Every log line so far. */
  readonly log: readonly Record<string, unknown>[];
  /** Resolves with the first log line, past or future, that fits. */
  logged(fits: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  stop(signal?: NodeJS.Signals): Promise<number>;
}

export interface ProxyOptions {
  /** `mcpProxy` of the configuration; the address is chosen here. */
  readonly mcpProxy?: Record<string, unknown>;
  readonly groups?: Record<string, unknown>;
  readonly env?: Record<string, string>;
  readonly args?: readonly string[];
  /** An earlier directory, to start again on the same state. */
  readonly directory?: string;
  /** A fixed port instead of a free one. */
  readonly port?: number;
}

/** Starts a proxy on a free port of loopback and waits until it listens. */
export async function startProxy(
  mcpServers: Record<string, unknown>,
  options: ProxyOptions = {},
): Promise<RunningProxy> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "mcp-proxy-test-"));
  const file = join(directory, "config.json");
  const mcpProxy = {
    addr: `127.0.0.1:${options.port ?? 0}`,
    options: { oauth2: { persistenceDir: join(directory, "state") } },
    ...options.mcpProxy,
  };
  writeFileSync(file, JSON.stringify({ mcpProxy, mcpServers, groups: options.groups }));
  const proxy = Bun.spawn([process.execPath, MAIN, "--config", file, "--log-format", "json", ...(options.args ?? [])], {
    cwd: directory,
    env: { PATH: process.env["PATH"], HOME: directory, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const log: Record<string, unknown>[] = [];
  const waiting = new Set<{
    fits: (line: Record<string, unknown>) => boolean;
    resolve: (line: Record<string, unknown>) => void;
  }>();
  void readLines(proxy.stdout, (text) => {
    const line = JSON.parse(text) as Record<string, unknown>;
    log.push(line);
    for (const each of waiting) {
      if (!each.fits(line)) continue;
      waiting.delete(each);
      each.resolve(line);
    }
  });
  const errors: string[] = [];
  void readLines(proxy.stderr, (text) => void errors.push(text));
  const logged = (fits: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> => {
    const known = log.find(fits);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve) => waiting.add({ fits, resolve }));
  };
  const listening = logged((line) => String(line["msg"]).startsWith("listening on "));
  const ended = proxy.exited.then((code) => {
    throw new Error(`the proxy ended with ${code} before it listened:\n${errors.join("\n")}\n${JSON.stringify(log)}`);
  });
  const line = await Promise.race([listening, ended]);
  ended.catch(() => undefined);
  const port = Number(new URL(String(line["msg"]).slice("listening on ".length)).port);
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<number> => {
    proxy.kill(signal);
    return await proxy.exited;
  };
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    process: proxy,
    directory,
    log,
    logged,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      if (options.directory === undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}
