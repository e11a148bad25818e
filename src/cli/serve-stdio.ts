import { randomBytes } from "node:crypto";
import type { Config } from "../config/config.ts";
import { Daemon } from "../daemon.ts";
import { systemClock } from "../telemetry/clock.ts";
import { createLog } from "../telemetry/create-log.ts";
import type { LeveledLog } from "../telemetry/create-log.ts";
import type { ServeIo } from "./serve.ts";
import { LineOutput, readLines } from "./stdio-pipe.ts";

/** How long answers may take that are still owed when the input has ended. */
const LAST_ANSWERS_MS = 5_000;

/** The log where standard output belongs to the protocol. */
export function stderrLog(config: Config): LeveledLog {
  const { level, format } = config.log;
  return createLog({ level, format: format === "json" ? "json" : "pretty", colour: false, descriptor: 2 });
}

/**
 * Serves the servers of a configuration to the client on standard input and output, several of them as one, until the
 * input ends or it is told to stop. It keeps no state on disk, so any number run side by side.
 * @returns the exit code
 */
export async function serveStdio(config: Config, io: ServeIo, log: LeveledLog): Promise<number> {
  // One client, so the connections are its own: servers see exactly what this client says it can do, roots included.
  const servers = [...config.servers].map(
    ([name, server]) => [name, { ...server, isolation: "session", roots: true } as const] as const,
  );
  const one: Config = {
    ...config,
    servers: new Map(servers),
    groups: new Map(),
    defaultServer: undefined,
    aggregate: { ...config.aggregate, enabled: true },
  };
  const ended = Promise.withResolvers<number>();
  const daemon = new Daemon(one, {
    log,
    keys: { keys: [randomBytes(32)], warning: undefined },
    clock: systemClock,
    random: Math.random,
    version: io.version,
    onPanic: (name, reason) => {
      log.error({ server: name }, `panicIfInvalid: ${reason}`);
      ended.resolve(1);
    },
  });
  const { input, output } = io.pipes();
  const lines = new LineOutput(output, (why) => {
    log.info({}, why);
    ended.resolve(0);
  });
  const stdio = await daemon.startStdio((line) => lines.write(line));
  readLines(input, lines, stdio, config.maxMessageBytes, () => {
    log.debug({}, "standard input has ended");
    stdio.ended();
    const cancel = systemClock.after(LAST_ANSWERS_MS, () => ended.resolve(0));
    void stdio.quiet().then(() => {
      cancel();
      ended.resolve(0);
    });
  });
  io.onStop(() => ended.resolve(0));
  io.started();
  const code = await ended.promise;
  // First what a client that listens is told at the end, then the end.
  const stopped = daemon.stop();
  stdio.close();
  await stopped;
  // Who does not read must not keep it from ending.
  await Promise.race([lines.flush(), new Promise<void>((resolve) => systemClock.after(LAST_ANSWERS_MS, resolve))]);
  return code;
}
