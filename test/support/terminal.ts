import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A terminal of its own that a test types into and looks at. */
export interface Terminal extends AsyncDisposable {
  readonly home: string;
  /** Types one line, with the Enter at its end. */
  type(line: string): Promise<void>;
  /** Presses a key by tmux's name for it, such as `C-c`. */
  press(key: string): Promise<void>;
  /** What is to be seen now, or with everything that has scrolled out. */
  seen(all?: boolean): Promise<string>;
  /** What is to be seen, with the sequences that make it so. */
  raw(): Promise<string>;
  /** Resolves with what is to be seen as soon as it fits. */
  until(fits: (screen: string) => boolean, all?: boolean): Promise<string>;
  resize(columns: number, rows: number): Promise<void>;
  /** Closes it as a person closes a window. */
  close(): Promise<void>;
}

/** @param tmux path of tmux; a server of its own is started, which touches no session of whoever runs the tests */
export async function openTerminal(
  tmux: string,
  size: { readonly columns: number; readonly rows: number },
  env: Readonly<Record<string, string>> = {},
): Promise<Terminal> {
  const home = mkdtempSync(join(tmpdir(), "mcp-proxy-terminal-"));
  const socket = join(home, "tmux");
  const run = async (...args: string[]): Promise<string> => {
    const child = Bun.spawn([tmux, "-S", socket, "-f", "/dev/null", ...args], {
      env: { PATH: process.env["PATH"], HOME: home, LANG: "C.UTF-8", TERM: "xterm-256color", SHELL: "/bin/sh", ...env },
      cwd: home,
      stdout: "pipe",
      stderr: "pipe",
    });
    const text = await child.stdout.text();
    if ((await child.exited) !== 0) throw new Error(`tmux ${args[0]}: ${await child.stderr.text()}`);
    return text;
  };
  await run("-u", "new-session", "-d", "-s", "t", "-x", String(size.columns), "-y", String(size.rows), "/bin/sh");
  const seen = (all = false): Promise<string> => run("capture-pane", "-p", "-t", "t", ...(all ? ["-S", "-"] : []));
  return {
    home,
    seen,
    raw: () => run("capture-pane", "-p", "-e", "-t", "t"),
    type: async (line) => void (await run("send-keys", "-t", "t", line, "Enter")),
    press: async (key) => void (await run("send-keys", "-t", "t", key)),
    until: async (fits, all) => {
      // A terminal has no event for what it shows.
      for (;;) {
        const screen = await seen(all);
        if (fits(screen)) return screen;
        await Bun.sleep(50);
      }
    },
    resize: async (columns, rows) =>
      void (await run("resize-window", "-t", "t", "-x", String(columns), "-y", String(rows))),
    close: async () => void (await run("kill-session", "-t", "t")),
    async [Symbol.asyncDispose]() {
      await run("kill-server").catch(() => undefined);
      rmSync(home, { recursive: true, force: true });
    },
  };
}
