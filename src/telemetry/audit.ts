import { closeSync, fchmodSync, fstatSync, openSync, statSync, writeSync } from "node:fs";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

/** How a call of a tool ended. */
export type Outcome = "ok" | "failed" | "denied" | "limited";

/** One call, without its arguments. */
export interface CallLine {
  readonly user: string | undefined;
  /** The OAuth client, or the client of an API key. */
  readonly client: string | undefined;
  readonly caller: string;
  readonly endpoint: string;
  /** Empty: the name that was called is no server's. */
  readonly server: string;
  readonly tool: string;
  readonly outcome: Outcome;
  /** Milliseconds. */
  readonly duration: number;
}

/** Where it is kept who called what. */
export interface Audit {
  call(line: CallLine): void;
}

/** A tool's name comes from the caller. */
const MAX_TEXT = 256;
/** How often it is said that the file cannot be written, and looked whether somebody has moved it away. */
const AGAIN_MS = 10_000;

/** One JSON object a line in a file of its own, which only this user may read. */
export class AuditFile implements Audit {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  #descriptor: number | undefined;
  #looked = 0;
  #lost = 0;
  #complained = Number.NEGATIVE_INFINITY;

  constructor(path: string, clock: Clock, log: Log) {
    this.#path = path;
    this.#clock = clock;
    this.#log = log;
    try {
      this.#open();
    } catch (error) {
      this.#complain(error, "calls are not kept until it can be");
    }
  }

  call(line: CallLine): void {
    const text = `${printable(JSON.stringify({ time: new Date(this.#clock.now()).toISOString(), ...shortened(line) }))}\n`;
    try {
      this.#follow();
      const bytes = Buffer.from(text);
      let written = 0;
      while (written < bytes.length) written += writeSync(this.#open(), bytes, written);
      if (this.#lost > 0) {
        this.#log.warn(
          { file: this.#path, lost: this.#lost },
          "the audit file can be written again; some calls are not in it",
        );
        this.#lost = 0;
        this.#complained = Number.NEGATIVE_INFINITY;
      }
    } catch (error) {
      this.close();
      this.#lost++;
      // What cannot be kept there is at least here.
      this.#log.warn({ audit: shortened(line) }, "a call that is not in the audit file");
      this.#complain(error, "calls are kept in this log instead");
    }
  }

  close(): void {
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    if (descriptor === undefined) return;
    try {
      closeSync(descriptor);
    } catch {
      // It is gone either way.
    }
  }

  #complain(error: unknown, then: string): void {
    const now = this.#clock.now();
    if (now - this.#complained < AGAIN_MS) return;
    this.#complained = now;
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    this.#log.error({ file: this.#path }, `the audit file cannot be written (${code}): ${then}`);
  }

  #open(): number {
    if (this.#descriptor !== undefined) return this.#descriptor;
    const descriptor = openSync(this.#path, "a", 0o600);
    // It may be there already, made by somebody who was less careful.
    if (fstatSync(descriptor).isFile()) fchmodSync(descriptor, 0o600);
    this.#descriptor = descriptor;
    return descriptor;
  }

  /** Whoever rotates logs moves the file away; from then on a new one is written. */
  #follow(): void {
    const now = this.#clock.now();
    if (this.#descriptor === undefined || now - this.#looked < 1_000) return;
    this.#looked = now;
    const there = statSync(this.#path, { throwIfNoEntry: false });
    const mine = fstatSync(this.#descriptor);
    if (there === undefined || there.ino !== mine.ino || there.dev !== mine.dev) this.close();
  }
}

/** Without a file of its own: in the log. */
export class AuditLog implements Audit {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  call(line: CallLine): void {
    const { endpoint, server, tool, user, client, caller, outcome } = shortened(line);
    this.#log.info(
      shortened(line),
      `<${server || endpoint}> ${tool} called by ${user ?? client ?? caller}: ${outcome}`,
    );
  }
}

function shortened(line: CallLine): CallLine {
  return { ...line, tool: line.tool.length > MAX_TEXT ? `${line.tool.slice(0, MAX_TEXT)}…` : line.tool };
}

/** What JSON leaves as it is and a terminal acts upon, or shows in another order. */
function printable(json: string): string {
  return json.replaceAll(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
