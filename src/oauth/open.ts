import { join } from "node:path";
import { isHash } from "../config/password-hash.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { adoptGoState } from "./adopt-go-state.ts";
import { AuthorizationServer } from "./authorization-server.ts";
import type { AuthorizationServerDeps } from "./authorization-server.ts";
import { Clients } from "./clients.ts";
import { Grants } from "./grants.ts";
import { LoginThrottle } from "./throttle.ts";
import { Provider } from "./provider/provider.ts";

/**
 * Opens the authorization server of a configuration, on the state in its `persistenceDir`.
 * @param before the one of the configuration before; its state is kept where the directory is the same
 * @throws StoreUnusable
 */
export async function openAuthorizationServer(
  before: AuthorizationServer | undefined,
  given: Omit<AuthorizationServerDeps, "provider">,
): Promise<AuthorizationServer> {
  const { config, log, clock, accounts } = given;
  const deps = { ...given, provider: Provider.open(before?.provider, config.identityProvider, given) };
  const users = [...accounts.all()];
  if (users.length === 0 && config.usersFile === undefined) {
    log.warn({}, "OAuth is on, but there are no users, so nobody can log in: add them to oauth2.users");
  }
  // Those in the configuration have been warned of already, with their lines.
  const plain = users.filter(
    ([name, { password }]) => password !== undefined && !isHash(password) && !config.users.has(name),
  );
  if (plain.length > 0) {
    const names = plain.map(([name]) => name);
    log.warn({ users: names }, "passwords stand in the users file as they are; replace them: mcp-proxy hash-password");
  }
  const directory = config.persistenceDir;
  if (before?.state.directory === directory) return new AuthorizationServer(before.state, deps);
  const { store, fresh, damaged } = SqliteStore.open(directory, clock);
  if (damaged !== undefined) {
    const text = `the kept logins cannot be read: they were put aside as ${damaged}, and everybody has to log in again`;
    log.error({ file: damaged }, text);
  }
  const grants = new Grants({ store, clock, log, onEnd: deps.onEnd, accounts, onUnused: () => deps.meter.unused++ });
  const clients = new Clients(store, clock, (id) => grants.hasGrant(id));
  await grants.load();
  await clients.load();
  const state = { directory, store, grants, clients, throttle: new LoginThrottle(clock) };
  const server = new AuthorizationServer(state, deps);
  await server.endForeignLogins();
  if (fresh) await adoptGoState(join(directory, "oauth_clients.json"), server, clock, log);
  return server;
}
