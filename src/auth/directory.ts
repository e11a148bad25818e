import { fileFacts, readKeysFile, readUsersFile } from "../config/access-files.ts";
import type { AccessFile } from "../config/access-files.ts";
import type { ApiKeyConfig, Config, UserConfig } from "../config/config.ts";
import type { Principal } from "../policy/principal.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { Accounts } from "./accounts.ts";
import { ApiKeys } from "./api-keys.ts";

/** How often the files are looked at. Asking sees what notifications do not: network mounts, files that are swapped. */
const LOOK_MS = 500;

/** What a new file or configuration means for those who are here. */
export interface AccessChange {
  /** Names of users whose rights have changed. */
  readonly users: readonly string[];
  /** Principals of API keys whose scopes have changed. */
  readonly keys: readonly string[];
}

export interface DirectoryDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** Everybody who has a name or a key: from the configuration, and from the files it names, which may change at any time. */
export class Directory {
  readonly accounts = new Accounts();
  readonly keys = new ApiKeys();
  readonly #deps: DirectoryDeps;
  #config: Config | undefined;
  /** Who was said to be held back by no rule. */
  #unbounded: ReadonlySet<string> = new Set();
  #users: WatchedFile<UserConfig> | undefined;
  #keysFile: WatchedFile<ApiKeyConfig> | undefined;

  constructor(deps: DirectoryDeps) {
    this.#deps = deps;
  }

  /** Takes a configuration over. A file that it names and that was read before keeps what it said, should it be broken now. */
  configure(config: Config): AccessChange {
    this.#config = config;
    const { log } = this.#deps;
    const { usersFile, apiKeysFile } = config;
    if (usersFile !== this.#users?.path)
      this.#users = usersFile === undefined ? undefined : new WatchedFile(usersFile, "users", readUsersFile, log);
    const read = (path: string): AccessFile<ApiKeyConfig> => readKeysFile(path, this.#config ?? config);
    if (apiKeysFile !== this.#keysFile?.path)
      this.#keysFile = apiKeysFile === undefined ? undefined : new WatchedFile(apiKeysFile, "API keys", read, log);
    this.#users?.look(true);
    this.#keysFile?.look(true);
    return this.#apply();
  }

  /** Looks at the files again and again. @returns ends that */
  watch(changed: (change: AccessChange) => void): () => void {
    return this.#deps.clock.every(LOOK_MS, () => {
      const users = this.#users?.look(false) ?? false;
      const keys = this.#keysFile?.look(false) ?? false;
      if (users || keys) changed(this.#apply());
    });
  }

  /** Whether somebody who was let in still has a name here; those without one are known by other means. */
  knows(principal: Principal): boolean {
    if (principal.kind === "key") return this.keys.knows(principal);
    return principal.user === undefined || this.accounts.unread || this.accounts.admits(principal.user);
  }

  /** Every pattern that anybody's rights are made of. */
  get patterns(): Set<string> {
    const all = new Set<string>();
    for (const users of [this.#config?.users, this.#users?.entries]) {
      for (const { allowedTools = [], deniedTools } of users?.values() ?? [])
        for (const pattern of [...allowedTools, ...deniedTools]) all.add(pattern);
    }
    for (const { scopes } of this.#keysNow().values()) for (const scope of scopes) all.add(scope);
    return all;
  }

  #keysNow(): ReadonlyMap<string, ApiKeyConfig> {
    return new Map([...(this.#keysFile?.entries ?? []), ...(this.#config?.apiKeys ?? [])]);
  }

  #apply(): AccessChange {
    const { users = new Map<string, UserConfig>() } = this.#config ?? {};
    const filed = this.#users === undefined ? undefined : (this.#users.entries ?? "unread");
    const all = this.#keysNow();
    const change = { users: this.accounts.replace(users, filed), keys: this.keys.replace(all) };
    this.#tellOfUnbounded();
    return change;
  }

  #tellOfUnbounded(): void {
    const now = new Set(this.accounts.unbounded);
    for (const user of now) {
      if (this.#unbounded.has(user)) continue;
      this.#deps.log.warn(
        { user },
        `${JSON.stringify(user)} is not in the users file and has no allowed_tools in the configuration, so this user may use everything; write "allowed_tools" there, or remove the entry`,
      );
    }
    this.#unbounded = now;
  }
}

/** A file that is read again when it has changed. While it cannot be used, what it said before holds. */
class WatchedFile<T> {
  readonly path: string;
  readonly #what: string;
  readonly #read: (path: string) => AccessFile<T>;
  readonly #log: Log;
  #facts: string | undefined;
  /** What was last said of it, so that the same is not said every second. */
  #said = "";
  #entries: ReadonlyMap<string, T> | undefined;

  constructor(path: string, what: string, read: (path: string) => AccessFile<T>, log: Log) {
    this.path = path;
    this.#what = what;
    this.#read = read;
    this.#log = log;
  }

  get entries(): ReadonlyMap<string, T> | undefined {
    return this.#entries;
  }

  /** @param always also when it has not changed. @returns whether there is something new */
  look(always: boolean): boolean {
    const facts = fileFacts(this.path);
    if (!always && facts === this.#facts) return false;
    const again = this.#facts !== undefined;
    this.#facts = facts;
    const { entries, problems } = this.#read(this.path);
    const said = problems.map(({ line, column, path, message, hint }) => {
      const place = line === undefined ? this.path : `${this.path}:${line}:${column}`;
      return [place, path, message, hint].filter((part) => part !== undefined && part !== "").join("  ");
    });
    this.#tell(said, entries === undefined);
    if (entries === undefined) return false;
    this.#entries = entries;
    if (again && !always)
      this.#log.info({ file: this.path, entries: entries.size }, `the file of ${this.#what} was taken over`);
    return true;
  }

  #tell(said: readonly string[], broken: boolean): void {
    const text = said.join("\n");
    if (text === this.#said) return;
    this.#said = text;
    const then =
      this.#entries === undefined ? "until it is there and whole, it lets nobody in" : "what it said before goes on";
    for (const line of said) {
      if (broken) this.#log.error({ file: this.path }, `the file of ${this.#what} cannot be used: ${line}; ${then}`);
      else this.#log.warn({ file: this.path }, line);
    }
  }
}
