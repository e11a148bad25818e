import { styleText } from "node:util";
import { printable } from "./printable.ts";

/** One entry of the log for people. */
export interface PrettyLine {
  /** One line or several, with the last line's break. */
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const COLOURS = { warn: "yellow", error: "red", debug: "dim", trace: "dim" } as const;
const INDENT = " ".repeat(10);

/**
 * An entry as people read it: the time, the message, its code and further fields as `key=value`; below that the last of
 * what a server said, and what to do. Nothing in it can move the cursor or look like a line of ours.
 * @param json as the log writes it for machines
 */
export function prettyLine(json: string, colour: boolean): PrettyLine {
  const fields = JSON.parse(json) as Record<string, unknown>;
  const { time, level, msg, code, detail, hint, retryMs, server, stream: _, ...rest } = fields;
  const word = String(level);
  const style = colour && word in COLOURS ? COLOURS[word as keyof typeof COLOURS] : undefined;
  const shown = word === "info" ? "" : `${style === undefined ? word : paint(style, word)}  `;
  const again = typeof retryMs === "number" ? `, next try in ${Math.max(1, Math.round(retryMs / 1_000))} s` : "";
  // What to do stands in the hint, in more words.
  const whole = printable(String(msg));
  const text = typeof hint === "string" ? (whole.split("; ")[0] ?? "") : whole;
  const who = typeof server === "string" && !text.startsWith("<") ? `<${printable(server)}> ` : "";
  const tail = [
    ...(typeof code === "string" ? [printable(code)] : []),
    ...Object.entries(rest).map(([key, value]) => `${printable(key)}=${quote(value)}`),
  ].join(" ");
  const dim = (text: string): string => (colour ? paint("dim", text) : text);
  const clock = printable(String(time).slice(11, 19));
  const lines = [`${clock}  ${shown}${who}${text}${again}${tail === "" ? "" : dim(`  ${tail}`)}`];
  if (typeof detail === "string" && detail.trim() !== "") {
    const said = detail.trim().split("\n");
    lines.push(
      `${INDENT}${printable(said.at(-1) ?? "")}${said.length > 1 ? dim(`   (last of ${said.length} lines)`) : ""}`,
    );
  }
  if (typeof hint === "string") lines.push(`${INDENT}hint: ${printable(hint)}`);
  return { text: `${lines.join("\n")}\n`, fields };
}

function quote(value: unknown): string {
  if (typeof value === "string" && /^[\w./:@-]+$/.test(value)) return value;
  return printable(JSON.stringify(value) ?? "");
}

function paint(style: "yellow" | "red" | "dim", text: string): string {
  return styleText(style, text, { validateStream: false });
}
