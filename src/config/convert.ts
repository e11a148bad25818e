import { displayName } from "./problem.ts";
import type { Path, Problems } from "./problem.ts";
import type { AnyFile, ConfigFile } from "./schema.ts";
import type { ServerFile } from "./schema-server.ts";

export interface Converted {
  readonly file: ConfigFile;
  /** Where something of the new format stands in the file as it was written. */
  readonly origin: (path: Path) => Path;
}

type OldClient = NonNullable<AnyFile["clients"]>[string];

/**
 * Turns the Go program's first format (`server`, `clients`) into the present one. Each half is used only where its
 * successor is absent, as that program did. Global tokens and a client's own both count.
 */
export function convertOldFormat(file: AnyFile, problems: Problems): Converted {
  const { server, clients, ...present } = file;
  if (server === undefined && clients === undefined) return { file: present, origin: (path) => path };
  const useServer = server !== undefined && present.mcpProxy === undefined;
  const useClients = clients !== undefined && Object.keys(present.mcpServers ?? {}).length === 0;
  if (server && !useServer)
    problems.warning(["server"], '"mcpProxy" is there too, so the old "server" has no effect', { at: "key" });
  if (clients && !useClients) {
    problems.warning(["clients"], '"mcpServers" is there too, so the old "clients" has no effect', { at: "key" });
  }
  const globalTokens = server?.globalAuthTokens;
  const mcpServers: Record<string, ServerFile> = Object.create(null);
  for (const [name, client] of Object.entries(useClients ? clients : {})) {
    const converted = convertClient(name, client, globalTokens, problems);
    if (converted !== undefined) mcpServers[name] = converted;
  }
  const { globalAuthTokens: _, ...proxy } = server ?? {};
  const mcpProxy = { ...proxy, options: globalTokens === undefined ? {} : { authTokens: globalTokens } };
  return {
    file: {
      ...present,
      mcpProxy: useServer ? mcpProxy : (present.mcpProxy ?? {}),
      mcpServers: useClients ? mcpServers : (present.mcpServers ?? {}),
    },
    origin: (path) => oldPath(path, useServer, useClients),
  };
}

function convertClient(
  name: string,
  client: OldClient,
  globalTokens: readonly string[] | undefined,
  problems: Problems,
): ServerFile | undefined {
  const types = ["stdio", "sse", "streamable-http"] as const;
  const transportType = types.find((type) => type === client.type);
  if (transportType === undefined) {
    problems.warning(["clients", name, "type"], `client "${displayName(name)}" is left out: its type is unknown`, {
      hint: `use one of ${types.join(", ")}`,
    });
    return undefined;
  }
  const tokens = [...(client.authTokens ?? []), ...(globalTokens ?? [])];
  return {
    ...client.config,
    transportType,
    options: {
      ...(client.panicIfInvalid === undefined ? {} : { panicIfInvalid: client.panicIfInvalid }),
      ...(client.logEnabled === undefined ? {} : { logEnabled: client.logEnabled }),
      ...(tokens.length === 0 ? {} : { authTokens: tokens }),
    },
  };
}

function oldPath(path: Path, useServer: boolean, useClients: boolean): Path {
  const [first, second, third, ...rest] = path;
  if (first === "mcpProxy" && useServer) {
    return second === "options" && third === "authTokens"
      ? ["server", "globalAuthTokens", ...rest]
      : ["server", ...path.slice(1)];
  }
  if (first !== "mcpServers" || !useClients || second === undefined) return path;
  if (third === "options") return ["clients", second, ...rest];
  if (third === "transportType") return ["clients", second, "type"];
  return third === undefined ? ["clients", second] : ["clients", second, "config", third, ...rest];
}
