import { readCaBundle } from "../config/ca-bundle.ts";
import type { Config, ServerConfig } from "../config/config.ts";
import type { Overrides } from "../config/context.ts";
import { loadConfig } from "../config/load.ts";
import { renderProblem } from "./check.ts";
import type { Remote } from "./remote.ts";
import type { ServeIo } from "./serve.ts";
import { serveStdio, stderrLog } from "./serve-stdio.ts";

export interface BridgeOptions {
  readonly remote: Remote;
  readonly overrides: Overrides;
  readonly warnings: readonly string[];
}

const NAME = "remote";

/**
 * A remote server as a stdio server.
 * @returns the exit code: 1 when the options cannot be used; a remote that is not there ends nothing
 */
export async function bridge(options: BridgeOptions, io: ServeIo): Promise<number> {
  const { remote, overrides, warnings } = options;
  const { env, cwd, home, fetch } = io;
  const text = JSON.stringify({ mcpServers: { [NAME]: entry(remote, env["API_ACCESS_TOKEN"]) } });
  const source = { kind: "text", text, name: "command line" } as const;
  // What stands on the command line is meant as it stands: the shell has expanded what was to be expanded. A port in
  // the environment is another program's here, and nothing listens.
  const literal = { ...overrides, expandEnv: false, host: "127.0.0.1", port: 0 };
  const loaded = await loadConfig(source, { env, cwd, home, fetch, overrides: literal });
  for (const problem of loaded.problems) io.stderr(renderProblem(problem));
  const server = loaded.config?.servers.get(NAME);
  if (loaded.config === undefined || server === undefined || server.target.kind === "stdio") return 1;
  let ca: string | undefined;
  try {
    if (remote.verify.kind === "bundle") ca = readCaBundle(remote.verify.path, cwd);
  } catch (error) {
    io.stderr(`mcp-proxy: ${(error as Error).message}\n  Try: --verify-ssl FILE.pem\n`);
    return 1;
  }
  const place = new URL(remote.url);
  const digest = remote.digest ? remote.user : undefined;
  const named: ServerConfig = { ...server, displayName: place.host, target: { ...server.target, ca, digest } };
  const config: Config = loaded.config;
  const log = stderrLog(config);
  for (const warning of warnings) log.warn({}, warning);
  if (remote.verify.kind === "off")
    log.warn({}, "the server's certificate is not checked: anybody in between can read and change everything");
  if (remote.digest && hasAuthorization(remote, env["API_ACCESS_TOKEN"]))
    log.warn({}, "--digest is used: API_ACCESS_TOKEN and the header Authorization are not sent");
  // Without the query and the user: either may be a secret.
  log.info({ transport: server.target.kind }, `stdio to ${place.origin}${place.pathname}`);
  return await serveStdio({ ...config, servers: new Map([[named.name, named]]) }, io, log);
}

function hasAuthorization(remote: Remote, token: string | undefined): boolean {
  return (token ?? "") !== "" || remote.headers.some(([name]) => name.toLowerCase() === "authorization");
}

/** The remote as an entry of a configuration. */
function entry(remote: Remote, token: string | undefined): Record<string, unknown> {
  const headers: Record<string, string> = {};
  // Of one name the last counts, whatever its case.
  for (const [name, value] of remote.headers) headers[name.toLowerCase()] = value;
  const url = new URL(remote.url);
  const basic =
    remote.user ??
    (url.username === ""
      ? undefined
      : { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) });
  if (basic !== undefined)
    headers["authorization"] = `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString("base64")}`;
  if (token !== undefined && token !== "") headers["authorization"] = `Bearer ${token}`;
  // Nothing else may go where a challenge is to be answered, the password in clear least of all.
  if (remote.digest) delete headers["authorization"];
  url.username = "";
  url.password = "";
  return {
    url: url.href,
    headers,
    ...(remote.transport === undefined ? {} : { type: remote.transport }),
    ...(remote.verify.kind === "off" ? { verifyTls: false } : {}),
    ...(remote.credentials === undefined ? {} : { oauth: remote.credentials }),
  };
}
