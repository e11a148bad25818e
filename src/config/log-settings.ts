import type { LogConfig, LogLevel } from "./config.ts";
import type { Overrides } from "./context.ts";
import type { Problems } from "./problem.ts";

const LEVELS: Readonly<Record<string, LogLevel>> = {
  trace: "trace",
  debug: "debug",
  info: "info",
  warn: "warn",
  warning: "warn",
  error: "error",
  critical: "error",
  silent: "silent",
};

/** Level names of all older programs, in any case; undefined when it is none. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const name = text.trim().toLowerCase();
  return Object.hasOwn(LEVELS, name) ? LEVELS[name] : undefined;
}

/** @param environment what `MCP_LOG_LEVEL` says, where that counts */
export function readLog(
  file: { readonly level?: LogLevel | undefined; readonly format?: LogConfig["format"] | undefined } | undefined,
  overrides: Overrides,
  environment: string | undefined,
  problems: Problems,
): LogConfig {
  return {
    level: overrides.logLevel ?? file?.level ?? levelOf(environment, problems),
    format: overrides.logFormat ?? file?.format ?? "auto",
  };
}

function levelOf(text: string | undefined, problems: Problems): LogLevel {
  const level = parseLogLevel(text ?? "");
  if (level === undefined && text?.trim())
    problems.warning([], "MCP_LOG_LEVEL must be trace, debug, info, warning, error or critical; info is used");
  return level ?? "info";
}
