import type { LogConfig, LogLevel } from "./config.ts";
import type { Overrides } from "./context.ts";

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

export function readLog(
  file: { readonly level?: LogLevel | undefined; readonly format?: LogConfig["format"] | undefined } | undefined,
  overrides: Overrides,
  environment: string | undefined,
): LogConfig {
  return {
    level: overrides.logLevel ?? file?.level ?? parseLogLevel(environment ?? "") ?? "info",
    format: overrides.logFormat ?? file?.format ?? "auto",
  };
}
