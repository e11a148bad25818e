import { describe, expect, test } from "bun:test";
import { findClient, lmStudioWebLink, MCP_CLIENTS, plainName, vscodeWebLink } from "../../src/http/mcp-clients.ts";
import type { ClientTarget } from "../../src/http/mcp-clients.ts";

/** Everything that has a meaning in a URL, in a shell, in HTML or in base64. */
const URLS = [
  "https://mcp.example.com/mcp",
  "https://mcp.example.com/a%20b&c=d/mcp?x=1&y=%2F",
  "https://mcp.example.com/it's$(id)`id`/mcp",
  "https://mcp.example.com/~~~>>>???/mcp",
];
const target = (url: string, access: ClientTarget["access"] = "login"): ClientTarget => ({ name: "ex", url, access });
const client = (id: string) => findClient(id) ?? expect.unreachable(id);
const config = (link: string): unknown =>
  JSON.parse(Buffer.from(new URL(link).searchParams.get("config") ?? "", "base64").toString("utf8"));

describe.each(URLS)("links to %s say what they should when they are read again", (url) => {
  test("Claude", () => {
    const link = new URL(client("claude").link(target(url)) ?? "");
    expect(link.origin + link.pathname).toBe("https://claude.ai/customize/connectors");
    expect(Object.fromEntries(link.searchParams)).toEqual({
      modal: "add-custom-connector",
      connectorName: "ex",
      connectorUrl: url,
    });
  });
  test("Cursor", () => {
    const link = client("cursor").link(target(url)) ?? "";
    expect(link).toStartWith("cursor://anysphere.cursor-deeplink/mcp/install?name=ex&config=");
    expect(config(link)).toEqual({ url });
  });
  test("LM Studio", () => {
    const link = client("lmstudio").link(target(url)) ?? "";
    expect(link).toStartWith("lmstudio://add_mcp?name=ex&config=");
    expect(config(link)).toEqual({ url });
    expect(config(lmStudioWebLink(target(url)))).toEqual({ url });
  });
  test("VS Code", () => {
    const link = client("vscode").link(target(url)) ?? "";
    expect(link).toStartWith("vscode:mcp/install?");
    expect(JSON.parse(decodeURIComponent(link.slice("vscode:mcp/install?".length)))).toEqual({
      name: "ex",
      type: "http",
      url,
    });
    expect(new URL(vscodeWebLink(target(url))).searchParams.get("url")).toBe(link);
  });
  test("commands reach a shell as they were meant", async () => {
    for (const { id, steps } of MCP_CLIENTS) {
      for (const { code, language } of steps(target(url))) {
        if (language !== "sh" || code === undefined || code === "goose configure") continue;
        const [program = ""] = code.split(" ");
        const script = `${program}() { printf '%s\\n' "$@"; }; ${code}`;
        await using shell = Bun.spawn(["sh", "-c", script], { stdout: "pipe", stderr: "inherit" });
        const words = (await shell.stdout.text()).trimEnd().split("\n");
        const said =
          program === "code" ? JSON.parse(words[1] ?? "").url : words.find((word) => word.startsWith("https:"));
        expect([id, said]).toEqual([id, url]);
      }
    }
  });
  test("files are what they claim to be, and hold the URL", () => {
    for (const { id, steps } of MCP_CLIENTS) {
      for (const { code = "", language } of steps(target(url))) {
        if (language === "json")
          expect([id, JSON.stringify(JSON.parse(code))]).toEqual([id, expect.stringContaining(JSON.stringify(url))]);
        if (language === "toml") expect(Bun.TOML.parse(code)).toEqual({ mcp_servers: { ex: { url } } });
      }
    }
  });
});

test("each client gets the key it reads", () => {
  const file = (id: string) =>
    JSON.parse(
      client(id)
        .steps(target("https://h/mcp"))
        .find(({ language }) => language === "json")?.code ?? "",
    );
  const url = "https://h/mcp";
  expect(file("claude-code")).toEqual({ mcpServers: { ex: { type: "http", url } } });
  expect(file("cursor")).toEqual({ mcpServers: { ex: { url } } });
  expect(file("vscode")).toEqual({ servers: { ex: { type: "http", url } } });
  expect(file("gemini")).toEqual({ mcpServers: { ex: { httpUrl: url } } });
  expect(file("lmstudio")).toEqual({ mcpServers: { ex: { url } } });
  expect(file("zed")).toEqual({ context_servers: { ex: { url } } });
  expect(file("windsurf")).toEqual({ mcpServers: { ex: { serverUrl: url } } });
  expect(file("opencode")).toEqual({ mcp: { ex: { type: "remote", url } } });
  expect(client("stdio").steps(target(url, "open"))[0]?.code).toContain('"mcp-proxy"');
});

test("where a token is needed, what is copied has its place, and clients that cannot take one say so", () => {
  for (const { id, link, steps } of MCP_CLIENTS) {
    const all = steps(target("https://h/mcp", "token"));
    const text = all.map(({ say, code }) => `${say} ${code ?? ""}`).join("\n");
    if (id === "claude" || id === "chatgpt")
      expect([id, text]).toEqual([id, expect.stringContaining("cannot be entered")]);
    else if (id !== "goose") expect([id, text]).toEqual([id, expect.stringMatching(/YOUR_TOKEN|MCP_TOKEN/)]);
    if (id === "claude") expect(link(target("https://h/mcp", "token"))).toBeUndefined();
  }
  expect(config(client("cursor").link(target("https://h/mcp", "token")) ?? "")).toEqual({
    url: "https://h/mcp",
    headers: { Authorization: "Bearer YOUR_TOKEN" },
  });
});

test("names are plain and short, and clients are found as people call them", () => {
  expect(plainName("GitHub Enterprise/Prod")).toBe("github-enterprise-prod");
  expect(plainName("データ")).toBe("mcp");
  expect(plainName("x".repeat(80))).toHaveLength(32);
  expect(findClient("VS Code")?.id).toBe("vscode");
  expect(findClient("claude.ai")?.id).toBe("claude");
  expect(findClient("nobody")).toBeUndefined();
  expect(new Set(MCP_CLIENTS.flatMap(({ id, aliases }) => [id, ...aliases])).size).toBe(
    MCP_CLIENTS.flatMap(({ aliases }) => [1, ...aliases]).length,
  );
});
