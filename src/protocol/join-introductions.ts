import { isRecord } from "./parsed.ts";
/** All the instructions of one URL together, in characters: they stand in a model's context for the whole session. */
const MAX_INSTRUCTIONS = 16_000;

type Json = Readonly<Record<string, unknown>>;

/** What several servers can do together: what any of them can. */
export function joinCapabilities(all: readonly Json[]): Record<string, unknown> {
  // A capability may have any name, also one that every object has.
  const joined: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const capabilities of all) {
    for (const [key, value] of Object.entries(capabilities)) {
      joined[key] = Object.hasOwn(joined, key) ? either(joined[key], value) : value;
    }
  }
  return joined;
}

function either(a: unknown, b: unknown): unknown {
  if (isRecord(a) && isRecord(b)) return joinCapabilities([a, b]);
  return typeof a === "boolean" && typeof b === "boolean" ? a || b : a;
}

/** The instructions of several servers, each below a heading; none takes the room of the others. */
export function joinInstructions(
  all: readonly { readonly server: string; readonly text: string }[],
): string | undefined {
  const said = all.map(({ server, text }) => ({ server, text: text.trim() })).filter(({ text }) => text !== "");
  if (said.length === 0) return undefined;
  const room = Math.floor(MAX_INSTRUCTIONS / said.length);
  const parts = said.map(({ server, text }) => {
    const whole = text.length <= room ? text : `${text.slice(0, room)}…`;
    return `# ${server}\n\n${whole}`;
  });
  return parts.join("\n\n");
}
