import { generateAuthConfig } from "../config/auth-config.ts";
import type { Config } from "../config/config.ts";
import type { Loaded } from "../config/context.ts";
import { Daemon } from "../daemon.ts";
import { loadSealingKeys } from "../store/sealing-key.ts";
import type { SealingKeys } from "../store/sealing-key.ts";
import { StoreUnusable } from "../store/state-store.ts";
import { systemClock } from "../telemetry/clock.ts";
import { createLog } from "../telemetry/create-log.ts";
import type { LeveledLog } from "../telemetry/create-log.ts";
import { printable } from "../telemetry/printable.ts";
import { Board } from "./board.ts";
import { endpointsOf } from "./endpoints.ts";
import { listenFailure } from "./listen-failure.ts";
import { placesOf } from "./places.ts";
import { Reloader } from "./reload.ts";
import type { ServeIo, ServeOptions } from "./serve.ts";

export interface NetworkOptions {
  /** Reads the configuration once more, for a reload. */
  readonly load: () => Promise<Loaded>;
  readonly options: ServeOptions;
  readonly io: ServeIo;
  /** Where the log goes. */
  readonly descriptor: 1 | 2;
}

/**
 * Serves a configuration on the network, and those that follow it, until it is told to stop.
 * @returns the exit code
 */
export async function serveNetwork(
  config: Config,
  loaded: Loaded,
  { load, options, io, descriptor }: NetworkOptions,
): Promise<number> {
  const automatic = io.terminal(1) || descriptor === 2 ? "pretty" : "json";
  const format = config.log.format === "auto" ? automatic : config.log.format;
  const log = createLog({ level: config.log.level, format, colour: io.colour(descriptor), descriptor });
  for (const note of [...loaded.notes, ...options.warnings]) log.info({}, note);
  if (config.flavour === "env" && config.identityProvider !== undefined) {
    const generated = generateAuthConfig(loaded.env, io.cwd);
    if (generated !== undefined) log[generated.made ? "info" : "warn"]({}, generated.text);
  }
  let keys: SealingKeys;
  try {
    keys = loadSealingKeys(loaded.env["MCP_PROXY_SECRET"], loaded.env["MCP_PROXY_SECRET_OLD"], config.persistenceDir);
  } catch (error) {
    io.stderr(`mcp-proxy: ${error instanceof Error ? error.message : String(error)}   store.bad_key\n`);
    return 1;
  }
  if (keys.warning !== undefined) log.warn({}, keys.warning);
  return await run(
    config,
    { keys, log, format, descriptor, text: loaded.text },
    io,
    new Reloader(load, loaded, options, io, log),
  );
}

interface Output {
  readonly keys: SealingKeys;
  readonly log: LeveledLog;
  readonly format: "pretty" | "json";
  readonly descriptor: 1 | 2;
  /** The configuration as it was read, where it came from one text. */
  readonly text: string | undefined;
}

async function run(config: Config, output: Output, io: ServeIo, reloader: Reloader): Promise<number> {
  const { keys, log, format, descriptor } = output;
  const ended = Promise.withResolvers<number>();
  const daemon = new Daemon(config, {
    log,
    keys,
    clock: systemClock,
    random: Math.random,
    version: io.version,
    onPanic: (server, reason) => {
      board?.settle();
      io.stderr(`mcp-proxy: server "${server}" cannot be started, and panicIfInvalid asks to end then: ${reason}\n`);
      ended.resolve(1);
    },
  });
  let board: Board | undefined;
  let stops = 0;
  io.onStop(() => {
    stops++;
    const { open } = daemon;
    board?.settle();
    // Over the "^C" that the terminal shows.
    if (board !== undefined) log.write("\r\u001b[K");
    if (stops > 1) {
      // Asked twice, it does not wait for anybody any more; the watchdog ends what is left.
      log.info({}, open === 0 ? "stopped" : `stopped at once: ${plural(open, "call")} cut off`);
      return ended.resolve(0);
    }
    const seconds = Math.round(config.drainMs / 1000);
    const again = io.terminal(descriptor) ? "Ctrl-C again" : "again";
    log.info(
      {},
      open === 0
        ? "stopping"
        : `stopping: ${plural(open, "call")} in flight, up to ${seconds} s (${again} to stop now)`,
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
    io.stderr(
      `mcp-proxy: ${error instanceof StoreUnusable ? `${error.message}   store.unusable` : listenFailure(config.listen, error)}\n`,
    );
    await daemon.stop();
    return 1;
  }
  // First: who reads that it listens may ask for a reload at once.
  reloader.start(daemon, config);
  tellTokens(config, log);
  if (format === "pretty" && io.live(descriptor) && config.log.level !== "silent")
    board = showBoard(config, url, output, daemon, io);
  else announce(config, url, log);
  io.started();
  const code = await ended.promise;
  board?.settle();
  if (code !== 0) await daemon.stop();
  return code;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Who expects every caller to log in may not know of these. */
function tellTokens(config: Config, log: LeveledLog): void {
  const keys = config.apiKeys !== undefined || config.apiKeysFile !== undefined;
  const servers = [...config.servers.values()]
    .filter((each) => each.oauth === true && (keys || each.authTokens !== undefined))
    .map((each) => each.displayName);
  if (servers.length === 0) return;
  log.info({ servers }, `beside the login these take static tokens or API keys: ${servers.join(", ")}`);
}

/** What runs and where, for the log. */
function announce(config: Config, url: string, log: LeveledLog): void {
  log.info({ servers: config.servers.size, source: config.source }, `listening on ${url}`);
  for (const { label, url: endpoint, kind } of endpointsOf(config, url))
    log.info({}, kind === "page" ? `${label}: ${endpoint}` : `${label} is at ${endpoint}`);
}

/** What runs and where, for a person: the table that settles while the servers start. */
function showBoard(config: Config, url: string, { log, descriptor, text }: Output, daemon: Daemon, io: ServeIo): Board {
  const groups = config.groups.size === 0 ? "" : `, ${plural(config.groups.size, "group")}`;
  const what = `${printable(config.source)} (${plural(config.servers.size, "server")}${groups})`;
  const board = new Board({
    clock: systemClock,
    colour: io.colour(descriptor),
    size: () => io.size(descriptor),
    write: (text) => log.write(text),
    servers: () => daemon.servers,
    urls: endpointsOf(config, url),
    title: `mcp-proxy ${io.version}   ${what}   listening on ${url}`,
    place: placesOf(config, text),
  });
  log.through((line) => board.log(line));
  return board;
}
