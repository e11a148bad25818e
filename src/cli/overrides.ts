import type { Overrides } from "../config/context.ts";
import { parsePort } from "../config/listen.ts";
import { parseLogLevel } from "../config/log-settings.ts";
import type { Arguments } from "./arguments.ts";
import { readChoice } from "./choice.ts";
import { UsageError } from "./usage-error.ts";

/**
 * The flags that beat what a configuration says.
 * @throws UsageError for a value that is none of the allowed
 */
export function readOverrides(given: Arguments): Overrides {
  const port = readPort(given, "port") ?? readPort(given, "sse-port");
  const level = given.text("log-level");
  const logLevel = level === undefined ? undefined : parseLogLevel(level);
  if (level !== undefined && logLevel === undefined) {
    throw new UsageError("--log-level takes trace, debug, info, warning, error or critical", "--log-level debug");
  }
  const origins = given.texts("allow-origin");
  return {
    host: given.text("host") ?? given.text("sse-host"),
    port,
    expandEnv: given.switch("expand-env"),
    insecure: given.switch("insecure"),
    httpHeaders: readHttpHeaders(given.texts("http-headers")),
    httpTimeoutMs: readSeconds(given, "http-timeout"),
    watch: given.switch("watch"),
    stateless: given.switch("stateless"),
    passEnvironment: given.switch("pass-environment"),
    allowOrigins: origins.length === 0 ? undefined : origins.map((origin) => origin.replace(/\/$/, "")),
    logLevel: given.switch("debug") === true ? "debug" : logLevel,
    logFormat: readChoice(
      given,
      "log-format",
      { pretty: "pretty", json: "json", auto: "auto" } as const,
      "pretty, json",
    ),
  };
}

function readPort(given: Arguments, name: string): number | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const port = parsePort(text);
  if (port === undefined) throw new UsageError(`--${name} takes a number from 0 to 65535`, `--${name} 8080`);
  return port;
}

function readSeconds(given: Arguments, name: string): number | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const seconds = /^\d+(\.\d+)?s?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (!(seconds > 0 && seconds <= 3600))
    throw new UsageError(`--${name} takes seconds, more than 0 and at most 3600`, `--${name} 10`);
  return seconds * 1000;
}

/** `Key1:Value1;Key2:Value2`, as the Go program writes it. */
function readHttpHeaders(texts: readonly string[]): (readonly [string, string])[] | undefined {
  if (texts.length === 0) return undefined;
  return texts.flatMap((text) =>
    text
      .split(";")
      .filter((part) => part.trim() !== "")
      .map((part, index) => {
        const colon = part.indexOf(":");
        const key = part.slice(0, Math.max(0, colon)).trim();
        if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(key)) {
          throw new UsageError(
            `entry ${index + 1} of --http-headers is no header`,
            "--http-headers 'Key1:Value1;Key2:Value2'",
          );
        }
        return [key, part.slice(colon + 1).trim()] as const;
      }),
  );
}
