const UNITS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const PART = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/y;
/** setTimeout counts in 32 bits; a longer one would fire at once. */
export const MAX_DURATION_MS = 2_147_483_647;

/** Milliseconds of a text such as `60s`, `5m`, `1h30m`, `500ms` or `0`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  let total = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < trimmed.length) {
    const match = PART.exec(trimmed);
    if (match === null) return undefined;
    total += Number(match[1]) * (UNITS[match[2] ?? ""] ?? 0);
  }
  return trimmed === "" || total > MAX_DURATION_MS ? undefined : wholeMs(total);
}

/** Zero means no limit, so what is shorter than a millisecond must not become that. */
function wholeMs(ms: number): number {
  return ms > 0 ? Math.max(1, Math.round(ms)) : 0;
}

export interface TimeoutReading {
  readonly ms: number;
  /** The unit a bare number was taken for. */
  readonly unit: "seconds" | "milliseconds" | "nanoseconds";
}

/** Every system writes `timeout` in another unit; the size of the number tells which one was meant. */
export function readTimeoutNumber(value: number): TimeoutReading {
  if (value < 1000) return { ms: wholeMs(value * 1000), unit: "seconds" };
  if (value < 1_000_000) return { ms: Math.round(value), unit: "milliseconds" };
  return { ms: Math.min(Math.max(1, Math.round(value / 1_000_000)), MAX_DURATION_MS), unit: "nanoseconds" };
}

export function formatDuration(ms: number): string {
  if (ms === 0) return "no limit";
  if (ms < 1000) return `${ms} ms`;
  if (ms % 60_000 === 0) return `${ms / 60_000} min`;
  return `${ms / 1000} s`;
}
