import { basename } from "node:path";
import type { ServerConfig } from "../config/config.ts";
import { allowsTool } from "../policy/tool-filter.ts";
import { printable } from "../telemetry/printable.ts";
import { remedyOf } from "../upstream/remedy.ts";
import type { UpstreamStatus } from "../upstream/upstream.ts";
import { joins } from "./endpoints.ts";

/** One server as it is at a moment. */
export interface ServerNow {
  readonly config: ServerConfig;
  readonly status: UpstreamStatus;
}

export type ViewState = "ready" | "starting" | "failed" | "login needed" | "stopped";

/** A server in words, for people: the table at the start and `check --live` show the same ones. */
export interface ServerView {
  readonly name: string;
  readonly state: ViewState;
  /** How long it took, or takes; "" where that means nothing. */
  readonly time: string;
  /** How many tools it adds where all servers are together; undefined as long as that is not known. */
  readonly offered?: number;
  /** What it offers, or how far it is. */
  readonly what: string;
  /** Which program or address it is, without what could be a secret. */
  readonly target: string;
  /** The last line it wrote while it starts. */
  readonly progress: string | undefined;
  readonly failure: FailureView | undefined;
}

/** The parts of an error: what and why, what the server said last, what to do. */
export interface FailureView {
  readonly code: string;
  readonly message: string;
  /** When it is tried again, in words. */
  readonly next: string | undefined;
  readonly lastLine: string | undefined;
  readonly lines: number;
  readonly hint: string;
  /** Where in the configuration the server is. */
  readonly place: string | undefined;
}

/** Launchers whose first plain argument is the name of a package or a file. */
const LAUNCHERS = new Set(["npx", "bunx", "uvx", "uv", "node", "bun", "deno", "python", "python3", "pipx", "tsx"]);
/** Their flags that take no value; after any other one nobody knows what a word is. */
const PLAIN_FLAGS = new Set(["-y", "--yes", "-q", "--quiet", "-m", "-u", "--silent"]);

/**
 * @param now milliseconds since the epoch
 * @param place where in the configuration the server is
 */
export function viewOf({ config, status }: ServerNow, now: number, place?: string): ServerView {
  const common = { name: printable(config.displayName), target: targetOf(config) };
  const { fault, catalogue } = status;
  if (status.state === "ready" && catalogue !== undefined) {
    const time = status.readyMs === undefined ? "" : seconds(status.readyMs);
    return {
      ...common,
      state: "ready",
      time,
      ...toolsOf(config, catalogue.tools),
      progress: undefined,
      failure: undefined,
    };
  }
  if (status.state === "failed" && fault !== undefined) {
    const state = fault.code === "upstream.unauthorized" ? "login needed" : "failed";
    const detail = printable(fault.detail ?? "").trim();
    const lines = fault.detail === undefined || detail === "" ? [] : fault.detail.trim().split("\n").map(printable);
    const failure = {
      code: fault.code,
      // The hint says what to do, in more words.
      message: printable(fault.message).split("; ")[0] ?? "",
      next: nextTry(status, now),
      lastLine: lines.at(-1),
      lines: lines.length,
      hint: remedyOf(fault, config),
      place,
    };
    return { ...common, state, time: "", what: "", progress: undefined, failure };
  }
  if (status.state === "idle" || status.state === "stopped")
    return { ...common, state: "stopped", time: "", what: "", progress: undefined, failure: undefined };
  const time = status.attemptAt === undefined ? "" : `${Math.floor((now - status.attemptAt) / 1_000)} s`;
  const what =
    status.state === "ready" ? "reading its tools…" : status.restarts > 0 ? `try ${status.restarts + 1}` : "";
  const progress = status.progress === undefined ? undefined : printable(status.progress).trim();
  return { ...common, state: "starting", time, what, progress, failure: undefined };
}

/** Whether nothing more is to be expected soon: it runs, it failed, or it takes longer than clients wait for it. */
export function isSettled({ config, status }: ServerNow, now: number): boolean {
  if (status.state === "failed" || status.state === "stopped") return true;
  if (status.state === "ready") return status.catalogue !== undefined || isLate();
  return isLate();

  function isLate(): boolean {
    return status.attemptAt !== undefined && now - status.attemptAt >= config.connectTimeoutMs;
  }
}

function toolsOf(server: ServerConfig, tools: ReadonlySet<string>): { what: string; offered: number } {
  const { toolFilter } = server;
  const all = tools.size;
  let allowed = 0;
  for (const tool of tools) if (toolFilter === undefined || allowsTool(toolFilter, tool)) allowed++;
  const what = toolFilter === undefined ? `${all} ${all === 1 ? "tool" : "tools"}` : `${allowed} of ${all} tools`;
  return { what, offered: joins(server) ? allowed : 0 };
}

function nextTry({ retryAt, restarts }: UpstreamStatus, now: number): string | undefined {
  if (retryAt === undefined) return undefined;
  const wait = Math.max(0, Math.round((retryAt - now) / 1_000));
  return `next try ${wait === 0 ? "now" : `in ${wait} s`} (${ordinal(restarts + 1)})`;
}

function ordinal(number: number): string {
  const tens = number % 100;
  const ones = number % 10;
  const ending = tens > 10 && tens < 14 ? "th" : ones === 1 ? "st" : ones === 2 ? "nd" : ones === 3 ? "rd" : "th";
  return `${number}${ending}`;
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 1_000)} s`;
}

/** Arguments and paths of URLs can be secrets; only what is plainly the name of something is shown. */
function targetOf({ target, invalid }: ServerConfig): string {
  if (invalid !== undefined) return "";
  if (target.kind !== "stdio") return shownUrl(target.url);
  const program = basename(target.command);
  const first = LAUNCHERS.has(program) ? target.args.find((arg) => !PLAIN_FLAGS.has(arg)) : undefined;
  const shown = first !== undefined && /^[@\w./][\w@./-]{0,120}$/.test(first) ? ` ${shortPath(first)}` : "";
  return printable(program + shown);
}

function shortPath(text: string): string {
  return text.length > 24 && text.includes("/") && !text.startsWith("@") ? `…/${basename(text)}` : text;
}

function shownUrl(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null) return "";
  const path = parsed.pathname
    .split("/")
    .map((segment) => (/^[a-z0-9._-]{0,16}$/i.test(segment) ? segment : "…"))
    .join("/");
  return printable(parsed.origin + path);
}
