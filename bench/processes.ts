import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface StartOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Where the end of stderr is kept to explain a start that failed; it is never shown otherwise. */
  keepStderr?: boolean;
}

export type Child = Bun.Subprocess<"pipe", "pipe", "pipe" | "inherit">;

// Above the 10 s the proxy may take to drain.
const TERM_GRACE_MS = 12_000;

/** Every process and temporary folder of a benchmark, so that none outlives it on any path. */
export class Processes {
  readonly #running = new Set<Child>();
  readonly #folders = new Set<string>();

  folder(): string {
    const path = mkdtempSync(join(tmpdir(), "mcp-proxy-bench-"));
    this.#folders.add(path);
    return path;
  }

  remove(folder: string): void {
    rmSync(folder, { recursive: true, force: true });
    this.#folders.delete(folder);
  }

  start(command: string[], options: StartOptions = {}): Child {
    const child: Child = Bun.spawn(command, {
      stdin: "pipe",
      stdout: "pipe",
      stderr: options.keepStderr === true ? "pipe" : "inherit",
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    this.#running.add(child);
    void child.exited.then(() => this.#running.delete(child));
    return child;
  }

  /** SIGTERM, and SIGKILL to one that does not go. */
  async stop(child: Child): Promise<void> {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), TERM_GRACE_MS);
    await child.exited;
    clearTimeout(timer);
  }

  async stopAll(): Promise<void> {
    await Promise.all(Array.from(this.#running, (child) => this.stop(child)));
    for (const folder of this.#folders) this.remove(folder);
  }

  /** For the end by a signal or the deadline, where nothing can be awaited. The proxy's children end with their stdin. */
  killAll(): void {
    for (const child of this.#running) child.kill("SIGKILL");
    for (const folder of this.#folders) this.remove(folder);
  }
}

/** A TypeScript file runs on this runtime, all else is a program. @throws Error when there is no such file. */
export function commandFor(path: string): string[] {
  if (!existsSync(path))
    throw new Error(`${path} does not exist; make build builds it, --references measures without it`);
  return path.endsWith(".ts") ? [process.execPath, path] : [path];
}
