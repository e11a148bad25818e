import { styleText } from "node:util";
import { cut, fit, rowsOf, widthOf } from "./cells.ts";
import type { ServerView, ViewState } from "./server-view.ts";

export interface TableSpace {
  readonly columns: number;
  /** Lines that may be used. */
  readonly rows: number;
  readonly colour: boolean;
}

export interface EndpointLine {
  readonly label: string;
  readonly url: string;
}

const MAX_NAME = 24;
const STATES: readonly ViewState[] = ["failed", "login needed", "starting", "stopped", "ready"];
const COLOURS = {
  ready: "green",
  starting: "yellow",
  failed: "red",
  "login needed": "yellow",
  stopped: "dim",
} as const;
/** With less, columns stand under each other instead of beside each other. */
const NARROW = 60;

/**
 * The servers and their URLs, in at most `rows` lines of the terminal: what goes wrong is shown before what goes well,
 * and what does not fit is counted.
 * @returns lines; URLs may be wider than the terminal, since they are there to be copied whole
 */
export function renderTable(
  servers: readonly ServerView[],
  urls: readonly EndpointLine[],
  space: TableSpace,
): string[] {
  const { columns } = space;
  const urlLines = urls.length === 0 ? [] : ["", ...urlTable(urls)];
  const urlRows = urlLines.reduce((rows, line) => rows + rowsOf(line, columns), 0);
  const all = servers.flatMap((server) => serverLines(server, nameWidth(servers), space, true));
  if (all.length + urlRows <= space.rows) return [...all, ...urlLines];
  const short = servers.flatMap((server) => serverLines(server, nameWidth(servers), space, false));
  if (short.length + urlRows <= space.rows) return [...short, ...urlLines];
  const pattern = patternOf(urls);
  const tail = pattern === undefined ? [] : ["", pattern];
  const tailRows = tail.reduce((rows, line) => rows + rowsOf(line, columns), 0);
  return [...bounded(servers, space, Math.max(2, space.rows - tailRows)), ...tail];
}

/** What is wrong first, then as many as there is room for, in the order of the configuration; the rest as a sum. */
function bounded(servers: readonly ServerView[], space: TableSpace, rows: number): string[] {
  const shown = new Set<ServerView>();
  for (const state of STATES) {
    for (const server of servers) if (server.state === state && shown.size < rows - 1) shown.add(server);
  }
  const width = nameWidth([...shown]);
  const lines = servers
    .filter((server) => shown.has(server))
    .map((server) => serverLines(server, width, space, false)[0]);
  const rest =
    servers.length === shown.size ? [] : [cut(`  ${summary(servers)}; ${shown.size} are shown`, space.columns)];
  return [...lines.filter((line) => line !== undefined), ...rest];
}

/** @example 1000 servers: 3 failed, 12 starting, 985 ready */
export function summary(servers: readonly ServerView[]): string {
  const parts = STATES.map((state) => [servers.filter((server) => server.state === state).length, state] as const);
  const words = parts.filter(([count]) => count > 0).map(([count, state]) => `${count} ${state}`);
  return `${servers.length} ${servers.length === 1 ? "server" : "servers"}: ${words.join(", ")}`;
}

function nameWidth(servers: readonly ServerView[]): number {
  return Math.min(MAX_NAME, Math.max(4, ...servers.map(({ name }) => widthOf(name))));
}

function serverLines(server: ServerView, width: number, space: TableSpace, whole: boolean): string[] {
  const { columns } = space;
  const { state, failure } = server;
  const narrow = columns < NARROW;
  const name = fit(server.name, narrow ? Math.min(width, 14) : width);
  const head = `  ${name}  `;
  const left = columns - widthOf(head) - (narrow ? Math.max(8, state.length) : 12) - 2;
  const first =
    head +
    paint(fit(state, narrow ? Math.max(8, state.length) : 12), state, space.colour) +
    cut(`  ${rest(server, narrow)}`, Math.max(0, left + 2));
  if (failure === undefined) return [first.trimEnd()];
  const indent = " ".repeat(narrow ? 4 : widthOf(head));
  const room = Math.max(1, columns - indent.length);
  const more: string[] = [];
  if (narrow) more.push(indent + cut(failure.message, room));
  if (failure.lastLine !== undefined) {
    const note = failure.lines > 1 ? `   (last of ${failure.lines} lines)` : "";
    more.push(indent + cut(failure.lastLine, Math.max(8, room - note.length)) + (note.length + 8 < room ? note : ""));
  }
  if (narrow && failure.next !== undefined) more.push(indent + cut(failure.next, room));
  more.push(indent + cut(`hint: ${failure.hint}`, room));
  if (failure.place !== undefined) more.push(indent + cut(`in ${failure.place}`, room));
  return whole ? [first.trimEnd(), ...more] : [first.trimEnd()];
}

function rest({ time, what, target, progress, failure, state }: ServerView, narrow: boolean): string {
  if (failure !== undefined) {
    const { code, message, next } = failure;
    return narrow ? code : `${code}: ${message}${next === undefined ? "" : `, ${next}`}`;
  }
  if (narrow) return [time, progress ?? what].filter((part) => part !== "").join("  ");
  const parts = [
    fit(time, 6),
    fit(what, 16),
    state === "starting" && progress !== undefined ? "" : target,
    progress ?? "",
  ];
  return parts.filter((part) => part !== "").join("  ");
}

function urlTable(urls: readonly EndpointLine[]): string[] {
  const width = Math.min(MAX_NAME, Math.max(...urls.map(({ label }) => widthOf(label))));
  return urls.map(({ label, url }) => `  ${fit(label, width)}  ${url}`);
}

/** One line in the place of many URLs that differ only by the name in them. */
function patternOf(urls: readonly EndpointLine[]): string | undefined {
  const [first] = urls;
  return first === undefined ? undefined : `  URLs   ${first.url.replace(`/${first.label}/`, "/NAME/")}`;
}

function paint(text: string, state: ViewState, colour: boolean): string {
  return colour ? styleText(COLOURS[state], text, { validateStream: false }) : text;
}
