import { isDeepStrictEqual } from "node:util";
import type { Accounts } from "../../auth/accounts.ts";
import { memberOf } from "../../auth/identity.ts";
import type { Identity } from "../../auth/identity.ts";
import { ProviderDirectory } from "../../auth/provider-metadata.ts";
import { ProviderTokens } from "../../auth/provider-tokens.ts";
import type { IdentityProviderConfig } from "../../config/config.ts";
import { Sealer } from "../../store/sealer.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Grant } from "../grant.ts";
import { LoginWithdrawn, ProviderClient } from "./provider-client.ts";
import type { Arrived } from "./provider-login.ts";

/** So often, at the most, the provider is asked whether a login still holds. */
const ASK_AGAIN_MS = 5 * 60_000;
/** For so long logins go on while it cannot be asked. */
const PATIENCE_MS = 24 * 60 * 60_000;

export interface ProviderDeps {
  readonly accounts: Accounts;
  readonly keys: readonly [Uint8Array, ...Uint8Array[]];
  readonly clock: Clock;
  readonly log: Log;
  /** Somebody may no longer come in: what this principal has open must end too. */
  readonly onEnd: (principal: string) => void;
}

/** What a grant keeps of a login through the provider; always sealed. */
export interface Provided {
  readonly issuer: string;
  readonly identity: Identity;
  readonly refreshToken: string | undefined;
  /** When the provider last said that the login holds. */
  readonly confirmed: number;
}

/** The identity provider of a configuration. It outlives reloads that leave it as it is. */
export class Provider {
  readonly config: IdentityProviderConfig;
  readonly directory: ProviderDirectory;
  readonly client: ProviderClient;
  /** Undefined where its own tokens are not accepted: without `audience` nobody could say what they are for. */
  readonly tokens: ProviderTokens | undefined;
  readonly #deps: ProviderDeps;
  readonly #sealer: Sealer;
  readonly #confirming = new Map<string, Promise<void>>();

  constructor(config: IdentityProviderConfig, deps: ProviderDeps) {
    const { accounts: members, clock, log, onEnd, keys } = deps;
    this.config = config;
    this.#deps = deps;
    this.#sealer = new Sealer("identity provider", keys);
    this.directory = new ProviderDirectory(config, clock);
    this.client = new ProviderClient(this.directory, log);
    const { audience } = config;
    this.tokens =
      audience === undefined
        ? undefined
        : new ProviderTokens({ directory: this.directory, audience, members, clock, log, onEnd });
  }

  /** The one from before, where nothing about it has changed: it knows keys and tokens. */
  static open(
    before: Provider | undefined,
    config: IdentityProviderConfig | undefined,
    deps: ProviderDeps,
  ): Provider | undefined {
    if (config === undefined) return undefined;
    if (before !== undefined && isDeepStrictEqual(before.config, config)) return before;
    const provider = new Provider(config, deps);
    provider.#greet();
    return provider;
  }

  /** Says at the start what is wrong with it; a start never waits for that. */
  #greet(): void {
    const { log } = this.#deps;
    const { label, issuer } = this.directory;
    void this.directory.metadata().then(
      () => log.info({ provider: label, issuer: issuer.href }, `people log in through ${label}`),
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        log.warn({ provider: label, issuer: issuer.href, reason }, `${label} cannot be used (yet): ${reason}`);
      },
    );
  }

  /** What a new grant keeps. */
  seal({ identity, refreshToken }: Pick<Arrived, "identity" | "refreshToken">): string {
    const { clock } = this.#deps;
    const provided: Provided = { issuer: this.config.issuer, identity, refreshToken, confirmed: clock.now() };
    return this.#sealer.seal(JSON.stringify(provided));
  }

  /** Whether the person who made this grant is still the same user here. */
  stillMember(grant: Grant): boolean {
    const provided = this.#open(grant);
    return (
      provided !== undefined &&
      provided.issuer === this.config.issuer &&
      memberOf(provided.identity, this.#deps.accounts) === grant.user
    );
  }

  /**
   * Asks the provider whether a login still holds, where it gave something to ask with and was not asked lately. An
   * outage is forgiven for a day: a provider that is down must not log everybody out.
   * @param save keeps the grant as it is then
   * @throws LoginWithdrawn when the login is over there, or is not this user's any more
   * @throws ProviderTrouble when it could not be asked for too long
   */
  confirm(grant: Grant, save: () => Promise<void>): Promise<void> {
    // Clients refresh in parallel, and most providers take a refresh token once.
    let running = this.#confirming.get(grant.id);
    if (running === undefined) {
      running = this.#confirm(grant, save).finally(() => this.#confirming.delete(grant.id));
      this.#confirming.set(grant.id, running);
    }
    return running;
  }

  async #confirm(grant: Grant, save: () => Promise<void>): Promise<void> {
    const { clock, accounts, log } = this.#deps;
    const provided = this.#open(grant);
    if (provided?.refreshToken === undefined || accounts.unread || clock.now() - provided.confirmed < ASK_AGAIN_MS)
      return;
    try {
      const said = await this.client.renew(provided.refreshToken, provided.identity.subject);
      const identity = said.identity ?? provided.identity;
      if (memberOf(identity, accounts) !== grant.user) throw new LoginWithdrawn();
      const now: Provided = { ...provided, identity, refreshToken: said.refreshToken, confirmed: clock.now() };
      grant.provided = this.#sealer.seal(JSON.stringify(now));
      await save();
    } catch (error) {
      if (error instanceof LoginWithdrawn || clock.now() - provided.confirmed > PATIENCE_MS) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      log.warn(
        { provider: this.directory.label, reason },
        "the provider could not be asked whether a login still holds",
      );
    }
  }

  #open({ provided }: Grant): Provided | undefined {
    const text = provided === undefined ? undefined : this.#sealer.open(provided);
    return text === undefined ? undefined : (JSON.parse(text) as Provided);
  }
}
