/**
 * Carries out the Dockerfile without Docker: each stage in a Debian of its own, each RUN in a chroot, the entry point
 * as process 1 of a process namespace. What it cannot show: the real base image, layers, and what `docker run` adds.
 *
 * Usage, as root: bun test/packages/image.ts [DIRECTORY OF AN UNTOUCHED DEBIAN 12]
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../support/tree.ts";
import { BareRoot } from "./bare-root.ts";
import { pairsOf, readDockerfile, substitute } from "./dockerfile.ts";
import type { Stage } from "./dockerfile.ts";

/** The network is shared with this machine, where others may have taken any port that is written down. */
const PORT = freePort();
const say = (text: string): void => void process.stdout.write(text);
const place = mkdtempSync(join(tmpdir(), "mcp-proxy-image-"));

/** What Docker would send: only what .dockerignore lets through, as it is now. */
const context = join(place, "context");
for (const [, name = ""] of readFileSync(join(root, ".dockerignore"), "utf8").matchAll(/^!(.+)$/gm)) {
  cpSync(join(root, name), join(context, name), { recursive: true });
}

interface Built {
  readonly root: BareRoot;
  readonly env: Record<string, string>;
  readonly user: string | undefined;
  readonly cwd: string;
  readonly health: string;
  readonly entry: string[];
}

function build(stage: Stage, base: string, others: ReadonlyMap<string, BareRoot>): Built {
  const name = stage.name ?? "final";
  say(`\n## stage ${name}, in the place of ${stage.image}\n`);
  const made = new BareRoot(join(place, name), say, base);
  const env: Record<string, string> = {};
  const args: Record<string, string> = { TARGETARCH: "amd64" };
  let [user, cwd, health, entry]: [string | undefined, string, string, string[]] = [undefined, "/", "", []];
  for (const { name: what, text, line } of stage.instructions) {
    say(`\n# Dockerfile:${line} ${what} ${text}\n`);
    if (what === "RUN") {
      const options = { cwd, env: { ...args, ...env }, shown: text, quiet: true };
      made.run(["sh", "-c", text], user === undefined ? options : { ...options, user });
    } else if (what === "ENV") Object.assign(env, pairsOf(text));
    else if (what === "ARG") {
      const [key = "", value = ""] = text.split("=");
      args[key] ??= value;
    } else if (what === "WORKDIR") mkdirSync(join(made.path, (cwd = text)), { recursive: true });
    else if (what === "USER") user = `${text}:${text}`;
    else if (what === "COPY") {
      const [, from, list = ""] = /^(?:--from=(\S+)\s+)?(.*)$/.exec(text) ?? [];
      const words = list.split(/\s+/);
      const target = words.pop() ?? "";
      const source = from === undefined ? context : (others.get(from)?.path ?? "");
      for (const word of words) {
        const into =
          target === "." || target === "./" ? join(cwd, word) : target.startsWith("/") ? target : join(cwd, target);
        made.copy(join(source, word), into);
      }
    } else if (what === "HEALTHCHECK") health = text.replace(/^.*?\bCMD /, "");
    else if (what === "ENTRYPOINT") entry = JSON.parse(substitute(text, {})) as string[];
  }
  return { root: made, env, user, cwd, health, entry };
}

function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

async function until(what: string, seconds: number, check: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + seconds * 1_000; Date.now() < end; await Bun.sleep(500)) {
    if (await check().catch(() => false)) return say(`ok: ${what}\n`);
  }
  throw new Error(`did not happen in ${seconds} s: ${what}`);
}

async function call(server: string, method: string, params: object): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${PORT}/${server}/mcp`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  return await answer.text();
}

async function serve({ root: made, env, user, cwd, health, entry }: Built): Promise<void> {
  say("\n## the entry point as process 1, as the image's user\n");
  const config = {
    mcpProxy: { addr: `127.0.0.1:${PORT}`, stateless: true },
    mcpServers: {
      memory: { command: "npx", args: ["-y", "@modelcontextprotocol/server-memory"], connectTimeout: "5m" },
      time: { command: "uvx", args: ["mcp-server-time"], connectTimeout: "5m" },
      orphans: { command: "sh", args: ["-c", "(sleep 0.2 & sleep 0.2 &) ; exit 1"] },
    },
  };
  writeFileSync(join(made.path, "config/config.json"), JSON.stringify(config));
  const options = { env, cwd, ...(user === undefined ? {} : { user }) };
  const proxy = made.start(entry, options);
  const gone = proxy.exited.then(async (code) => {
    throw new Error(`it ended with ${code}: ${await proxy.stderr.text()} ${await proxy.stdout.text()}`);
  });
  gone.catch(() => undefined);
  const healthy = async (): Promise<boolean> => {
    made.run(["sh", "-c", health], {
      ...options,
      env: { ...env, HEALTH_URL: `http://127.0.0.1:${PORT}/livez` },
      shown: health,
    });
    return true;
  };
  try {
    await Promise.race([gone, until("the health check says so", 30, healthy)]);
    await until("a server by npx lists its tools", 240, async () =>
      (await call("memory", "tools/list", {})).includes("read_graph"),
    );
    await until("a server by uvx answers a call", 240, async () =>
      (await call("time", "tools/call", { name: "get_current_time", arguments: { timezone: "UTC" } })).includes(
        "datetime",
      ),
    );
    const inside = made.run(["sh", "-c", "id -u; ls /data/.mcpproxy /cache; stat -c '%a %U' /data/.mcpproxy"], options);
    if (!inside.startsWith("1000")) throw new Error("it is not the image's user");
    await until("no zombie stays", 20, async () => !zombies(proxy.pid));
  } finally {
    const first = firstInside(proxy.pid);
    if (first !== undefined) process.kill(first, "SIGTERM");
  }
  const code = await proxy.exited;
  say(`ended with ${code}\n`);
  if (code !== 0) throw new Error(`it ended with ${code}: ${await proxy.stderr.text()} ${await proxy.stdout.text()}`);
}

function children(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  return existsSync(file) ? readFileSync(file, "utf8").trim().split(" ").filter(Boolean).map(Number) : [];
}

function firstInside(outer: number): number | undefined {
  return children(outer)[0];
}

function zombies(outer: number): boolean {
  const all = (pid: number): number[] => [pid, ...children(pid).flatMap(all)];
  return all(outer).some((pid) => {
    const status = `/proc/${pid}/status`;
    return existsSync(status) && /^State:\s+Z/m.test(readFileSync(status, "utf8"));
  });
}

const given = Bun.argv[2];
const { stages } = readDockerfile(readFileSync(join(root, "Dockerfile"), "utf8"));
try {
  const base = new BareRoot(join(place, "base"), say, given);
  if (given !== undefined)
    for (const file of ["/etc/resolv.conf", "/etc/hosts"]) writeFileSync(join(base.path, file), readFileSync(file));
  cpSync("/etc/ssl/certs/ca-certificates.crt", join(base.path, "etc/ssl/certs/ca-certificates.crt"));
  base.addNode();
  const roots = new Map<string, BareRoot>();
  let last: Built | undefined;
  for (const stage of stages) {
    last = build(stage, base.path, roots);
    if (stage.name !== undefined) roots.set(stage.name, last.root);
  }
  if (last === undefined) throw new Error("the Dockerfile has no stage");
  await serve(last);
  say("\nall steps of the Dockerfile were carried out\n");
} finally {
  rmSync(place, { recursive: true, force: true });
}
