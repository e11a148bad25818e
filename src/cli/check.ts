import type { Loaded, LoadContext, Overrides, Source } from "../config/context.ts";
import { loadConfig } from "../config/load.ts";
import type { Problem } from "../config/problem.ts";
import { withAccessFiles } from "./check-access.ts";
import { printable } from "../telemetry/printable.ts";

export interface CheckOptions {
  readonly source: Source;
  readonly overrides: Overrides;
  /** One JSON object on stdout, for scripts. */
  readonly json: boolean;
  readonly live: boolean;
}

/** What a command needs of the world. */
export interface CheckIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string | undefined;
  readonly fetch: LoadContext["fetch"];
}

/**
 * Reads a configuration and prints every mistake in it. Nothing is started.
 * @returns the exit code: 0 good, 1 errors, 2 wrong usage
 */
export async function check(options: CheckOptions, io: CheckIo): Promise<number> {
  const { env, cwd, home, fetch } = io;
  const context = { env, cwd, home, fetch, overrides: options.overrides };
  const loaded = withAccessFiles(await loadConfig(options.source, context), cwd);
  if (loaded.found !== "config") {
    const found =
      loaded.found === "sse-url"
        ? "SSE_URL names a server, but there is no configuration to check"
        : "no configuration was found";
    if (options.json)
      io.stdout(
        `${JSON.stringify({ ok: false, file: null, errors: 1, warnings: 0, problems: [{ severity: "error", message: found }] })}\n`,
      );
    else io.stderr(`mcp-proxy: ${found}\n  Try: mcp-proxy check --config FILE\n`);
    return 1;
  }
  io.stdout(options.json ? `${JSON.stringify(checkReport(loaded))}\n` : renderProblems(loaded));
  return count(loaded.problems, "error") === 0 ? 0 : 1;
}

/** The result as text: files, then their problems in order, then the sum. */
export function renderProblems(loaded: Loaded): string {
  const lines: string[] = [];
  const files = new Set(loaded.problems.map((problem) => problem.file));
  const { config } = loaded;
  if (config !== undefined) {
    const groups = config.groups.size === 0 ? "" : `, ${plural(config.groups.size, "group")}`;
    lines.push(`${printable(config.source)}   ${plural(config.servers.size, "server")}${groups}`);
    files.add(config.source);
  }
  for (const file of files) {
    if (file !== config?.source) lines.push(printable(file));
    for (const problem of loaded.problems) if (problem.file === file) lines.push(...checkLines(problem));
  }
  for (const note of loaded.notes) lines.push(`  note  ${printable(note)}`);
  const sum = `${plural(count(loaded.problems, "error"), "error")}, ${plural(count(loaded.problems, "warning"), "warning")}`;
  return `${[...lines, sum].join("\n")}\n`;
}

function checkLines(problem: Problem): string[] {
  const place = problem.line === undefined ? "" : `${problem.line}:${problem.column} `;
  const lines = [
    `  ${problem.severity} ${place}${printable(problem.path)}`.trimEnd() + `   ${problem.code}`,
    `        ${printable(problem.message)}`,
  ];
  if (problem.hint !== undefined) lines.push(`        ${printable(problem.hint)}`);
  return lines;
}

/** The result for scripts. */
export function checkReport({ config, problems, notes }: Loaded): Record<string, unknown> {
  const [errors, warnings] = [count(problems, "error"), count(problems, "warning")];
  const servers = config === undefined ? null : [...config.servers.values()].map((server) => server.displayName);
  const file = config?.source ?? problems[0]?.file ?? null;
  return { ok: errors === 0, file, servers, errors, warnings, problems, notes };
}

/**
 * One problem as `serve` prints it, with its line break: what, where, why, and what to do.
 * @example error config.jsonc:14:20   mcpServers.github.command: expected a string, got a number   config.invalid
 */
export function renderProblem(problem: Problem): string {
  const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}:${problem.column}`;
  const label = problem.severity === "error" ? "error" : "warn ";
  const path = problem.path === "" ? "" : `${problem.path}: `;
  const first = `${label} ${printable(place)}   ${printable(path + problem.message)}   ${problem.code}`;
  return problem.hint === undefined ? `${first}\n` : `${first}\n      ${printable(problem.hint)}\n`;
}

function count(problems: readonly Problem[], severity: Problem["severity"]): number {
  return problems.filter((problem) => problem.severity === severity).length;
}

function plural(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
