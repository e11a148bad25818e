import type { Config } from "../config/config.ts";
import type { Overrides, Source } from "../config/context.ts";
import { loadConfig } from "../config/load.ts";
import { findClient, MCP_CLIENTS, plainName } from "../http/mcp-clients.ts";
import type { ClientTarget, McpClient } from "../http/mcp-clients.ts";
import type { CheckIo } from "./check.ts";

export interface ConnectOptions {
  readonly client: string | undefined;
  readonly target: string | undefined;
  readonly source: Source;
  readonly overrides: Overrides;
}

const USAGE = "mcp-proxy connect CLIENT [SERVER|URL]";

/**
 * Prints how a client is told of an endpoint: of a URL, or of what a configuration serves. Nothing is started or changed.
 * @returns the exit code: 0 good, 1 no such server or no configuration, 2 wrong usage
 */
export async function connect(options: ConnectOptions, io: CheckIo): Promise<number> {
  const client = options.client === undefined ? undefined : findClient(options.client);
  if (client === undefined) {
    const list = MCP_CLIENTS.map(({ id, title }) => `  ${id.padEnd(12)} ${title}\n`).join("");
    if (options.client === undefined) io.stdout(`${USAGE}\n\n${list}`);
    else io.stderr(`mcp-proxy: no client is called "${options.client}"\n  Try: one of these\n${list}`);
    return options.client === undefined ? 0 : 2;
  }
  const targets = await targetsOf(options, io);
  if (typeof targets === "string") {
    io.stderr(`mcp-proxy: ${targets}\n  Try: mcp-proxy connect ${client.id} https://mcp.example.com/mcp\n`);
    return 1;
  }
  io.stdout(targets.map((target) => guideText(client, target)).join("\n"));
  return 0;
}

/** @returns what is wrong, where nothing can be told */
async function targetsOf({ target, source, overrides }: ConnectOptions, io: CheckIo): Promise<ClientTarget[] | string> {
  if (target !== undefined && /^https?:\/\//i.test(target)) {
    const url = URL.parse(target);
    if (url === null) return `"${target}" is no URL`;
    const path = url.pathname.split("/").filter((part) => !["", "mcp", "sse", "servers"].includes(part));
    // What the endpoint wants is not known here; a client finds out about a login by itself.
    return [{ name: plainName(path.at(-1) ?? "everything"), url: target, access: "login" }];
  }
  const { env, cwd, home, fetch } = io;
  const { config, problems } = await loadConfig(source, { env, cwd, home, fetch, overrides });
  if (config === undefined) {
    const [first] = problems.filter(({ severity }) => severity === "error");
    return first === undefined ? "no configuration was found" : `${first.file}: ${first.message}`;
  }
  const all = endpointsOf(config);
  if (typeof all === "string") return all;
  const wanted = all.filter(({ name }) => target === undefined || name === target);
  if (wanted.length > 0) return target === undefined ? defaultOf(wanted) : wanted.map((each) => each.target);
  return target === undefined ? "the configuration serves nothing" : `no server is called "${target}"`;
}

interface Named {
  readonly name: string;
  readonly target: ClientTarget;
}

/** Everything in one, where it is served; else each server. */
function defaultOf(all: readonly Named[]): ClientTarget[] {
  const everything = all.find(({ name }) => name === "");
  return (everything === undefined ? all : [everything]).map(({ target }) => target);
}

function endpointsOf(config: Config): Named[] | string {
  const base = baseOf(config);
  if (base === undefined) return "the address is chosen when the proxy starts (port 0, or a socket): give the URL";
  const end = config.serves.streamableHttp ? "/mcp" : "/sse";
  const keyed = config.apiKeys !== undefined || config.apiKeysFile !== undefined;
  const named: Named[] = [];
  for (const { name, displayName, oauth, authTokens } of config.servers.values()) {
    // A name with a secret in it is told by whoever made it.
    if (displayName !== name) continue;
    const access = oauth === true ? "login" : authTokens !== undefined || keyed ? "token" : "open";
    named.push({ name, target: { name: plainName(name), url: `${base}/${encodeURI(name)}${end}`, access } });
  }
  if (!config.aggregate.enabled || named.length < 2) return named;
  const accesses = new Set(named.map(({ target }) => target.access));
  const access = accesses.has("login") ? "login" : accesses.has("token") ? "token" : "open";
  return [{ name: "", target: { name: "everything", url: base + end, access } }, ...named];
}

function baseOf({ baseURL, listen, pathPrefix, tls }: Config): string | undefined {
  if (baseURL !== undefined) return baseURL + pathPrefix;
  if (listen.kind !== "tcp" || listen.port === 0) return undefined;
  return `${tls === undefined ? "http" : "https"}://localhost:${listen.port}${pathPrefix}`;
}

function guideText(client: McpClient, target: ClientTarget): string {
  const link = client.link(target);
  const lines = [`${client.title}: ${target.url}`, ""];
  if (link !== undefined) lines.push("Open this link:", "", `  ${link}`, "");
  for (const { say, code } of client.steps(target)) {
    lines.push(say);
    if (code !== undefined) lines.push("", ...code.split("\n").map((line) => `  ${line}`), "");
  }
  return `${lines.join("\n").trimEnd()}\n`;
}
