import type { Clock } from "../telemetry/clock.ts";
import type { PrettyLine } from "../telemetry/pretty-line.ts";
import { rowsOf } from "./cells.ts";
import type { EndpointLine } from "./endpoints.ts";
import { Screen } from "./screen.ts";
import type { TerminalSize } from "./screen.ts";
import { isSettled, viewOf } from "./server-view.ts";
import type { ServerNow } from "./server-view.ts";
import { renderTable } from "./table.ts";

const REDRAW_MS = 200;
const FLUSH_MS = 30;
/** What is never drawn again may scroll, though not without end. */
const FINAL_ROWS = 100;
/** Lines of servers that are starting, kept until they have started. */
const MAX_HELD = 500;

export interface BoardDeps {
  readonly clock: Clock;
  readonly colour: boolean;
  readonly size: () => TerminalSize;
  /** Writes to the terminal. */
  readonly write: (text: string) => void;
  readonly servers: () => readonly ServerNow[];
  readonly urls: readonly EndpointLine[];
  /** What runs, above the table. */
  readonly title: string;
  /** Where a server stands in the configuration. */
  readonly place: (server: string) => string | undefined;
}

/**
 * The table of servers while they start. It is drawn again in place until all have settled, then it stands still and the
 * log goes on below it. What the log says meanwhile appears above it, but for what the table itself shows.
 */
export class Board {
  readonly #deps: BoardDeps;
  readonly #screen: Screen;
  readonly #stop: () => void;
  #held: PrettyLine[] = [];
  /** Text to be printed above the table: a server with many tools must not draw it again for each of them. */
  #above = "";
  #cancelFlush: (() => void) | undefined;
  #starting: ReadonlySet<string> = new Set();
  #live = true;

  constructor(deps: BoardDeps) {
    this.#deps = deps;
    this.#screen = new Screen(deps.write, deps.size);
    this.#stop = deps.clock.every(REDRAW_MS, () => this.#tick());
    this.#tick();
  }

  log(line: PrettyLine): void {
    if (!this.#live) return this.#deps.write(line.text);
    const { fields } = line;
    // The table says it, in more words.
    if (fields["msg"] === "upstream ready") return;
    if (String(fields["msg"]).startsWith("upstream failed")) return this.#release(fields["server"]);
    if (fields["stream"] === undefined && fields["server"] !== undefined) this.#release(fields["server"]);
    // What npx and uvx say while they download is in the table; the whole of it follows when that is over.
    const starting = fields["stream"] !== undefined && this.#starting.has(String(fields["server"]));
    if (starting && this.#held.length < MAX_HELD) this.#held.push(line);
    else this.#print(line.text);
  }

  /** Draws it for the last time. */
  settle(): void {
    if (!this.#live) return;
    this.#stop();
    this.#release();
    this.#flush();
    this.#draw(FINAL_ROWS);
    this.#live = false;
    this.#screen.release();
  }

  #tick(): void {
    const now = this.#deps.clock.now();
    const servers = this.#deps.servers();
    const starting = servers.filter((each) => viewOf(each, now).state === "starting");
    this.#starting = new Set(starting.map(({ config }) => config.displayName));
    const due = this.#held.filter(({ fields }) => !this.#starting.has(String(fields["server"])));
    for (const server of new Set(due.map(({ fields }) => fields["server"]))) this.#release(server);
    if (servers.every((each) => isSettled(each, now))) this.settle();
    else this.#draw();
  }

  /** @param atLeast so many lines may be used even where the terminal has fewer */
  #draw(atLeast = 0): void {
    const now = this.#deps.clock.now();
    const { servers, urls, title, place, size, colour } = this.#deps;
    const views = servers().map((each) => viewOf(each, now, place(each.config.name)));
    const { columns, rows } = size();
    const head = ["", title, ""];
    const headRows = head.reduce((sum, line) => sum + rowsOf(line, columns), 0);
    // Below it one line is empty, and in one the cursor stands.
    const table = renderTable(views, urls, { columns, rows: Math.max(rows, atLeast) - headRows - 2, colour });
    this.#screen.draw([...head, ...table, ""]);
  }

  /** Prints what was held back, of one server or of all. */
  #release(server?: unknown): void {
    const due = this.#held.filter(({ fields }) => server === undefined || fields["server"] === server);
    if (due.length === 0) return;
    this.#held = this.#held.filter((line) => !due.includes(line));
    this.#print(due.map(({ text }) => text).join(""));
  }

  #print(text: string): void {
    this.#above += text;
    this.#cancelFlush ??= this.#deps.clock.after(FLUSH_MS, () => this.#flush());
  }

  #flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    if (this.#above !== "") this.#screen.print(this.#above);
    this.#above = "";
  }
}
