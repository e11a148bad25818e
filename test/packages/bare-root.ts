import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** How this machine reaches registries: through which proxy, with whose certificates. It is not part of what is shown. */
const NETWORK =
  /^(https?_proxy|no_proxy|node_extra_ca_certs|ssl_cert_(file|dir)|curl_ca_bundle|git_ssl_cainfo|pip_\w+|requests_ca_bundle|(npm|bun)_config_\w+)$/i;

/** A Debian of its own in a directory, with nothing of this project in it. Needs root, debootstrap and unshare. */
export class BareRoot implements Disposable {
  readonly path: string;
  readonly #log: (text: string) => unknown;

  /** @param from an earlier root to begin with; absent: a fresh Debian 12, which takes a minute or two */
  constructor(path: string, log: (text: string) => unknown, from?: string) {
    this.path = path;
    this.#log = log;
    rmSync(path, { recursive: true, force: true });
    mkdirSync(dirname(path), { recursive: true });
    if (from === undefined) {
      must(["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", path]);
      cpSync("/etc/ssl/certs/ca-certificates.crt", join(path, "etc/ssl/certs/ca-certificates.crt"));
      for (const file of ["/etc/resolv.conf", "/etc/hosts"]) writeFileSync(join(path, file), readFileSync(file));
    } else must(["cp", "-a", from, path]);
  }

  /** Node.js and npm as the official image has them: below /usr/local, and a user `node`. */
  addNode(): void {
    const node = must(["readlink", "-f", Bun.which("node") ?? "node"]).trim();
    const npm = dirname(dirname(must(["readlink", "-f", Bun.which("npm") ?? "npm"]).trim()));
    mkdirSync(join(this.path, "usr/local/lib/node_modules"), { recursive: true });
    must(["cp", "-a", node, join(this.path, "usr/local/bin/node")]);
    must(["cp", "-aL", npm, join(this.path, "usr/local/lib/node_modules/npm")]);
    for (const name of ["npm", "npx"]) {
      must(["ln", "-sf", `../lib/node_modules/npm/bin/${name}-cli.js`, join(this.path, "usr/local/bin", name)]);
    }
    this.run(["sh", "-c", "groupadd -g 1000 node && useradd -u 1000 -g node -m -s /bin/bash node"]);
  }

  copy(from: string, to: string): void {
    const target = join(this.path, to);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(from, target, { recursive: true, verbatimSymlinks: true });
  }

  /**
   * Runs a command in there to its end.
   * @throws Error when it fails
   */
  run(command: readonly string[], options: RunOptions = {}): string {
    const { shown = command.join(" ") } = options;
    this.#log(`$ ${shown}\n`);
    const done = Bun.spawnSync(this.#inside(command, options), {
      env: this.#environment(options),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const output = done.stdout.toString() + done.stderr.toString();
    this.#log(options.quiet === true ? output.split("\n").slice(-4).join("\n") : output);
    if (!done.success) throw new Error(`${shown} failed with ${done.exitCode}:\n${output.slice(-4_000)}`);
    return output;
  }

  /** Starts a command that stays, as process 1 of its own world. */
  start(command: readonly string[], options: RunOptions = {}): Bun.Subprocess<"ignore", "pipe", "pipe"> {
    this.#log(`$ ${options.shown ?? command.join(" ")} &\n`);
    return Bun.spawn(this.#inside(command, options), {
      env: this.#environment(options),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  [Symbol.dispose](): void {
    if (existsSync(this.path)) rmSync(this.path, { recursive: true, force: true });
  }

  #inside(command: readonly string[], { user, cwd = "/" }: RunOptions): string[] {
    const identity = user === undefined ? [] : [`--userspec=${user}`];
    // A world of its own: what is left behind ends with it, and it has its own /proc and /dev.
    const mounts = `mount -t proc proc ${this.path}/proc && mount --rbind /dev ${this.path}/dev && exec "$@"`;
    return [
      ...["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", mounts, "sh"],
      ...["chroot", ...identity, this.path, "/usr/bin/env", "-C", cwd, ...command],
    ];
  }

  #environment({ env = {} }: RunOptions): Record<string, string> {
    const network = Object.entries(process.env).filter(([name]) => NETWORK.test(name)) as [string, string][];
    const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    return {
      PATH: path,
      HOME: "/root",
      LANG: "C.UTF-8",
      DEBIAN_FRONTEND: "noninteractive",
      ...Object.fromEntries(network),
      ...env,
    };
  }
}

export interface RunOptions {
  /** `user:group` instead of root. */
  readonly user?: string;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** What the transcript shows in the place of the command. */
  readonly shown?: string;
  /** Only the last lines of what it prints. */
  readonly quiet?: boolean;
}

function must(command: string[]): string {
  const done = Bun.spawnSync(command, { stdout: "pipe", stderr: "pipe" });
  if (!done.success) throw new Error(`${command.join(" ")}: ${done.stderr.toString()}`);
  return done.stdout.toString();
}
