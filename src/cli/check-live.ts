import { randomBytes } from "node:crypto";
import type { Loaded } from "../config/context.ts";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { Daemon } from "../daemon.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { fit } from "./cells.ts";
import { withAccessFiles } from "./check-access.ts";
import { check, checkReport, renderProblems } from "./check.ts";
import type { CheckOptions } from "./check.ts";
import { placesOf } from "./places.ts";
import { Screen } from "./screen.ts";
import type { ServeIo } from "./serve.ts";
import { isSettled, viewOf } from "./server-view.ts";
import type { ServerNow, ServerView } from "./server-view.ts";
import { renderTable } from "./table.ts";

const LOOK_MS = 50;
const DRAW_MS = 200;

/** What became of a server; in this order for the exit code. */
type Verdict = "fail" | "action" | "starting" | "ok";

const EXIT: Readonly<Record<Verdict, number>> = { fail: 1, action: 11, starting: 10, ok: 0 };
const WORDS: Readonly<Record<Verdict, string>> = {
  fail: "fail",
  action: "login needed",
  starting: "starting",
  ok: "ok",
};

interface Outcome {
  readonly view: ServerView;
  readonly verdict: Verdict;
  readonly now: ServerNow;
}

/**
 * Starts every server of a configuration, says how that went, and ends them again. Nothing is listened on, and no state
 * is touched, so it can run beside the proxy it is about.
 * @returns 0 all are ready; 1 a mistake in the configuration, or a server that failed; 10 a server is still starting
 *   after its connectTimeout; 11 a server wants credentials it was not given
 */
export async function checkLive(options: CheckOptions, io: ServeIo, clock: Clock): Promise<number> {
  const { env, cwd, home, fetch } = io;
  const context = { env, cwd, home, fetch, overrides: options.overrides };
  const loaded = withAccessFiles(await loadConfig(options.source, context), cwd);
  const { config } = loaded;
  // Mistakes first: what is wrong on paper need not be tried.
  if (config === undefined) return await check(options, io);
  const warnings: string[] = [];
  // The clock's timers do not keep the process running, and servers over HTTP hold nothing open either.
  const hold = setInterval(() => {}, 60_000);
  const outcomes = await tryServers(loaded, config, warnings, io, clock, options.json);
  clearInterval(hold);
  if (outcomes === undefined) return 1;
  const verdict = (["fail", "action", "starting"] as const).find((each) =>
    outcomes.some((one) => one.verdict === each),
  );
  const code = EXIT[verdict ?? "ok"];
  if (options.json) {
    const live = outcomes.map(forScripts);
    io.stdout(`${JSON.stringify({ ...checkReport(loaded), ok: code === 0, live, filterWarnings: warnings })}\n`);
  } else {
    const problems = loaded.problems.length === 0 ? "" : `${renderProblems(loaded)}\n`;
    io.stdout(problems + renderOutcomes(outcomes, warnings));
  }
  return code;
}

/** @returns undefined when it was interrupted */
async function tryServers(
  loaded: Loaded,
  config: Config,
  warnings: string[],
  io: ServeIo,
  clock: Clock,
  json: boolean,
): Promise<Outcome[] | undefined> {
  const daemon = new Daemon(config, {
    log: quietLog(warnings),
    keys: { keys: [randomBytes(32)], warning: undefined },
    clock,
    random: Math.random,
    version: io.version,
    onPanic: () => undefined,
  });
  const place = placesOf(config, loaded.text);
  const screen = json || !io.live(2) ? undefined : new Screen(io.stderr, () => io.size(2));
  const done = new Map<string, Outcome>();
  const ended = Promise.withResolvers<boolean>();
  io.onStop(() => ended.resolve(false));
  const look = (): void => {
    const now = clock.now();
    for (const server of daemon.servers) {
      // The first try counts; later ones would only hide that it failed.
      if (done.has(server.config.name) || !isSettled(server, now)) continue;
      const view = viewOf(server, now, place(server.config.name));
      done.set(server.config.name, { view, verdict: verdictOf(view), now: server });
    }
    if (done.size === config.servers.size) ended.resolve(true);
  };
  const draw = (): void => {
    const now = clock.now();
    const views = daemon.servers.map((each) => done.get(each.config.name)?.view ?? viewOf(each, now));
    const { columns, rows } = io.size(2);
    screen?.draw(renderTable(views, [], { columns, rows: rows - 2, colour: io.colour(2) }));
  };
  const stops = [clock.every(LOOK_MS, look), clock.every(DRAW_MS, draw)];
  await daemon.startServers();
  look();
  const complete = await ended.promise;
  for (const stop of stops) stop();
  screen?.draw([]);
  await daemon.stop();
  return complete ? daemon.servers.flatMap(({ config: { name } }) => done.get(name) ?? []) : undefined;
}

function verdictOf({ state, failure }: ServerView): Verdict {
  if (state === "ready") return "ok";
  if (state === "login needed") return "action";
  return failure === undefined ? "starting" : "fail";
}

function renderOutcomes(outcomes: readonly Outcome[], warnings: readonly string[]): string {
  const width = Math.max(4, ...outcomes.map(({ view }) => Bun.stringWidth(view.name)));
  const lines = outcomes.flatMap(({ view, verdict }) => {
    const head = `  ${fit(view.name, width)}  ${fit(WORDS[verdict], 12)}  `;
    const indent = " ".repeat(Bun.stringWidth(head));
    const { failure } = view;
    if (failure === undefined) return [`${head}${fit(view.what, 16)}  ${view.time}`.trimEnd()];
    return [
      `${head}${failure.code}: ${failure.message}`,
      ...(failure.lastLine === undefined ? [] : [indent + failure.lastLine]),
      `${indent}hint: ${failure.hint}`,
      ...(failure.place === undefined ? [] : [`${indent}in ${failure.place}`]),
    ];
  });
  const good = outcomes.filter(({ verdict }) => verdict === "ok").length;
  const all = outcomes.length;
  const failed = outcomes.filter(({ verdict }) => verdict === "fail").length;
  const rest = all - good - failed;
  const sum = [
    ...(failed > 0 ? [`${failed} of ${all} failed`] : []),
    ...(rest > 0 ? [`${rest} of ${all} not ready`] : []),
    ...(good === all ? [`${good} of ${all} ready`] : []),
  ].join(", ");
  return `${[...lines, ...warnings.map((warning) => `  warning  ${warning}`), sum].join("\n")}\n`;
}

function forScripts({ view, verdict, now }: Outcome): object {
  const { catalogue, readyMs } = now.status;
  const { failure } = view;
  return {
    server: view.name,
    result: verdict,
    ...(verdict === "ok" ? { tools: catalogue?.tools.size ?? 0, ms: readyMs } : {}),
    ...(failure === undefined
      ? {}
      : {
          code: failure.code,
          message: failure.message,
          lastLine: failure.lastLine,
          hint: failure.hint,
          place: failure.place,
        }),
  };
}

/** What fails is in the result; of the rest only names in filters that match nothing are worth a word here. */
function quietLog(warnings: string[]): Log {
  const nothing = (): void => undefined;
  return {
    debug: nothing,
    info: nothing,
    error: nothing,
    warn: (fields, text) => {
      if ("code" in fields && fields.code === "filter.no_match") warnings.push(text);
    },
  };
}
