/** How many of the following arguments belong to a flag. */
export type FlagKind =
  /** None; `=true`, `=false` and `--no-NAME` are understood. */
  | "switch"
  | "value"
  /** Two: `-e KEY VALUE`. */
  | "pair"
  /** Those that look like an origin. */
  | "origins"
  /** One, unless the next looks like something else. */
  | "maybe-value";

export interface Flag {
  readonly name: string;
  readonly kind: FlagKind;
  /** Exact tokens such as `-e`. */
  readonly short?: string;
  /** Shown after the name in the help. */
  readonly argument?: string;
  readonly section: Section;
  readonly help: string;
}

export type Section = "configuration" | "listening" | "servers" | "remote" | "log" | "other";

/** Every flag of this program and of the four it replaces. Long names work with one or two dashes, `=` or a blank. */
export const FLAGS: readonly Flag[] = [
  {
    name: "config",
    short: "-c",
    kind: "value",
    argument: "FILE|URL",
    section: "configuration",
    help: "the configuration to serve",
  },
  { name: "watch", kind: "switch", section: "configuration", help: "read the configuration again when it changes" },
  {
    name: "insecure",
    kind: "switch",
    section: "configuration",
    help: "accept any certificate of the configuration's URL",
  },
  {
    name: "expand-env",
    kind: "switch",
    section: "configuration",
    help: "expand $VAR too; --expand-env=false expands nothing",
  },
  {
    name: "http-headers",
    kind: "value",
    argument: "'K:V;K:V'",
    section: "configuration",
    help: "headers for the configuration's URL",
  },
  {
    name: "http-timeout",
    kind: "value",
    argument: "SECONDS",
    section: "configuration",
    help: "time for the configuration's URL (10)",
  },
  {
    name: "stdio",
    kind: "switch",
    section: "configuration",
    help: "all servers of the configuration as one stdio server",
  },

  { name: "port", kind: "value", argument: "N", section: "listening", help: "port to listen on" },
  { name: "host", kind: "value", argument: "ADDRESS", section: "listening", help: "address to listen on" },
  { name: "sse-port", kind: "value", argument: "N", section: "listening", help: "older spelling of --port" },
  { name: "sse-host", kind: "value", argument: "ADDRESS", section: "listening", help: "older spelling of --host" },
  { name: "stateless", kind: "switch", section: "listening", help: "answer requests without a session" },
  {
    name: "allow-origin",
    kind: "origins",
    argument: "ORIGIN…",
    section: "listening",
    help: "origins of browsers that may call; * for all",
  },
  {
    name: "expose-header",
    kind: "value",
    argument: "NAME",
    section: "listening",
    help: "response header that browsers may read; repeatable",
  },

  {
    name: "env",
    short: "-e",
    kind: "pair",
    argument: "KEY VALUE",
    section: "servers",
    help: "variable for the command; repeatable",
  },
  { name: "cwd", kind: "value", argument: "DIR", section: "servers", help: "working directory of the command" },
  { name: "pass-environment", kind: "switch", section: "servers", help: "hand the whole environment to every server" },
  {
    name: "named-server",
    kind: "pair",
    argument: "NAME 'COMMAND'",
    section: "servers",
    help: "one more server, below /servers/NAME/; repeatable",
  },
  {
    name: "named-server-config",
    kind: "value",
    argument: "FILE",
    section: "servers",
    help: "named servers from a file, instead of --named-server",
  },

  {
    name: "headers",
    short: "-H",
    kind: "pair",
    argument: "KEY VALUE",
    section: "remote",
    help: "header for the remote server; repeatable",
  },
  {
    name: "transport",
    kind: "value",
    argument: "sse|streamablehttp",
    section: "remote",
    help: "how the remote server speaks",
  },
  {
    name: "verify-ssl",
    kind: "maybe-value",
    argument: "[VALUE]",
    section: "remote",
    help: "check its certificate: true, false, or a PEM file",
  },
  {
    name: "client-id",
    kind: "value",
    argument: "ID",
    section: "remote",
    help: "OAuth client credentials for the remote server",
  },
  { name: "client-secret", kind: "value", argument: "SECRET", section: "remote", help: "its secret" },
  { name: "token-url", kind: "value", argument: "URL", section: "remote", help: "where its tokens come from" },
  {
    name: "username",
    kind: "value",
    argument: "NAME",
    section: "remote",
    help: "name at the remote server: basic authentication",
  },
  { name: "password", kind: "value", argument: "TEXT", section: "remote", help: "its password" },
  {
    name: "digest",
    kind: "switch",
    section: "remote",
    help: "with --username and --password: Digest instead of Basic",
  },

  {
    name: "log-level",
    kind: "value",
    argument: "LEVEL",
    section: "log",
    help: "trace, debug, info, warning, error or critical",
  },
  { name: "debug", kind: "switch", section: "log", help: "the same as --log-level debug" },
  { name: "log-format", kind: "value", argument: "pretty|json", section: "log", help: "for people or for machines" },

  { name: "json", kind: "switch", section: "other", help: "check: print one JSON object" },
  { name: "live", kind: "switch", section: "other", help: "check: start and ask every server" },
  {
    name: "public",
    kind: "value",
    argument: "URL",
    section: "other",
    help: "check: walk from outside what clients walk",
  },
  { name: "eject-templates", kind: "switch", section: "other", help: "write the login pages to the configured place" },
  {
    name: "eject-templates-to",
    kind: "value",
    argument: "DIR",
    section: "other",
    help: "write the login pages to DIR",
  },
  { name: "force", kind: "switch", section: "other", help: "overwrite edited pages" },
  { name: "version", kind: "switch", section: "other", help: "print the version" },
  { name: "help", short: "-h", kind: "switch", section: "other", help: "print help" },
];

/** The flag a token names, before any `=`; `negated` for `--no-NAME`. */
export function flagOf(token: string): { flag: Flag; negated: boolean; inline: string | undefined } | undefined {
  const exact = FLAGS.find((flag) => flag.short === token);
  if (exact !== undefined) return { flag: exact, negated: false, inline: undefined };
  const match = /^--?([A-Za-z][A-Za-z0-9-]*)(?:=([^]*))?$/.exec(token);
  if (match === null) return undefined;
  const [, name = "", inline] = match;
  const flag = FLAGS.find((one) => one.name === name);
  if (flag !== undefined) return { flag, negated: false, inline };
  const positive = name.startsWith("no-") ? FLAGS.find((one) => one.name === name.slice(3)) : undefined;
  const negatable = positive?.kind === "switch" || positive?.kind === "maybe-value";
  return positive !== undefined && negatable ? { flag: positive, negated: true, inline } : undefined;
}
