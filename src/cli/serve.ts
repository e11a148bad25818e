import type { Loaded, Overrides, Source } from "../config/context.ts";
import type { Config } from "../config/config.ts";
import { generateAuthConfig } from "../config/auth-config.ts";
import { loadConfig } from "../config/load.ts";
import { Daemon } from "../daemon.ts";
import { loadSealingKeys } from "../store/sealing-key.ts";
import type { SealingKeys } from "../store/sealing-key.ts";
import { StoreUnusable } from "../store/state-store.ts";
import { systemClock } from "../telemetry/clock.ts";
import { createLog } from "../telemetry/create-log.ts";
import type { LeveledLog } from "../telemetry/create-log.ts";
import { renderProblem } from "./check.ts";
import type { CheckIo } from "./check.ts";
import { HELP } from "./help.ts";
import { listenFailure } from "./listen-failure.ts";
import { Reloader } from "./reload.ts";
import { serveStdio, stderrLog } from "./serve-stdio.ts";
import type { Pipes } from "./stdio-pipe.ts";

export interface ServeOptions {
  readonly source: Source;
  readonly overrides: Overrides;
  readonly warnings: readonly string[];
  /** To the client on standard input and output instead of to the network. */
  readonly stdio: boolean;
}

export interface ServeIo extends CheckIo {
  readonly version: string;
  /** Whether standard output is a terminal that wants colours. */
  readonly colour: boolean;
  readonly terminal: boolean;
  /** Calls at SIGINT or SIGTERM, each time. */
  readonly onStop: (call: () => void) => void;
  /** Calls at SIGHUP, each time. */
  readonly onReload: (call: () => void) => void;
  /** Standard input and output; looked at only by what serves a client there. */
  readonly pipes: () => Pipes;
}

/**
 * Serves everything in a configuration until it is told to stop.
 * @param bridge connects to the URL that stands in the place of a configuration (`SSE_URL`)
 * @returns the exit code
 */
export async function serve(
  options: ServeOptions,
  io: ServeIo,
  bridge: (url: string) => Promise<number>,
): Promise<number> {
  const { env, cwd, home, fetch } = io;
  const load = (): Promise<Loaded> =>
    loadConfig(options.source, { env, cwd, home, fetch, overrides: options.overrides });
  const first = await loadPatiently(load, io);
  if (first.found === "sse-url" && first.sseUrl !== undefined) return await bridge(first.sseUrl);
  if (first.found !== "config") {
    // Where a client reads standard output, help would be taken for a message.
    (options.stdio ? io.stderr : io.stdout)(HELP);
    return 1;
  }
  return await serveLoaded(load, options, io, 1, first);
}

/** A configuration that cannot be read yet is tried again, where that is the habit of whoever starts this. */
async function loadPatiently(load: () => Promise<Loaded>, io: ServeIo): Promise<Loaded> {
  for (let attempt = 1; ; attempt++) {
    const loaded = await load();
    const { attempts = 1, problems } = loaded;
    if (loaded.config !== undefined || attempt >= attempts) return loaded;
    const seconds = 2 ** (attempt - 1);
    for (const problem of problems) io.stderr(renderProblem(problem));
    io.stderr(`mcp-proxy: trying again in ${seconds} s (${attempt} of ${attempts}, MCP_MAX_RETRIES)\n`);
    await Bun.sleep(seconds * 1_000);
  }
}

/**
 * Serves what `load` finds, now and at each reload.
 * @param descriptor where the log goes
 * @returns the exit code
 */
export async function serveLoaded(
  load: () => Promise<Loaded>,
  options: ServeOptions,
  io: ServeIo,
  descriptor: 1 | 2,
  first?: Loaded,
): Promise<number> {
  const loaded = first ?? (await load());
  for (const problem of loaded.problems) io.stderr(renderProblem(problem));
  const { config } = loaded;
  if (config === undefined) return 1;
  if (options.stdio) return await serveOneOnStdio(config, loaded, options, io);

  const automatic = io.terminal || descriptor === 2 ? "pretty" : "json";
  const format = config.log.format === "auto" ? automatic : config.log.format;
  const log = createLog({ level: config.log.level, format, colour: io.colour, descriptor });
  for (const note of [...loaded.notes, ...options.warnings]) log.info({}, note);
  if (config.flavour === "env" && config.identityProvider !== undefined) {
    const generated = generateAuthConfig(loaded.env, io.cwd);
    if (generated !== undefined) log[generated.made ? "info" : "warn"]({}, generated.text);
  }
  let keys: SealingKeys;
  try {
    keys = loadSealingKeys(loaded.env["MCP_PROXY_SECRET"], loaded.env["MCP_PROXY_SECRET_OLD"], config.persistenceDir);
  } catch (error) {
    io.stderr(`mcp-proxy: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  if (keys.warning !== undefined) log.warn({}, keys.warning);
  return await run(config, keys, log, io, new Reloader(load, loaded, options, io, log));
}

async function serveOneOnStdio(config: Config, loaded: Loaded, options: ServeOptions, io: ServeIo): Promise<number> {
  const [server, another] = config.servers.values();
  if (server === undefined || another !== undefined) {
    const count = config.servers.size;
    io.stderr(`mcp-proxy: --stdio serves one server, and ${config.source} has ${count}; switch the others off\n`);
    return 1;
  }
  const log = stderrLog(config);
  for (const note of [...loaded.notes, ...options.warnings]) log.info({}, note);
  return await serveStdio(config, server, io, log);
}

async function run(
  config: Config,
  keys: SealingKeys,
  log: LeveledLog,
  io: ServeIo,
  reloader: Reloader,
): Promise<number> {
  const ended = Promise.withResolvers<number>();
  const daemon = new Daemon(config, {
    log,
    keys,
    clock: systemClock,
    random: Math.random,
    version: io.version,
    onPanic: (server, reason) => {
      io.stderr(`mcp-proxy: server "${server}" cannot be started, and panicIfInvalid asks to end then: ${reason}\n`);
      ended.resolve(1);
    },
  });
  let stops = 0;
  io.onStop(() => {
    stops++;
    // Asked twice, it does not wait for anybody any more; the watchdog ends what is left.
    if (stops > 1) return ended.resolve(0);
    const { open } = daemon;
    const seconds = Math.round(config.drainMs / 1000);
    log.info(
      {},
      open === 0 ? "stopping" : `stopping: ${calls(open)} in flight, up to ${seconds} s (again to stop now)`,
    );
    reloader.stop();
    void daemon.stop().then(() => {
      log.info({}, "stopped");
      ended.resolve(0);
    });
  });
  let url: string;
  try {
    ({ url } = await daemon.start());
  } catch (error) {
    io.stderr(`mcp-proxy: ${error instanceof StoreUnusable ? error.message : listenFailure(config.listen, error)}\n`);
    await daemon.stop();
    return 1;
  }
  announce(config, url, log);
  reloader.start(daemon, config);
  const code = await ended.promise;
  if (code !== 0) await daemon.stop();
  return code;
}

function calls(count: number): string {
  return count === 1 ? "1 call" : `${count} calls`;
}

/** Final URLs, whole, ready to copy. */
function announce(config: Config, url: string, log: LeveledLog): void {
  const local = url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "127.0.0.1").replace(/\/$/, "");
  const base = (config.baseURL ?? local) + config.pathPrefix;
  log.info({ servers: config.servers.size, source: config.source }, `listening on ${url}`);
  const kind = config.serves.streamableHttp ? "mcp" : "sse";
  for (const server of config.servers.values()) {
    if (server.name === config.defaultServer) {
      log.info({ server: server.displayName }, `the server is at ${base}/mcp and ${base}/sse`);
      continue;
    }
    const shown = server.displayName === server.name ? server.name : `${server.displayName}/…`;
    const folder = config.flavour === "bridge" ? "/servers" : "";
    log.info({ server: server.displayName }, `${shown} is at ${base}${folder}/${shown}/${kind}`);
  }
}
