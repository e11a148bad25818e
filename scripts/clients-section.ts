import { lmStudioWebLink, MCP_CLIENTS, vscodeWebLink } from "../src/http/mcp-clients.ts";
import type { ClientTarget, McpClient } from "../src/http/mcp-clients.ts";

const BEGIN = "<!-- clients: made by make manual -->";
const END = "<!-- end of clients -->";
const TARGET: ClientTarget = { name: "everything", url: "https://mcp.example.com/mcp", access: "login" };

/** A forge shows no links with schemes of their own, so their `https` forms stand in the README. */
const WEB_LINKS: Readonly<Record<string, (target: ClientTarget) => string>> = {
  vscode: vscodeWebLink,
  lmstudio: lmStudioWebLink,
};

/** How each client is told of `https://mcp.example.com/mcp`, as Markdown: the same table that the start page shows. */
export function clientsSection(): string {
  return `${BEGIN}\n\n${MCP_CLIENTS.map(clientSection).join("\n")}\n${END}`;
}

/** @throws Error when the page has no place for it */
export function replaceSection(page: string, section: string): string {
  const [start, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (start === -1 || end < start) throw new Error(`README.md has no "${BEGIN}" with "${END}" behind it`);
  return page.slice(0, start) + section + page.slice(end + END.length);
}

function clientSection(client: McpClient): string {
  const link = (WEB_LINKS[client.id] ?? client.link)(TARGET);
  const lines = ["<details>", `<summary>${client.title}</summary>`, ""];
  if (link?.startsWith("https:") === true) lines.push(`[Add it with one click](${link})`, "");
  for (const { say, code, language } of client.steps(TARGET)) {
    lines.push(say, "");
    if (code !== undefined) lines.push(`\`\`\`${language ?? "text"}`, code, "```", "");
  }
  return `${lines.join("\n")}\n</details>\n`;
}
