/** What kind of mistake it is, for scripts and for docs/troubleshooting.md, which lists every code. */
export type ProblemCode =
  | "config.not_found"
  | "config.unreadable"
  | "config.syntax"
  | "config.invalid"
  | "config.unset_variable"
  | "config.unprotected"
  | "config.unknown_key"
  | "config.duplicate_key"
  | "config.placeholder"
  | "config.exposed"
  | "config.plain_password"
  | "config.former_address"
  | "config.doubtful";

/** One thing that is wrong with a configuration: what, where, why, and what to do. Never holds a secret. */
export interface Problem {
  readonly code: ProblemCode;
  readonly severity: "error" | "warning";
  /** File, URL (without credentials and query), or `environment`. */
  readonly file: string;
  /** From 1; undefined where there is no text to point at. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** Dotted path such as `mcpServers.github.command`; empty for the whole file. */
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
}

export type Path = readonly (string | number)[];

/** Maps whose keys are credentials themselves; a message must not repeat them. */
const SECRET_KEYED = new Set(["apiKeys"]);
/** Maps whose keys are server names, where everything after the first slash may be a token. */
const NAME_KEYED = new Set(["mcpServers", "clients"]);

/** A server's name as it may be shown: all after the first slash can be a token in a URL (`fetch/TOKEN`). */
export function displayName(name: string): string {
  const slash = name.indexOf("/");
  return slash < 0 ? name : name.slice(0, slash);
}

/** A path as text, with API keys and the secret part of server names left out. */
export function renderPath(path: Path): string {
  let text = "";
  path.forEach((segment, index) => {
    const parent = path[index - 1];
    if (typeof segment === "number") {
      text += `[${segment}]`;
      return;
    }
    let shown = segment;
    if (typeof parent === "string" && SECRET_KEYED.has(parent) && index <= 2) shown = "(key)";
    else if (typeof parent === "string" && NAME_KEYED.has(parent) && index === 1) shown = displayName(segment);
    text += text === "" ? shown : `.${shown}`;
  });
  return text;
}

/** Where a path stands in a text. */
export type Locate = (path: Path, at: "key" | "value") => { line: number; column: number } | undefined;

/** Collects what is wrong with one file (or with the environment, where nothing can be located). */
export class Problems {
  readonly list: Problem[] = [];
  readonly #file: string;
  readonly #locate: Locate;
  readonly #origin: (path: Path) => Path;

  /** @param origin turns a path of the present format into that of the file as it was written */
  constructor(file: string, locate: Locate = () => undefined, origin: (path: Path) => Path = (path) => path) {
    this.#file = file;
    this.#locate = locate;
    this.#origin = origin;
  }

  error(path: Path, message: string, options: ProblemOptions = {}): void {
    this.#add("error", path, message, options);
  }

  warning(path: Path, message: string, options: ProblemOptions = {}): void {
    this.#add("warning", path, message, options);
  }

  get failed(): boolean {
    return this.list.some((problem) => problem.severity === "error");
  }

  #add(severity: Problem["severity"], normalized: Path, message: string, options: ProblemOptions): void {
    const path = this.#origin(normalized);
    const place = options.place ?? this.#locate(path, options.at ?? "value");
    const shown = renderPath(path);
    const isSame = (one: Problem): boolean =>
      one.path === shown && one.line === place?.line && one.column === place?.column && one.severity === "error";
    // One cause, such as a variable that is not set, is often noticed by a later check as well.
    if (severity === "error" && shown !== "" && this.list.some(isSame)) return;
    this.list.push({
      code: options.code ?? (severity === "error" ? "config.invalid" : "config.doubtful"),
      severity,
      file: this.#file,
      line: place?.line,
      column: place?.column,
      path: shown,
      message,
      ...(options.hint === undefined ? {} : { hint: options.hint }),
    });
  }
}

export interface ProblemOptions {
  /** Absent: `config.invalid` for errors, `config.doubtful` for warnings. */
  readonly code?: ProblemCode;
  readonly hint?: string | undefined;
  /** Point at the key instead of its value. */
  readonly at?: "key" | "value";
  /** Instead of looking the path up. */
  readonly place?: { readonly line: number; readonly column: number };
}

/** In the order of the text; what has no place keeps its turn at the end. */
export function inTextOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort(
    (a, b) => (a.line ?? Infinity) - (b.line ?? Infinity) || (a.column ?? Infinity) - (b.column ?? Infinity) || 0,
  );
}
