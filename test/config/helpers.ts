import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Config, ServerConfig } from "../../src/config/config.ts";
import type { Loaded, LoadContext, Overrides, Source } from "../../src/config/context.ts";
import { loadConfig } from "../../src/config/load.ts";

export interface World {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly overrides?: Overrides;
}

/** A start in an empty world: no variables, no flags. */
export function context(world: World = {}): LoadContext {
  return {
    env: world.env ?? {},
    cwd: world.cwd ?? "/nowhere",
    home: "/home/me",
    overrides: world.overrides ?? {},
    fetch,
  };
}

export function load(source: Source, world?: World): Promise<Loaded> {
  return loadConfig(source, context(world));
}

export function loadText(text: string | object, world?: World): Promise<Loaded> {
  return load(
    { kind: "text", text: typeof text === "string" ? text : JSON.stringify(text), name: "config.jsonc" },
    world,
  );
}

/** The configuration, or a failure that shows why there is none. */
export function good(loaded: Loaded): Config {
  if (loaded.config === undefined) throw new Error(`no configuration: ${lines(loaded).join("\n")}`);
  return loaded.config;
}

export function server(loaded: Loaded, name: string): ServerConfig {
  const found = good(loaded).servers.get(name);
  if (found === undefined) throw new Error(`no server ${name}`);
  return found;
}

/** `error 1:20 mcpServers.a.command: expected a string, got a number (hint)` */
export function lines(loaded: Loaded): string[] {
  return loaded.problems.map((problem) => {
    const place = problem.line === undefined ? "" : ` ${problem.line}:${problem.column}`;
    return `${problem.severity}${place} ${problem.path}: ${problem.message}${problem.hint ? ` (${problem.hint})` : ""}`;
  });
}

/** A directory with these files, gone when the scope ends. */
export function directory(files: Record<string, string | object>): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "mcp-proxy-config-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
