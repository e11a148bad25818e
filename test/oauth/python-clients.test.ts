import { describe, expect } from "bun:test";
import { join } from "node:path";
import { program, testWith } from "../support/programs.ts";
import { startProxy } from "../support/proxy.ts";

const ROOT = join(import.meta.dir, "../..");
const EVERYTHING = join(ROOT, "node_modules/@modelcontextprotocol/server-everything/dist/index.js");

const uvx = program("uvx");

/** The first time these fetch packages for Python. */
describe("clients in Python", () => {
  const clients = { sdk: ["mcp<2", "from Python"], fastmcp: ["fastmcp", "from FastMCP"] } as const;
  for (const [name, [requirement, said]] of Object.entries(clients)) {
    testWith(
      uvx,
      `${name} logs in with the URL alone and calls a tool`,
      async () => {
        await using proxy = await startProxy(
          { a: { command: process.execPath, args: [EVERYTHING] } },
          {
            mcpProxy: {
              options: { oauth2: { enabled: true, users: { alice: "correct horse" }, persistenceDir: "state" } },
            },
          },
        );
        const script = join(import.meta.dir, "python-client.py");
        const command = ["uv", "run", "--no-project", "--with", requirement, "--with", "httpx", "python", script];
        const child = Bun.spawn([...command, `${proxy.url}/a/mcp`, name], { stdout: "pipe", stderr: "pipe" });
        const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
        expect([out.trim(), out.includes(said) ? "" : errors]).toEqual([`Echo: ${said}`, ""]);
      },
      240_000,
    );
  }
});
