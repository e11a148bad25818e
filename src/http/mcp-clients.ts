/**
 * How each MCP client is told of an endpoint: the one table that the start page, `mcp-proxy connect` and docs/clients.md
 * are made of. Formats as the clients' makers document them. Pure.
 */

/** What a client has to know. */
export interface ClientTarget {
  /** As the client will call it: `[a-z0-9_-]`, short, since clients put it in front of every tool. */
  readonly name: string;
  readonly url: string;
  /** What a caller needs: nothing, a fixed token, or a login that the client begins by itself. */
  readonly access: "open" | "token" | "login";
}

/** One thing to do: words, and what to copy, if anything. */
export interface Step {
  readonly say: string;
  readonly code?: string;
  readonly language?: "sh" | "json" | "toml";
}

export interface McpClient {
  readonly id: string;
  readonly title: string;
  /** Other names people type. */
  readonly aliases: readonly string[];
  /** Opens the client with everything filled in; undefined where there is no such link, or none for this access. */
  readonly link: (target: ClientTarget) => string | undefined;
  readonly steps: (target: ClientTarget) => readonly Step[];
}

/** Stands for the token in what people copy; a real one is never shown. */
const TOKEN = "YOUR_TOKEN";
const BEARER = `Bearer ${TOKEN}`;

const none = (): undefined => undefined;

export const MCP_CLIENTS: readonly McpClient[] = [
  {
    id: "claude",
    title: "Claude",
    aliases: ["claude.ai", "claude-desktop", "desktop"],
    link: ({ name, url, access }) =>
      access === "token"
        ? undefined
        : `https://claude.ai/customize/connectors?modal=add-custom-connector&connectorName=${encodeURIComponent(name)}&connectorUrl=${encodeURIComponent(url)}`,
    steps: ({ url, access }) =>
      access === "token"
        ? [{ say: "Claude's connectors log in; a fixed token cannot be entered there. Claude Code takes one." }]
        : [
            { say: "On the web, in the desktop app and on phones: Customize, Connectors, +, Add custom connector." },
            { say: "Remote MCP server URL:", code: url },
            { say: "(A remote server in claude_desktop_config.json has no effect.)" },
          ],
  },
  {
    id: "claude-code",
    title: "Claude Code",
    aliases: ["claudecode", "cc"],
    link: none,
    steps: (target) => [
      {
        say: "In a terminal (with --scope user before the name: for all your projects):",
        code: claudeCode(target),
        language: "sh",
      },
      ...(target.access === "login" ? [{ say: "Then, in Claude Code, /mcp to log in." }] : []),
      {
        say: "For everybody who works on a project, in its .mcp.json:",
        code: servers("mcpServers", target, { type: "http", url: target.url }),
        language: "json",
      },
    ],
  },
  {
    id: "chatgpt",
    title: "ChatGPT",
    aliases: ["openai", "chat-gpt"],
    link: none,
    steps: ({ url, access }) =>
      access === "token"
        ? [{ say: "ChatGPT logs in; a fixed token cannot be entered there." }]
        : [
            {
              say: "Turn on developer mode (Settings, Apps or Connectors, Advanced), then Create. The names in these menus change often; the vendor's page: https://developers.openai.com/plugins",
            },
            { say: "MCP server URL:", code: url },
            { say: `Authentication: ${access === "login" ? "OAuth" : "none"}.` },
          ],
  },
  {
    id: "cursor",
    title: "Cursor",
    aliases: [],
    link: (target) =>
      `cursor://anysphere.cursor-deeplink/mcp/install?name=${encodeURIComponent(target.name)}&config=${base64(withToken({ url: target.url }, target))}`,
    steps: (target) => [
      {
        say: "In ~/.cursor/mcp.json:",
        code: servers("mcpServers", target, { url: target.url }),
        language: "json",
      },
    ],
  },
  {
    id: "vscode",
    title: "VS Code",
    aliases: ["vs-code", "code", "copilot"],
    link: (target) => `vscode:mcp/install?${encodeURIComponent(vscode(target))}`,
    steps: (target) => [
      {
        say: "In a terminal (of Insiders: code-insiders):",
        code: `code --add-mcp ${quoted(vscode(target))}`,
        language: "sh",
      },
      {
        say: "Or in .vscode/mcp.json:",
        code: servers("servers", target, { type: "http", url: target.url }),
        language: "json",
      },
    ],
  },
  {
    id: "codex",
    title: "Codex",
    aliases: ["openai-codex"],
    link: none,
    steps: ({ name, url, access }) => [
      ...(access === "token"
        ? []
        : [{ say: "In a terminal:", code: `codex mcp add --url ${quoted(url)} ${name}`, language: "sh" as const }]),
      {
        say: access === "token" ? "In ~/.codex/config.toml, the token in a variable:" : "Or in ~/.codex/config.toml:",
        code: [
          `[mcp_servers.${name}]`,
          `url = ${JSON.stringify(url)}`,
          ...(access === "token" ? [`bearer_token_env_var = "MCP_TOKEN"`] : []),
        ].join("\n"),
        language: "toml",
      },
    ],
  },
  {
    id: "gemini",
    title: "Gemini CLI",
    aliases: ["gemini-cli", "google"],
    link: none,
    steps: (target) => [
      {
        say: "In a terminal:",
        code: `gemini mcp add --transport http${target.access === "token" ? ` --header ${quoted(`Authorization: ${BEARER}`)}` : ""} ${target.name} ${quoted(target.url)}`,
        language: "sh",
      },
      {
        say: "Or in ~/.gemini/settings.json (the key is httpUrl: url would mean SSE):",
        code: servers("mcpServers", target, { httpUrl: target.url }),
        language: "json",
      },
    ],
  },
  {
    id: "lmstudio",
    title: "LM Studio",
    aliases: ["lm-studio"],
    link: (target) =>
      `lmstudio://add_mcp?name=${encodeURIComponent(target.name)}&config=${base64(withToken({ url: target.url }, target))}`,
    steps: (target) => [
      {
        say: "In mcp.json (Program, Install, Edit mcp.json):",
        code: servers("mcpServers", target, { url: target.url }),
        language: "json",
      },
    ],
  },
  {
    id: "zed",
    title: "Zed",
    aliases: [],
    link: none,
    steps: (target) => [
      {
        say: "In settings.json:",
        code: servers("context_servers", target, { url: target.url }),
        language: "json",
      },
    ],
  },
  {
    id: "windsurf",
    title: "Windsurf",
    aliases: [],
    link: none,
    steps: (target) => [
      {
        say: "In mcp_config.json:",
        code: servers("mcpServers", target, { serverUrl: target.url }),
        language: "json",
      },
    ],
  },
  {
    id: "opencode",
    title: "opencode",
    aliases: [],
    link: none,
    steps: (target) => [
      {
        say: "In opencode.json:",
        code: servers("mcp", target, { type: "remote", url: target.url }),
        language: "json",
      },
    ],
  },
  {
    id: "goose",
    title: "goose",
    aliases: ["block-goose"],
    link: none,
    steps: ({ url }) => [
      { say: "In a terminal:", code: "goose configure", language: "sh" },
      { say: "Add Extension, Remote Extension (Streamable HTTP), and as its endpoint:", code: url },
    ],
  },
  {
    id: "stdio",
    title: "stdio clients",
    aliases: ["bridge", "other"],
    link: none,
    steps: (target) => {
      const own = { command: "mcp-proxy", args: [target.url] };
      const token = target.access === "token" ? { env: { API_ACCESS_TOKEN: TOKEN } } : {};
      const bridge = {
        say: "With this program as a bridge:",
        code: json({ mcpServers: { [target.name]: { ...own, ...token } } }),
        language: "json" as const,
      };
      const header = target.access === "token" ? ["--header", `Authorization:${BEARER}`] : [];
      const remote = {
        say: target.access === "login" ? "With mcp-remote, which opens the login:" : "Where it is not installed:",
        code: json({
          mcpServers: { [target.name]: { command: "npx", args: ["-y", "mcp-remote", target.url, ...header] } },
        }),
        language: "json" as const,
      };
      // The bridge has no browser to log in with.
      return target.access === "login" ? [remote] : [bridge, remote];
    },
  },
  {
    id: "any",
    title: "Other clients",
    aliases: ["else"],
    link: none,
    steps: ({ url, access }) => [
      { say: "URL:", code: url },
      { say: "Transport: Streamable HTTP (for some clients just “HTTP”)." },
      ...(access === "login" ? [{ say: "Authentication: OAuth. The client finds everything else by itself." }] : []),
      ...(access === "token" ? [{ say: "Header:", code: `Authorization: ${BEARER}` }] : []),
    ],
  },
];

/** @param text as somebody types it: the name, an alias, in any case */
export function findClient(text: string): McpClient | undefined {
  const wanted = text.toLowerCase().replaceAll(" ", "-");
  return MCP_CLIENTS.find(({ id, aliases }) => id === wanted || aliases.includes(wanted));
}

/** A name that every client takes: of a server, shortened to what may stand in it. */
export function plainName(text: string): string {
  const plain = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 32);
  return plain === "" ? "mcp" : plain;
}

/** The `https` form of VS Code's link, for pages that take no other schemes, such as a README on a forge. */
export function vscodeWebLink(target: ClientTarget): string {
  return `https://insiders.vscode.dev/redirect?url=${encodeURIComponent(`vscode:mcp/install?${encodeURIComponent(vscode(target))}`)}`;
}

/** The `https` form of LM Studio's link. */
export function lmStudioWebLink(target: ClientTarget): string {
  const config = base64(withToken({ url: target.url }, target));
  return `https://lmstudio.ai/install-mcp?name=${encodeURIComponent(target.name)}&config=${config}`;
}

function claudeCode({ name, url, access }: ClientTarget): string {
  // Options stand before the name; and --header takes all that follows it, up to the next option.
  const header = access === "token" ? ` --header "Authorization: Bearer $MCP_TOKEN"` : "";
  return `claude mcp add${header} --transport http ${name} ${quoted(url)}`;
}

function vscode(target: ClientTarget): string {
  return JSON.stringify(withToken({ name: target.name, type: "http", url: target.url }, target));
}

/** A whole file with one server in it. */
function servers(key: string, target: ClientTarget, entry: object): string {
  return json({ [key]: { [target.name]: withToken(entry, target) } });
}

function withToken(entry: object, { access }: ClientTarget): object {
  return access === "token" ? { ...entry, headers: { Authorization: BEARER } } : entry;
}

function json(value: object): string {
  // Short lists on one line, as people write them.
  return JSON.stringify(value, undefined, 2).replaceAll(/\[\s+("[^\]]*")\s+\]/g, (_, items: string) => {
    return `[${items.replaceAll(/,\n\s+/g, ", ")}]`;
  });
}

/** For the query of a link: the standard alphabet, whose `+`, `/` and `=` have to be escaped there. */
function base64(value: object): string {
  return encodeURIComponent(Buffer.from(JSON.stringify(value), "utf8").toString("base64"));
}

/** One word of a POSIX shell. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
