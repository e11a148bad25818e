import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** The project's own folder. */
export const root = join(import.meta.dir, "..", "..");

/** A folder of its own below the system's temporary one, gone at the end of the block that made it with `await using`. */
export interface Tree extends AsyncDisposable {
  readonly path: string;
  /** Writes a file and the folders above it. */
  write(file: string, text: string): Promise<void>;
  /** Copies files of the project to the same place in here. */
  copy(...files: string[]): Promise<void>;
  /** Makes the project's installed packages visible in here. */
  linkPackages(): Promise<void>;
}

export async function makeTree(): Promise<Tree> {
  const path = await mkdtemp(join(tmpdir(), "mcp-proxy-house-"));
  const write = async (file: string, text: string | Uint8Array): Promise<void> => {
    await mkdir(dirname(join(path, file)), { recursive: true });
    await writeFile(join(path, file), text);
  };
  return {
    path,
    write,
    async copy(...files) {
      for (const file of files) await write(file, await readFile(join(root, file)));
    },
    linkPackages: () => symlink(join(root, "node_modules"), join(path, "node_modules")),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
