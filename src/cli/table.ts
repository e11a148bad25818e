import { styleText } from "node:util";
import { cut, fit, rowsOf, widthOf } from "./cells.ts";
import type { EndpointLine } from "./endpoints.ts";
import type { ServerView, ViewState } from "./server-view.ts";

export interface TableSpace {
  readonly columns: number;
  /** Lines that may be used. */
  readonly rows: number;
  readonly colour: boolean;
}

const MAX_NAME = 24;
/** Lines for servers, before URLs get any. */
const MIN_SERVER_ROWS = 3;
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
  const urlLines = urls.length === 0 ? [] : ["", ...urlTable(urls, offeredBy(servers), columns)];
  const urlRows = urlLines.reduce((rows, line) => rows + rowsOf(line, columns), 0);
  const all = servers.flatMap((server) => serverLines(server, nameWidth(servers), space, true));
  if (all.length + urlRows <= space.rows) return [...all, ...urlLines];
  const short = servers.flatMap((server) => serverLines(server, nameWidth(servers), space, false));
  if (short.length + urlRows <= space.rows) return [...short, ...urlLines];
  const few = fewUrls(urls);
  const rowsBelow = (): number => few.reduce((rows, line) => rows + rowsOf(line, columns), few.length === 0 ? 0 : 1);
  // In a low terminal the servers come first.
  while (few.length > 0 && rowsBelow() > space.rows - MIN_SERVER_ROWS) few.pop();
  const tail = few.length === 0 ? [] : ["", ...few];
  const tailRows = rowsBelow();
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
  return `${plural(servers.length, "server")}: ${words.join(", ")}`;
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

/** Tools of all of them together, as far as they are there. */
function offeredBy(servers: readonly ServerView[]): string {
  const tools = servers.reduce((sum, { offered }) => sum + (offered ?? 0), 0);
  return plural(tools, "tool");
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function urlTable(urls: readonly EndpointLine[], offered: string, columns: number): string[] {
  const endpoints = urls.filter(({ kind }) => kind !== "page");
  const width = Math.min(MAX_NAME, Math.max(0, ...endpoints.map(({ label }) => widthOf(label))));
  const lines = endpoints.map(({ label, url, members }) => {
    const line = `  ${fit(label, width)}  ${url}`;
    if (members === undefined) return line;
    const whole = `${line}   ${plural(members, "server")}, ${offered}`;
    return widthOf(whole) <= columns ? whole : line;
  });
  return [...lines, ...pageLines(urls)];
}

function pageLines(urls: readonly EndpointLine[]): string[] {
  const pages = urls.filter(({ kind }) => kind === "page");
  return pages.flatMap(({ label, url }) => ["", `  ${label}:  ${url}`]);
}

/** In the place of many URLs that differ only by the name in them, one line; beside it those that there is one of. */
function fewUrls(urls: readonly EndpointLine[]): string[] {
  const all = urls.find(({ kind }) => kind === "all");
  const first = urls.find(({ kind }) => kind === "server");
  const lines = all === undefined ? [] : [`  all    ${all.url}`];
  if (first !== undefined) lines.push(`  each   ${first.url.replace(/[^/]+(\/…)?\/(mcp|sse)$/, "NAME/$2")}`);
  const page = urls.find(({ kind }) => kind === "page");
  return page === undefined ? lines : [...lines, `  ${page.label}:  ${page.url}`];
}

function paint(text: string, state: ViewState, colour: boolean): string {
  return colour ? styleText(COLOURS[state], text, { validateStream: false }) : text;
}
