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
import { ProviderClient } from "./provider-client.ts";
import type { Arrived } from "./provider-login.ts";

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

  #open({ provided }: Grant): Provided | undefined {
    const text = provided === undefined ? undefined : this.#sealer.open(provided);
    return text === undefined ? undefined : (JSON.parse(text) as Provided);
  }
}
