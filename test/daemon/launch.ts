import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLines } from "../support/lines.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const FIXTURE = join(import.meta.dir, "../fixtures/fault-server.ts");
/** Generous: the machine may be busy. Nothing waits so long where all is well. */
const PATIENCE_MS = 20_000;

type Line = Record<string, unknown>;

export interface LaunchOptions {
  /** Arguments of the proxy; by default `--config` with the file of `write`. */
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  /** What runs the proxy: its own command line follows these words. */
  readonly before?: readonly string[];
  readonly directory?: string;
}

/** An entry of `mcpServers` for the server that can be made to misbehave. */
export function faulty(env: Record<string, string> = {}, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { command: process.execPath, args: [FIXTURE], env, ...more };
}

/** A directory of its own, with a configuration that can be replaced while a proxy runs on it. */
export class Place implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "mcp-proxy-life-"));
  readonly config = join(this.path, "config.json");

  /** @param addr a fixed one keeps the port */
  write(mcpServers: Record<string, unknown>, mcpProxy: Record<string, unknown> = {}): void {
    const common = { addr: "127.0.0.1:0", options: { oauth2: { persistenceDir: join(this.path, "state") } } };
    this.replace(JSON.stringify({ mcpProxy: { ...common, ...mcpProxy }, mcpServers }));
  }

  /** In one step, as careful programs do: a temporary file, renamed. */
  replace(text: string): void {
    writeFileSync(`${this.config}.new`, text);
    renameSync(`${this.config}.new`, this.config);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A proxy as a process, however it is started; `test/support/proxy.ts` is for tests that only want one. */
export class Launched implements AsyncDisposable {
  readonly process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly log: Line[] = [];
  readonly errors: string[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(place: Place, options: LaunchOptions = {}) {
    const args = options.args ?? ["--config", place.config];
    this.process = Bun.spawn([...(options.before ?? []), process.execPath, MAIN, ...args, "--log-format", "json"], {
      cwd: options.directory ?? place.path,
      env: { PATH: process.env["PATH"], HOME: place.path, ...options.env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const wake = (): void => {
      for (const resolve of this.#waiting) resolve();
      this.#waiting.clear();
    };
    void readLines(this.process.stdout, (text) => {
      this.log.push(text.startsWith("{") ? (JSON.parse(text) as Line) : { msg: text });
      wake();
    });
    void readLines(this.process.stderr, (text) => void this.errors.push(text));
    void this.process.exited.then(wake);
  }

  /** Starts one and waits until it listens. */
  static async up(place: Place, options: LaunchOptions = {}): Promise<Launched> {
    const proxy = new Launched(place, options);
    await proxy.said("listening on ");
    return proxy;
  }

  get url(): string {
    const line = this.log.findLast(({ msg }) => String(msg).startsWith("listening on "));
    return String(line?.["msg"]).slice("listening on ".length).replace(/\/$/, "");
  }

  /**
   * Waits for a log line with these words.
   * @param from only lines from this place on count
   */
  async said(words: string, from = 0): Promise<Line> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = this.log.slice(from).find((line) => String(line["msg"]).includes(words));
      if (found !== undefined) return found;
      const ended = this.process.exitCode !== null || this.process.signalCode !== null;
      if (ended || Date.now() > deadline) {
        const tail = this.log.slice(-15).map((line) => JSON.stringify(line));
        throw new Error(`${ended ? "ended" : "still"} without "${words}":\n${[...tail, ...this.errors].join("\n")}`);
      }
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
        setTimeout(resolve, 500).unref();
      });
    }
  }

  /** Does something and waits for a log line that comes after it. */
  async after(words: string, act: () => void): Promise<Line> {
    const from = this.log.length;
    act();
    return await this.said(words, from);
  }

  /** Asks for a reload by signal and waits until it is done. */
  reload(words = "the configuration was taken over"): Promise<Line> {
    return this.after(words, () => this.process.kill("SIGHUP"));
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number> {
    this.process.kill(signal);
    return await this.process.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
