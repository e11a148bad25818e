import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Overrides, Source } from "../config/context.ts";
import { loadConfig } from "../config/load.ts";
import { BUILT_IN } from "../oauth/built-in-templates.ts";
import type { CheckIo } from "./check.ts";

export interface EjectOptions {
  /** `--eject-templates-to`; undefined: where the configuration says. */
  readonly to: string | undefined;
  /** Overwrite pages that were edited. */
  readonly force: boolean;
  readonly source: Source;
  readonly overrides: Overrides;
}

/**
 * Writes the login pages into a folder `oauth`, to be edited there. A page that differs is somebody's work and stays.
 * @returns the exit code
 */
export async function ejectTemplates(options: EjectOptions, io: CheckIo): Promise<number> {
  const base = options.to ?? (await configuredDirectory(options, io));
  const directory = resolve(io.cwd, base, "oauth");
  let kept = 0;
  try {
    await mkdir(directory, { recursive: true });
    for (const [name, text] of Object.entries(BUILT_IN)) {
      const file = join(directory, name);
      const present = await readFile(file, "utf8").catch(() => undefined);
      if (present === text) io.stdout(`unchanged  ${file}\n`);
      else if (present !== undefined && !options.force) {
        io.stderr(`kept       ${file} (it was edited; --force overwrites it)\n`);
        kept++;
      } else {
        await writeFile(file, text);
        io.stdout(`written    ${file}\n`);
      }
    }
  } catch (error) {
    io.stderr(
      `mcp-proxy: the login pages cannot be written to ${directory}: ${error instanceof Error ? error.message : String(error)}\n  Try: --eject-templates-to DIR\n`,
    );
    return 1;
  }
  io.stdout(
    `\nThey are used where "templateDir" is ${JSON.stringify(resolve(io.cwd, base))}; edits are seen at the next request.\n`,
  );
  return kept === 0 ? 0 : 1;
}

/** Where a running proxy would look for them. Without a usable configuration: the default place. */
async function configuredDirectory(options: EjectOptions, io: CheckIo): Promise<string> {
  const { env, cwd, home, fetch } = io;
  const loaded = await loadConfig(options.source, { env, cwd, home, fetch, overrides: options.overrides });
  return (loaded.found === "config" ? loaded.config?.oauth?.templateDir : undefined) ?? "templates";
}
