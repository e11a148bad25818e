import { statSync } from "node:fs";
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
  if (before !== undefined && sameDirectory(before.state.directory, directory))
    return new AuthorizationServer(before.state, deps);
  const { store, fresh, damaged } = SqliteStore.open(directory, clock);
  if (damaged !== undefined) {
    const text = `the kept logins cannot be read: they were put aside as ${damaged}, and everybody has to log in again`;
    log.error({ file: damaged }, text);
  }
  const grants = new Grants({ store, clock, log, onEnd: deps.onEnd, accounts, onUnused: () => deps.meter.unused++ });
  const clients = new Clients(store, clock, (id) => grants.hasGrant(id));
  const unreadable = (await grants.load()) + (await clients.load());
  if (unreadable > 0) {
    const text = `${unreadable} records of ${directory} cannot be read and are not used: whose login they were has to log in again`;
    log.error({ directory, records: unreadable }, text);
  }
  const state = { directory, store, grants, clients, throttle: new LoginThrottle(clock) };
  const server = new AuthorizationServer(state, deps);
  if (fresh) await adoptGoState(join(directory, "oauth_clients.json"), server, clock, log);
  return server;
}

/**
 * By whatever path: to open the files of a store once more would give up the lock on it, for the system's locks belong
 * to the process.
 */
function sameDirectory(one: string, other: string): boolean {
  if (one === other) return true;
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}
