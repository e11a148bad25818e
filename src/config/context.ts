import type { Config, LogConfig, LogLevel } from "./config.ts";
import type { Problem } from "./problem.ts";

/** What the command line names. */
export type Source =
  /** Nothing: the places of docs/configuration.md are looked at in order. */
  | { readonly kind: "discover" }
  /** `--config`: a path or an http(s) URL. */
  | { readonly kind: "location"; readonly location: string }
  /** `--named-server-config`: the Python bridge's file, only `command` servers count. */
  | { readonly kind: "named-servers"; readonly location: string }
  /** A text at hand, for instance from standard input. */
  | { readonly kind: "text"; readonly text: string; readonly name: string };

/** What flags decide; undefined: the flag was not given. Flags beat the file. */
export interface Overrides {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly expandEnv?: boolean | undefined;
  /** Accept any certificate of the configuration's URL. */
  readonly insecure?: boolean | undefined;
  /** Sent with the request for the configuration's URL only. */
  readonly httpHeaders?: readonly (readonly [string, string])[] | undefined;
  readonly httpTimeoutMs?: number | undefined;
  readonly watch?: boolean | undefined;
  readonly stateless?: boolean | undefined;
  readonly passEnvironment?: boolean | undefined;
  readonly allowOrigins?: readonly string[] | undefined;
  readonly logLevel?: LogLevel | undefined;
  readonly logFormat?: LogConfig["format"] | undefined;
}

/** Everything that is read from outside, so that nothing here looks at the process. */
export interface LoadContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Home directory, for the default place of state. */
  readonly home: string | undefined;
  readonly overrides: Overrides;
  readonly fetch: typeof globalThis.fetch;
}

export interface Loaded {
  /** Undefined when there is an error among the problems, or when nothing was found. */
  readonly config: Config | undefined;
  readonly problems: readonly Problem[];
  /** How often a start may try to read it, because it cannot be read or is half written; 1: it is what it is. */
  readonly attempts?: number;
  /** What the log says about where the configuration came from and how it was read. */
  readonly notes: readonly string[];
  /** The text as it was read, to see whether it has changed. */
  readonly text?: string | undefined;
  /** Where it was read from, whole: to read it again. May hold credentials; `config.source` is for people. */
  readonly location: string | undefined;
  readonly found: "config" | "sse-url" | "nothing";
  /** With `found: "sse-url"`. */
  readonly sseUrl: string | undefined;
  /** The process environment, in env mode together with `.env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What is known before the file is interpreted. */
export interface Reading {
  /** For messages. */
  readonly file: string;
  /** Relative paths in `${file:}` start here. */
  readonly directory: string;
  /** How the start chose the file; the file's own shape then settles the flavour. */
  readonly habit: "config" | "env" | "bridge";
  readonly context: LoadContext;
  readonly env: Readonly<Record<string, string | undefined>>;
}
