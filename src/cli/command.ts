import type { Config, ServerConfig } from "../config/config.ts";
import type { Loaded, Overrides, Source } from "../config/context.ts";
import { loadConfig } from "../config/load.ts";
import type { Command } from "./options.ts";
import { serveLoaded } from "./serve.ts";
import type { ServeIo } from "./serve.ts";

type CommandOptions = Extract<Command, { kind: "command" }>;

/**
 * Serves the commands of a command line, and those of `--named-server-config`, like servers of a configuration.
 * @returns the exit code
 */
export async function command(options: CommandOptions, io: ServeIo): Promise<number> {
  const { namedFile, overrides, warnings, stdio } = options;
  const source: Source =
    namedFile === undefined
      ? { kind: "text", text: "", name: "command line" }
      : { kind: "named-servers", location: namedFile };
  return await serveLoaded(() => load(options, io), { source, overrides, warnings, stdio }, io, 2);
}

async function load(options: CommandOptions, io: ServeIo): Promise<Loaded> {
  const { env, cwd, home, fetch } = io;
  // No port given: a free one. A port in the environment is another program's.
  const overrides: Overrides = {
    ...options.overrides,
    host: options.overrides.host ?? "127.0.0.1",
    port: options.overrides.port ?? 0,
  };
  const context = { env, cwd, home, fetch, overrides };
  const fromFile =
    options.namedFile === undefined
      ? undefined
      : await loadConfig({ kind: "named-servers", location: options.namedFile }, context);
  if (fromFile !== undefined && fromFile.config === undefined) return fromFile;
  const { text, root } = asConfiguration(options, [...(fromFile?.config?.servers.keys() ?? [])]);
  // What stands on the command line is meant as it stands: the shell has expanded what was to be expanded.
  const literal = { ...context, overrides: { ...overrides, expandEnv: false } };
  const given = await loadConfig({ kind: "text", text, name: "command line" }, literal);
  const base = fromFile ?? given;
  if (given.config === undefined || base.config === undefined) return given;
  const servers = new Map([...given.config.servers, ...base.config.servers]);
  const shown = (server: ServerConfig): ServerConfig =>
    server.name === root ? { ...server, displayName: "default" } : server;
  const config: Config = {
    ...base.config,
    flavour: "bridge",
    servers: new Map([...servers].map(([name, server]) => [name, shown(server)])),
    defaultServer: root,
    // With named servers only, nothing answers at the root.
    aggregate: { ...base.config.aggregate, enabled: fromFile?.config?.aggregate.enabled ?? false },
    exposeHeaders: options.exposeHeaders,
  };
  // Each file warns of its own; that the command line alone names no server is no mistake beside a file.
  const own = root === undefined && fromFile !== undefined ? [] : given.problems;
  return { ...base, config, problems: fromFile === undefined ? own : [...own, ...fromFile.problems] };
}

/** @param taken names that are in use already */
function asConfiguration(
  options: CommandOptions,
  taken: readonly string[],
): { readonly text: string; readonly root: string | undefined } {
  const { server, named, env, cwd } = options;
  const names = new Set([...taken, ...named.map(({ name }) => name)]);
  let root = server === undefined ? undefined : "default";
  while (root !== undefined && names.has(root)) root = `${root}-command`;
  const entries: [string, object][] = [];
  if (server !== undefined && root !== undefined) {
    const { command: program, args } = server;
    const given = { command: program, args, env: Object.fromEntries(env), ...(cwd === undefined ? {} : { cwd }) };
    entries.push([root, given]);
  }
  for (const { name, command: program, args } of named) entries.push([name, { command: program, args }]);
  return { text: JSON.stringify({ mcpServers: Object.fromEntries(entries) }), root };
}
