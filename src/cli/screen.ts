import { rowsOf } from "./cells.ts";

/** The terminal as it is now. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

const CLEAR_BELOW = "\u001b[J";

/**
 * Lines at the end of a terminal that are drawn again in place, and what is printed above them. Nothing is ever drawn
 * again that could have scrolled out, so whoever draws keeps to the height of the terminal.
 */
export class Screen {
  readonly #write: (text: string) => void;
  readonly #size: () => TerminalSize;
  #drawn: readonly string[] = [];
  #last = "";

  constructor(write: (text: string) => void, size: () => TerminalSize) {
    this.#write = write;
    this.#size = size;
  }

  /** Prints text (with its line break) above what is drawn. */
  print(text: string): void {
    const lines = this.#drawn;
    this.#write(this.#erase() + text + joined(lines));
    this.#drawn = lines;
  }

  draw(lines: readonly string[]): void {
    const text = joined(lines);
    // A terminal that shows the same need not blink.
    if (text === this.#last) return;
    this.#write(this.#erase() + text);
    this.#drawn = lines;
    this.#last = text;
  }

  /** What is drawn stays as it is; from now on there is nothing to draw again. */
  release(): void {
    this.#drawn = [];
    this.#last = "";
  }

  #erase(): string {
    if (this.#drawn.length === 0) return "";
    // After a change of the width the terminal has wrapped the lines anew.
    const { columns } = this.#size();
    const up = this.#drawn.reduce((rows, line) => rows + rowsOf(line, columns), 0);
    return `\r\u001b[${up}A${CLEAR_BELOW}`;
  }
}

function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
