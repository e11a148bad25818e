import { lmStudioWebLink, MCP_CLIENTS, vscodeWebLink } from "../src/http/mcp-clients.ts";
import type { ClientTarget, McpClient } from "../src/http/mcp-clients.ts";

const TARGET: ClientTarget = { name: "everything", url: "https://mcp.example.com/mcp", access: "login" };

/** A forge shows no links with schemes of their own, so their `https` forms stand on the page. */
const WEB_LINKS: Readonly<Record<string, (target: ClientTarget) => string>> = {
  vscode: vscodeWebLink,
  lmstudio: lmStudioWebLink,
};

const HEAD = `<!-- Made by make manual. -->

# Connect a client

How each client is told of \`https://mcp.example.com/mcp\`, where users log in. The start page shows the same with your
addresses, and so does the terminal; for a server with a token it says where the token goes:

\`\`\`sh
mcp-proxy connect cursor --config config.jsonc
mcp-proxy connect "claude code" https://mcp.example.com/github/mcp
\`\`\`

A client knows a server by a name and puts it in front of every tool, so a short name is a good one.
`;

/** docs/clients.md: the table that the start page and `mcp-proxy connect` show, as Markdown. */
export function clientsPage(): string {
  return `${HEAD}\n${MCP_CLIENTS.map(clientSection).join("\n")}`;
}

function clientSection(client: McpClient): string {
  const link = (WEB_LINKS[client.id] ?? client.link)(TARGET);
  const lines = [`## ${client.title}`, ""];
  if (link?.startsWith("https:") === true) lines.push(`[Add it with one click](${link})`, "");
  for (const { say, code, language } of client.steps(TARGET)) {
    lines.push(say, "");
    if (code !== undefined) lines.push(`\`\`\`${language ?? "text"}`, code, "```", "");
  }
  return lines.join("\n");
}
