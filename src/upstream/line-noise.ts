import type { Clock } from "../telemetry/clock.ts";
import { printable } from "../telemetry/printable.ts";

const MAX_LINE_CHARS = 4096;
const LINES_PER_SECOND = 100;
const BURST = 400;
const KEPT_LINES = 20;

/** What a child says beside the protocol, in a dose that a log can take; the last lines are kept for the obituary. */
export class NoiseGate {
  readonly #report: (line: string) => void;
  readonly #clock: Clock;
  readonly #redact: (text: string) => string;
  readonly #last: string[] = [];
  #tokens = BURST;
  #filledAt: number;
  #dropped = 0;
  #cancelTimer: (() => void) | undefined;

  /** @param redact takes configured secrets out of a line */
  constructor(report: (line: string) => void, clock: Clock, redact: (text: string) => string) {
    this.#report = report;
    this.#clock = clock;
    this.#redact = redact;
    this.#filledAt = clock.now();
  }

  /** The last lines, oldest first, those that were not reported included. */
  get lastLines(): readonly string[] {
    return this.#last.map((line) => this.#presentable(line));
  }

  line(text: string): void {
    if (text.trim() === "") return;
    const whole = text.length > 4 * MAX_LINE_CHARS ? text.slice(0, 4 * MAX_LINE_CHARS) : text;
    this.#last.push(whole);
    if (this.#last.length > KEPT_LINES) this.#last.shift();
    // Nothing is made of a line that nobody will read: a flood must cost the proxy as little as it can.
    if (this.#dropped > 0 || !this.#take()) {
      this.#dropped++;
      this.#cancelTimer ??= this.#clock.after(1000, () => this.#reportDropped());
      return;
    }
    this.#report(this.#presentable(whole));
  }

  /** Says how many lines were left out, if any, and ends. */
  end(): void {
    this.#reportDropped();
  }

  #presentable(line: string): string {
    const whole = this.#redact(line);
    return printable(whole.length > MAX_LINE_CHARS ? `${whole.slice(0, MAX_LINE_CHARS)} ... cut` : whole);
  }

  #take(): boolean {
    const now = this.#clock.now();
    this.#tokens = Math.min(BURST, this.#tokens + (Math.max(0, now - this.#filledAt) * LINES_PER_SECOND) / 1000);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #reportDropped(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#dropped === 0) return;
    const dropped = this.#dropped;
    this.#dropped = 0;
    this.#report(`... ${dropped} lines dropped`);
  }
}

/** What the log says of a message that was too long. */
export function skippedLine(size: number, limit: number, head: string): string {
  return `skipped a line of ${size} bytes, more than ${limit}: ${head.slice(0, 80)} ...`;
}
