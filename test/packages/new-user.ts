/**
 * Walks through the README as somebody who has just found it: a Debian with git, Node.js and npm and nothing else, the
 * commands of the page as they are printed, until a real client has called a tool. Prints a transcript.
 *
 * Usage, as root, with port 9090 free: bun test/packages/new-user.ts [DIRECTORY OF AN UNTOUCHED DEBIAN 12]
 */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandsOf } from "../support/markdown.ts";
import { root } from "../support/tree.ts";
import { BareRoot } from "./bare-root.ts";

const say = (text: string): void => void process.stdout.write(text);
const place = mkdtempSync(join(tmpdir(), "mcp-proxy-new-user-"));
const base = "http://127.0.0.1:9090";

/** A command of the page, so that this script cannot know anything that the page does not say. */
function printed(begin: string): string {
  const found = commandsOf("README.md").find(({ line }) => line.startsWith(begin));
  if (found === undefined) throw new Error(`README.md has no command that begins with: ${begin}`);
  return found.line;
}

async function until(what: string, seconds: number, check: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + seconds * 1_000; Date.now() < end; await Bun.sleep(500)) {
    if (await check().catch(() => false)) return say(`(${what})\n`);
  }
  throw new Error(`did not happen in ${seconds} s: ${what}`);
}

/** Every process below one, the nearest first. */
function below(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  const children = existsSync(file) ? readFileSync(file, "utf8").trim().split(" ").filter(Boolean).map(Number) : [];
  return children.flatMap((child) => [child, ...below(child)]);
}

async function walk(machine: BareRoot): Promise<void> {
  const home = join("/home", "node");
  const options = { user: "node:node", cwd: `${home}/mcp-proxy`, env: { HOME: home, NO_COLOR: "1" } };
  const type = (line: string): string => machine.run(["sh", "-c", line], { ...options, shown: line });
  machine.run(["git", "clone", "-q", "/srv/mcp-proxy.git"], { ...options, cwd: home, shown: "git clone …/mcp-proxy" });

  const run = printed("make run");
  const proxy = machine.start(["sh", "-c", `exec ${run}`], { ...options, shown: run });
  let output = "";
  const reading = [proxy.stdout, proxy.stderr].map(async (stream) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) output += decoder.decode(chunk, { stream: true });
  });
  try {
    await until(`${base}/ answers`, 600, async () => (await fetch(`${base}/livez`)).ok);
    await until("the servers have been tried", 240, async () => (await fetch(`${base}/readyz`)).ok);
    say(`${output.trim().split("\n").slice(-25).join("\n")}\n\n`);
    const page = await (await fetch(`${base}/`, { headers: { Accept: "text/html" } })).text();
    if (!page.includes(`${base}/everything/mcp`)) throw new Error("the start page does not show the servers");
    say("(the start page shows the servers)\n\n");
    // The page says "nothing but curl", and this machine has not even that.
    machine.run(["sh", "-c", "apt-get install -q -y --no-install-recommends curl"], {
      shown: "apt-get install curl",
      quiet: true,
    });
    type(printed("curl -s"));
    const inspect = printed("npx -y @modelcontextprotocol/inspector");
    type(inspect);
    const call = inspect.replace(
      "--method tools/list",
      "--method tools/call --tool-name echo --tool-arg message=hello",
    );
    if (!type(call).includes("hello")) throw new Error("the tool did not answer");
    type(printed("build/mcp-proxy connect cursor"));
    type("build/mcp-proxy check --config config.example.jsonc");
  } finally {
    // As a terminal does it: everybody in the foreground hears of Ctrl-C.
    for (const pid of below(proxy.pid)) process.kill(pid, "SIGINT");
    const late = setTimeout(() => proxy.kill("SIGKILL"), 20_000);
    say(`^C\n(make run ended with ${await proxy.exited})\n`);
    clearTimeout(late);
    await Promise.all(reading);
  }
}

const given = Bun.argv[2];
try {
  if (
    await fetch(`${base}/livez`).then(
      () => true,
      () => false,
    )
  )
    throw new Error("port 9090 is taken on this machine");
  let talking = false;
  const machine = new BareRoot(join(place, "root"), (text) => talking && say(text), given);
  for (const file of ["/etc/resolv.conf", "/etc/hosts"]) writeFileSync(join(machine.path, file), readFileSync(file));
  cpSync("/etc/ssl/certs/ca-certificates.crt", join(machine.path, "etc/ssl/certs/ca-certificates.crt"));
  machine.addNode();
  machine.run(["sh", "-c", "apt-get update -q && apt-get install -q -y --no-install-recommends git make procps"]);
  Bun.spawnSync(["git", "clone", "-q", "--bare", root, join(machine.path, "srv/mcp-proxy.git")]);
  machine.run(["git", "config", "--system", "--add", "safe.directory", "*"]);
  talking = true;
  say("A Debian 12 with git, make, Node.js and npm, and the README.\n\n");
  await walk(machine);
  say("\nA real client has called a tool.\n");
} finally {
  rmSync(place, { recursive: true, force: true });
}
