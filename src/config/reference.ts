import { DESCRIPTIONS, describedAs } from "./descriptions.ts";
import { configSchema } from "./json-schema.ts";
import type { SchemaNode } from "./json-schema.ts";

/** Tables of the reference: the path of an object in the schema, what its table is called, and a sentence about it. */
const SECTIONS: readonly (readonly [path: string, title: string])[] = [
  ["", "The file"],
  ["mcpProxy", "`mcpProxy`"],
  ["options", "`options`"],
  ["options.oauth2", "`options.oauth2`"],
  ["users", "A user"],
  ["mcpProxy.apiKeys", "An API key"],
  ["mcpProxy.identityProvider", "`mcpProxy.identityProvider`"],
  ["mcpServers", "A server"],
  ["groups", "A group"],
];

/** Objects that get no table of their own: their keys stand in the one around them. */
const INLINE = ["log", "tls", "limits", "audit", "aggregate", "toolFilter", "clientIdMetadata", "oauth"];

/** docs/configuration.md. */
export function configurationPage(): string {
  const nodes = new Map<string, SchemaNode>();
  collect(configSchema(), "", nodes);
  const tables = SECTIONS.map(([path, title]) => {
    const intro = path === "" ? "" : `${sentence(DESCRIPTIONS[path] ?? "")}\n\n`;
    const node = nodes.get(path === "" || isObject(path, nodes) ? path : `${path}.*`);
    if (node === undefined) throw new Error(`the schema has no ${path}`);
    return `## ${title}\n\n${intro}${table(node)}`;
  });
  return `${HEAD}\n${tables.join("\n")}`;
}

function isObject(path: string, nodes: ReadonlyMap<string, SchemaNode>): boolean {
  return nodes.get(path)?.properties !== undefined;
}

/** Every object of the schema by the path under which it is described. */
function collect(node: SchemaNode, path: string, nodes: Map<string, SchemaNode>): void {
  const known = describedAs(path);
  if (node.properties !== undefined && !nodes.has(known)) nodes.set(known, node);
  const at = (name: string): string => (path === "" ? name : `${path}.${name}`);
  for (const [name, child] of Object.entries(node.properties ?? {})) collect(child, at(name), nodes);
  if (typeof node.additionalProperties === "object") collect(node.additionalProperties, at("*"), nodes);
  for (const each of node.anyOf ?? []) collect(each, path, nodes);
}

function table(node: SchemaNode): string {
  const rows = rowsOf(node, "");
  return `| key | value | what |\n| --- | --- | --- |\n${rows.map((row) => `| ${row.join(" | ")} |\n`).join("")}`;
}

function rowsOf(node: SchemaNode, prefix: string): [string, string, string][] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    if (INLINE.includes(name) && child.properties !== undefined) return rowsOf(child, `${prefix}${name}.`);
    return [[`\`${prefix}${name}\``, kindOf(child), child.description ?? ""] as [string, string, string]];
  });
}

function kindOf(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.map((value) => `\`${value}\``).join(", ");
  if (node.anyOf !== undefined) return [...new Set(node.anyOf.map(kindOf))].join(" or ");
  switch (node.type) {
    case "array":
      return node.items?.type === "string" ? "list of texts" : "list";
    case "string":
      return "text";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "`true`, `false`";
    case undefined:
    default:
      return "object";
  }
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

const HEAD = `# Configuration

<!-- Made by \`make manual\` from the schema in src/config; edit src/config/descriptions.ts instead. -->

JSON; comments and trailing commas are allowed. \`mcp-proxy check --config FILE\` names every mistake with its line. With
\`"$schema": "./config.schema.json"\` an editor completes keys and says what they mean.

\`\${VAR}\`, \`\${VAR:-default}\` and \`\${file:/path}\` stand for a variable, or the content of a file, in any text. A variable that is
not set is an empty text and a warning; in keys that decide who gets in, it is an error. \`$VAR\` counts only with
\`--expand-env\`, and \`--expand-env=false\` expands nothing.

Durations are texts such as \`"30s"\`, \`"5m"\`, \`"1h30m"\`, or numbers. A bare number in \`timeout\` is seconds below 1000,
milliseconds below 1000000, and nanoseconds from there, as the older programs wrote it.

## Which configuration is read

| start | configuration | address, if it names none |
| --- | --- | --- |
| \`--config FILE\` or \`--config URL\` | that one | \`127.0.0.1:9090\`; with \`mcpProxy\` in it \`:9090\` |
| no argument | the one in \`MCP_CONFIG_PATH\`; else \`config.json\`, \`config.jsonc\` or \`mcp_config.json\` of the working directory | for \`MCP_CONFIG_PATH\` and \`mcp_config.json\`: \`MCP_HOST\`, \`MCP_PORT\`, \`0.0.0.0:8080\` |
| the image, with no argument | as above, then \`/config/config.json\`, then \`/app/mcp_config.json\` | \`0.0.0.0:9090\`, \`0.0.0.0:8080\` |
| \`-- COMMAND\`, \`--named-server\` | the command line | \`127.0.0.1\` and a free port, which it prints |

Flags beat the file, and the file beats \`MCP_HOST\` and \`MCP_PORT\`. Where several files are found, the log says which one is read and
why; if any \`MCP_\` variable is set, it is \`mcp_config.json\`.
`;
