import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { makeTree, root } from "../support/tree.ts";

const CONFIG = {
  mcpProxy: { baseURL: "https://mcp.example.com/gate", addr: "127.0.0.1:9090" },
  mcpServers: {
    github: { command: "x", options: { oauth2: { enabled: true, users: { a: "b" } } } },
    fetch: { command: "x", options: { authTokens: ["a-token-of-this-test-1"] } },
    "hook/secret-part": { command: "x" },
  },
};

async function connect(args: string[], config: object = CONFIG): Promise<{ code: number; out: string; err: string }> {
  await using tree = await makeTree();
  await tree.write("config.json", JSON.stringify(config));
  await using child = Bun.spawn([process.execPath, join(root, "src/main.ts"), "connect", ...args], {
    cwd: tree.path,
    env: { PATH: process.env["PATH"], HOME: tree.path },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}

describe("mcp-proxy connect", () => {
  test("without a client lists those it knows", async () => {
    const { code, out } = await connect([]);
    expect(code).toBe(0);
    for (const name of ["claude-code", "chatgpt", "cursor", "vscode", "codex", "gemini", "lmstudio", "zed", "stdio"])
      expect(out).toContain(`  ${name}`);
  });
  test("tells a client of everything, at the public URL", async () => {
    const { code, out } = await connect(["claude-code"]);
    expect(code).toBe(0);
    expect(out).toContain("claude mcp add --transport http everything https://mcp.example.com/gate/mcp\n");
  });
  test("tells it of one server, with the place of a token where one is needed, and never the token", async () => {
    const { out } = await connect(["claude-code", "fetch"]);
    expect(out).toContain(`--header "Authorization: Bearer $MCP_TOKEN"`);
    expect(out).toContain("https://mcp.example.com/gate/fetch/mcp");
    expect(out).not.toContain("a-token-of-this-test");
  });
  test("takes a URL, and needs no configuration then", async () => {
    const { code, out } = await connect(["VS Code", "https://other.example.com/x/mcp"]);
    expect(code).toBe(0);
    expect(out).toContain(`{"name":"x","type":"http","url":"https://other.example.com/x/mcp"}`);
  });
  test("a secret in a server's name is not printed", async () => {
    const { out } = await connect(["any"], {
      ...CONFIG,
      mcpProxy: { ...CONFIG.mcpProxy, aggregate: { enabled: false } },
    });
    expect(out).toContain("/github/mcp");
    expect(out).not.toContain("secret-part");
  });
  test.each([
    [["nobody"], 2, "no client is called"],
    [["cursor", "nobody"], 1, `no server is called "nobody"`],
    [["cursor", "a", "b"], 2, "one word too many"],
  ] as const)("%p ends with %p", async (args, status, message) => {
    const { code, err } = await connect([...args]);
    expect(code).toBe(status);
    expect(err).toContain(message);
    expect(err).toContain("Try: ");
  });
  test("an address that is chosen at the start is none to tell", async () => {
    const { code, err } = await connect(["cursor"], {
      mcpProxy: { addr: "127.0.0.1:0" },
      mcpServers: { a: { command: "x" } },
    });
    expect(code).toBe(1);
    expect(err).toContain("give the URL");
  });
});
