import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Other programs for the same work, as their users install them. They are no dependencies: a run fetches them. */
export const PEER_NAMES = ["supergateway", "mcp-proxy (npm)", "mcp-proxy (PyPI)", "fastmcp"] as const;
export type PeerName = (typeof PEER_NAMES)[number];

/** A peer that is there. */
export interface Peer {
  readonly name: PeerName;
  readonly version: string;
  readonly path: string;
  /** @param folder where it may write what it needs to be told */
  command(port: number, server: readonly string[], folder: string): string[];
}

interface Recipe {
  readonly from: "npm" | "pypi";
  readonly package: string;
  /** Its program, below the folder it is installed in. */
  readonly program: string;
  readonly path: string;
  arguments(port: number, server: readonly string[], folder: string): string[];
}

const RECIPES: Record<PeerName, Recipe> = {
  supergateway: {
    from: "npm",
    package: "supergateway",
    program: "node_modules/supergateway/dist/index.js",
    path: "/mcp",
    arguments: (port, server) => [
      ...["--stdio", server.join(" "), "--outputTransport", "streamableHttp", "--stateful"],
      ...["--port", String(port), "--logLevel", "none"],
    ],
  },
  "mcp-proxy (npm)": {
    from: "npm",
    package: "mcp-proxy",
    program: "node_modules/.bin/mcp-proxy",
    path: "/mcp",
    arguments: (port, server) => ["--host", "127.0.0.1", "--port", String(port), "--server", "stream", "--", ...server],
  },
  "mcp-proxy (PyPI)": {
    from: "pypi",
    package: "mcp-proxy",
    program: "bin/mcp-proxy",
    path: "/mcp",
    arguments: (port, server) => [
      ...["--host", "127.0.0.1", "--port", String(port), "--log-level", "ERROR", "--", ...server],
    ],
  },
  fastmcp: {
    from: "pypi",
    package: "fastmcp",
    program: "bin/fastmcp",
    path: "/mcp",
    arguments: (port, [command, ...args], folder) => {
      const file = join(folder, "mcp.json");
      writeFileSync(file, JSON.stringify({ mcpServers: { bench: { command, args } } }));
      return [
        ...["run", file, "--transport", "http", "--host", "127.0.0.1", "--port", String(port)],
        ...["--path", "/mcp", "--no-banner", "--skip-env", "--log-level", "ERROR"],
      ];
    },
  },
};

/**
 * The peers that can be measured here.
 * @param folder where they are installed, one folder each
 * @param fetch whether those that are not there are installed
 * @returns them, and why others are missing
 */
export async function findPeers(
  folder: string,
  fetch: boolean,
  progress: (text: string) => void,
): Promise<{ peers: Peer[]; missing: string[] }> {
  const peers: Peer[] = [];
  const missing: string[] = [];
  for (const name of PEER_NAMES) {
    const recipe = RECIPES[name];
    const home = join(folder, `${recipe.from}-${recipe.package}`);
    const program = join(home, recipe.program);
    if (!existsSync(program) && fetch) {
      progress(`fetching ${name}`);
      await install(recipe, home);
    }
    const version = existsSync(program) ? versionOf(recipe, home) : undefined;
    if (version === undefined) {
      missing.push(`${name}: ${fetch ? `could not be installed from ${recipe.from}` : "not installed yet"}`);
      continue;
    }
    const start = recipe.from === "npm" ? ["node", program] : [program];
    peers.push({
      name,
      version,
      path: recipe.path,
      command: (port, server, into) => [...start, ...recipe.arguments(port, server, into)],
    });
  }
  return { peers, missing };
}

async function install(recipe: Recipe, home: string): Promise<void> {
  mkdirSync(home, { recursive: true });
  if (recipe.from === "npm") {
    await run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", home, `${recipe.package}@latest`]);
    return;
  }
  const made = await run(["uv", "venv", "--quiet", "--clear", home]);
  if (made) await run(["uv", "pip", "install", "--quiet", "--python", join(home, "bin/python"), recipe.package]);
}

/** Whether it went well; a machine without the program is no failure of the benchmark. */
async function run(command: string[]): Promise<boolean> {
  if (Bun.which(command[0] ?? "") === null) return false;
  return (await Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exited) === 0;
}

function versionOf(recipe: Recipe, home: string): string | undefined {
  try {
    if (recipe.from === "npm") {
      const text = readFileSync(join(home, "node_modules", recipe.package, "package.json"), "utf8");
      return (JSON.parse(text) as { version: string }).version;
    }
    const ask = `from importlib.metadata import version; print(version("${recipe.package}"))`;
    return (
      Bun.spawnSync([join(home, "bin/python"), "-c", ask])
        .stdout.toString()
        .trim() || undefined
    );
  } catch {
    return undefined;
  }
}
