import pino from "pino";
import type { Log } from "./log.ts";
import { prettyLine } from "./pretty-line.ts";
import type { PrettyLine } from "./pretty-line.ts";

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
  /** From now on gives lines for people to `show` instead of writing them; only with `format: "pretty"`. */
  through(show: ((line: PrettyLine) => void) | undefined): void;
  /** Writes text for people to where the log goes, in order with its lines. */
  write(text: string): void;
}

/** The log: one JSON object a line for machines, one plain line for people. */
export function createLog(options: LogOptions): LeveledLog {
  const destination = pino.destination({ dest: options.descriptor, sync: true });
  // Whoever read it is gone, with the terminal or at the other end of a pipe. That is no reason to stop serving, and
  // there is nowhere left to say so.
  let gone = false;
  destination.on("error", () => (gone = true));
  const write = (text: string): void => {
    if (!gone) destination.write(text);
  };
  let show: ((line: PrettyLine) => void) | undefined;
  const forPeople = (json: string): void => {
    const line = prettyLine(json, options.colour);
    if (show === undefined) write(line.text);
    else show(line);
  };
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: options.format === "json" ? write : forPeople },
  );
  return Object.assign(log, {
    setLevel: (level: LogOptions["level"]) => {
      log.level = level;
    },
    through: (to: ((line: PrettyLine) => void) | undefined) => {
      show = to;
    },
    write,
  });
}
