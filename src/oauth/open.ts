import { join } from "node:path";
import { SqliteStore } from "../store/sqlite-store.ts";
import { adoptGoState } from "./adopt-go-state.ts";
import { AuthorizationServer } from "./authorization-server.ts";
import type { AuthorizationServerDeps } from "./authorization-server.ts";

/**
 * Opens the state in `persistenceDir` and the authorization server on it.
 * @throws StoreUnusable
 */
export async function openAuthorizationServer(deps: Omit<AuthorizationServerDeps, "store">): Promise<AuthorizationServer> {
  const { config, log, clock } = deps;
  const { store, fresh, damaged } = SqliteStore.open(config.persistenceDir, clock);
  if (damaged !== undefined) {
    log.error({ file: damaged }, `the state could not be read; it was put aside as ${damaged}, and everybody has to log in again`);
  }
  const server = new AuthorizationServer({ ...deps, store });
  await server.load();
  if (fresh) await adoptGoState(join(config.persistenceDir, "oauth_clients.json"), server, clock, log);
  return server;
}
