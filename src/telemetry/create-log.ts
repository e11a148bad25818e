import { styleText } from "node:util";
import pino from "pino";
import type { Log } from "./log.ts";

export interface LogOptions {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "silent";
  readonly format: "pretty" | "json";
  readonly colour: boolean;
  /** 1 for standard output, 2 for standard error. */
  readonly descriptor: 1 | 2;
}

/** A log whose level can be changed while it is used. */
export interface LeveledLog extends Log {
  setLevel(level: LogOptions["level"]): void;
}

/** The log: one JSON object a line for machines, one plain line for people. */
export function createLog(options: LogOptions): LeveledLog {
  const destination = pino.destination({ dest: options.descriptor, sync: true });
  const sink =
    options.format === "json"
      ? destination
      : { write: (line: string) => destination.write(prettyLine(line, options.colour)) };
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
  return Object.assign(log, {
    setLevel: (level: LogOptions["level"]) => {
      log.level = level;
    },
  });
}

const COLOURS = { warn: "yellow", error: "red", debug: "dim", trace: "dim" } as const;

/** Fields first known, then the rest as `key=value`. */
function prettyLine(json: string, colour: boolean): string {
  const { time, level, msg, ...rest } = JSON.parse(json) as Record<string, unknown>;
  const clock = String(time).slice(11, 19);
  const word = String(level);
  const style = colour && word in COLOURS ? COLOURS[word as keyof typeof COLOURS] : undefined;
  const shown =
    word === "info" ? "" : `${style === undefined ? word : styleText(style, word, { validateStream: false })}  `;
  const fields = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === "string" ? quote(value) : JSON.stringify(value)}`,
  );
  const tail = fields.length === 0 ? "" : `  ${fields.join(" ")}`;
  return `${clock}  ${shown}${printable(String(msg))}${colour && tail !== "" ? styleText("dim", tail, { validateStream: false }) : tail}\n`;
}

function quote(value: string): string {
  return /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value);
}

/** A child could otherwise move the cursor, or write lines that look like ours. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- finding them is the point
  return text.replaceAll(
    /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
