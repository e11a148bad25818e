import type { Config } from "../config/config.ts";
import type { AuthorizationServer } from "../oauth/authorization-server.ts";
import type { PublicUrls } from "../oauth/public-urls.ts";
import type { Base } from "./base.ts";

/** Keeps the login across reloads, and in its state what else outlives the process. */
export class LoginKeeper {
  readonly #base: Base;
  readonly #onEnd: (principal: string) => void;
  #login: AuthorizationServer | undefined;

  /** @param onEnd a login has ended: what this principal has open must end too */
  constructor(base: Base, onEnd: (principal: string) => void) {
    this.#base = base;
    this.#onEnd = onEnd;
  }

  /** The present login; undefined where the configuration has none. */
  get current(): AuthorizationServer | undefined {
    return this.#login;
  }

  /**
   * Makes the login of a configuration, on the state of the present one where the directory is the same.
   * @throws StoreUnusable
   */
  async open(config: Config, urls: PublicUrls): Promise<AuthorizationServer | undefined> {
    const { oauth } = config;
    if (oauth === undefined) return undefined;
    // Its pages and its state are needed by few, and would cost every start some time.
    const { openAuthorizationServer } = await import("../oauth/open.ts");
    const { clock, log, keys, directory, meters } = this.#base;
    return await openAuthorizationServer(this.#login, {
      config,
      oauth,
      keys: keys.keys,
      accounts: directory.accounts,
      urls,
      clock,
      log,
      meter: meters.login,
      onEnd: this.#onEnd,
    });
  }

  /** Takes one over that was opened: from now on it is the present one. State that nobody reads any more is closed. */
  async take(login: AuthorizationServer | undefined): Promise<void> {
    const before = this.#login;
    this.#login = login;
    await this.#keepIn(login);
    await this.#closeUnlessShared(before, login);
    // Users may be gone since the state was written, or with this configuration.
    await login?.endForeignLogins();
  }

  /** Gives one up that was opened and not taken over. */
  async giveUp(login: AuthorizationServer | undefined): Promise<void> {
    await this.#closeUnlessShared(login, this.#login);
  }

  /** Ends the logins of users that are gone or have another password. */
  endForeign(): void {
    const { log } = this.#base;
    this.#login
      ?.endForeignLogins()
      .catch((error: unknown) => log.error({ error: String(error) }, "logins could not be ended"));
  }

  sweep(): void {
    const { log } = this.#base;
    this.#login?.sweep().catch((error: unknown) => log.error({ error: String(error) }, "old logins were not removed"));
  }

  async close(): Promise<void> {
    await this.#keepIn(undefined);
    await this.#login?.close();
  }

  async #closeUnlessShared(
    login: AuthorizationServer | undefined,
    other: AuthorizationServer | undefined,
  ): Promise<void> {
    if (login !== undefined && login.state !== other?.state) await login.close();
  }

  async #keepIn(login: AuthorizationServer | undefined): Promise<void> {
    await this.#base.ended.in(login?.state.store);
    await this.#base.tasks.in(login?.state.store);
  }
}
