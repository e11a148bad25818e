import type { Accounts } from "../auth/accounts.ts";
import type { Config, OAuthConfig } from "../config/config.ts";
import { Sealer } from "../store/sealer.ts";
import type { StateStore } from "../store/state-store.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { LoginMeter } from "../telemetry/meters.ts";
import { AddressRule } from "./address-rule.ts";
import { Approval } from "./approval.ts";
import { resourceMetadata, serverMetadata } from "./capabilities.ts";
import { ClientDocuments } from "./client-documents.ts";
import { ClientEndpoints } from "./client-endpoints.ts";
import { ClientLookup } from "./client-lookup.ts";
import type { Clients } from "./clients.ts";
import { consentsOf, endConsent } from "./consents.ts";
import type { Consent } from "./consents.ts";
import { OAuthError } from "./errors.ts";
import { readForm } from "./forms.ts";
import type { Grant } from "./grant.ts";
import type { Grants } from "./grants.ts";
import { LoginByProvider } from "./login-by-provider.ts";
import { LoginPages } from "./login-pages.ts";
import { Login } from "./login.ts";
import { Pages } from "./pages.ts";
import type { Params } from "./params.ts";
import { pinnedFetch } from "./pinned-fetch.ts";
import type { PublicUrls } from "./public-urls.ts";
import { Resources } from "./resources.ts";
import { MinuteLimit } from "./throttle.ts";
import type { LoginThrottle } from "./throttle.ts";
import { BrowserCookie, Transactions } from "./transaction.ts";
import { PasswordCheck } from "./password-check.ts";
import { EitherTokens } from "../auth/access.ts";
import type { AccessTokens } from "../auth/oauth-gate.ts";
import { LoginWithdrawn } from "./provider/provider-client.ts";
import { PendingLogins } from "./provider/pending.ts";
import { ProviderLogin } from "./provider/provider-login.ts";
import type { Provider } from "./provider/provider.ts";
import { Users } from "./users.ts";
import type { Visitor } from "./visitor.ts";
import { Visits } from "./visits.ts";

const DOCUMENTS_PER_MINUTE = 60;

export interface AuthorizationServerDeps {
  readonly config: Config;
  readonly oauth: OAuthConfig;
  readonly keys: readonly [Uint8Array, ...Uint8Array[]];
  readonly urls: PublicUrls;
  /** Who may log in, and what they may use. */
  readonly accounts: Accounts;
  /** Where people log in beside, or instead of, our own page. */
  readonly provider: Provider | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: LoginMeter;
  /** A login has ended: what this principal has open must end too. */
  readonly onEnd: (principal: string) => void;
}

/** What outlives a reload of the configuration. */
export interface LoginState {
  readonly directory: string;
  readonly store: StateStore;
  readonly grants: Grants;
  readonly clients: Clients;
  readonly throttle: LoginThrottle;
}

/** The OAuth 2.1 authorization server for one configuration: what is behind its endpoints, tied together. */
export class AuthorizationServer {
  readonly state: LoginState;
  readonly grants: Grants;
  readonly clients: Clients;
  readonly resources: Resources;
  readonly urls: PublicUrls;
  /** Logins on the start page. */
  readonly visits: Visits;
  readonly passwords: PasswordCheck;
  /** Where browsers are sent to the identity provider and come back from it; undefined where there is none. */
  readonly byProvider: LoginByProvider | undefined;
  /** Where programs ask: registration, tokens, revocation, introspection. */
  readonly endpoints: ClientEndpoints;
  readonly #deps: AuthorizationServerDeps;
  readonly #pages: Pages;
  readonly #login: Login;
  readonly #users: Users;
  /** Knows every token that opens something here. */
  readonly access: AccessTokens;
  readonly provider: Provider | undefined;

  constructor(state: LoginState, deps: AuthorizationServerDeps) {
    const { config, oauth, keys, urls, clock, log, provider, accounts } = deps;
    this.provider = provider;
    this.access = provider?.tokens === undefined ? state.grants : new EitherTokens(state.grants, provider.tokens);
    this.state = state;
    this.grants = state.grants;
    this.clients = state.clients;
    this.#deps = deps;
    this.urls = urls;
    const policy = { extra: oauth.allowedRedirectURIs, anyHttps: config.flavour === "env" };
    const addresses = new AddressRule(oauth.allowedIPs);
    this.#users = new Users(deps.accounts, keys);
    this.passwords = new PasswordCheck(this.#users, state.throttle, log, deps.meter);
    this.visits = new Visits({
      store: state.store,
      sealer: new Sealer("start page login", keys),
      clock,
      secure: urls.secure,
      rights: (user) => deps.accounts.rightsOf(user),
      mark: (user) => this.#users.mark(user),
      unchanged: (user, mark) => this.#users.unchanged(user, mark),
    });
    this.#pages = new Pages(oauth.templateDir, log);
    this.resources = new Resources(config);
    const documents = new ClientDocuments(
      { ...oauth.clientIdMetadata, restricted: addresses.restricts },
      policy,
      clock,
      pinnedFetch,
    );
    this.endpoints = new ClientEndpoints({
      grants: this.grants,
      clients: this.clients,
      documents,
      resources: this.resources,
      urls,
      policy,
      addresses,
      registrations: new MinuteLimit(clock, oauth.registrationsPerMinute),
      lifetimes: { accessMs: oauth.tokenExpirationMs, refreshMs: oauth.refreshTokenExpirationMs },
      confirm: (grant) => this.#confirm(grant),
      clock,
      log,
      meter: deps.meter,
    });
    const cookie = new BrowserCookie(urls.secure);
    const transactions = new Transactions(new Sealer("login page", keys), clock);
    const pages = new LoginPages({
      serverName: config.name,
      urls,
      resources: this.resources,
      users: this.#users,
      pages: this.#pages,
      transactions,
      cookie,
      log,
      refreshMs: oauth.refreshTokenExpirationMs,
      provider: provider?.client,
    });
    const approval = new Approval({ grants: this.grants, users: this.#users, pages, urls, clock, log });
    const documentLimit = new MinuteLimit(clock, DOCUMENTS_PER_MINUTE);
    const found = new ClientLookup({ clients: this.clients, documents, documentLimit });
    this.byProvider =
      provider &&
      new LoginByProvider({
        provider: new ProviderLogin({
          client: provider.client,
          pending: new PendingLogins(new Sealer("provider login", keys), state.store, clock, urls.secure),
          members: accounts,
          callback: () => urls.providerCallback,
          log,
        }),
        pages,
        urls,
        cookie,
        visits: this.visits,
        log,
        meter: deps.meter,
        keepSealed: (arrived) => provider.seal(arrived),
        clients: found,
        approval,
      });
    this.#login = new Login({
      urls,
      resources: this.resources,
      clients: found,
      users: this.#users,
      pages,
      transactions,
      passwords: this.passwords,
      cookie,
      meter: deps.meter,
      approval,
      byProvider: this.byProvider,
    });
  }

  /** Somebody could log in with a password. */
  get takesPasswords(): boolean {
    return this.#users.any;
  }

  /** What the button of the identity provider says; undefined where there is none. */
  get providerLabel(): string | undefined {
    return this.provider?.client.label;
  }

  /** The fields of a form that was posted; undefined when it is none, or one field is there twice. */
  async form(request: Request): Promise<Readonly<Params> | undefined> {
    try {
      const params = await readForm(request);
      return ["token", "csrf", "username", "password", "client", "action"].some((name) => params.broken(name))
        ? undefined
        : params;
    } catch (error) {
      if (error instanceof OAuthError) return undefined;
      throw error;
    }
  }

  /** The clients that act for a user. */
  consentsOf(user: string): Consent[] {
    return consentsOf(user, this.grants, this.clients);
  }

  /** Takes back what a user has allowed a client: its tokens are worth nothing from now on, and its streams end. */
  async endConsent(user: string, client: string): Promise<boolean> {
    return await endConsent(user, client, this.grants);
  }

  /** Ends the logins of users that are gone or have another password. */
  async endForeignLogins(): Promise<void> {
    // A users file that is late must not cost everybody his login.
    if (this.#deps.accounts.unread) return;
    const over = [...this.grants.all].filter((grant) => !this.#mayGoOn(grant));
    await Promise.all(over.map((grant) => this.grants.end(grant, "the user was removed, or the password was changed")));
    this.provider?.tokens?.sweep();
  }

  /** Whoever came through a provider goes on while that one is configured and still leads to the same user. */
  #mayGoOn(grant: Grant): boolean {
    if (grant.user === undefined) return true;
    if (grant.provided !== undefined && this.provider?.stillMember(grant) !== true) return false;
    return this.#users.unchanged(grant.user, grant.passwordMark);
  }

  async #confirm(grant: Grant): Promise<void> {
    if (grant.provided === undefined || this.provider === undefined) return;
    try {
      await this.provider.confirm(grant, () => this.grants.save(grant));
    } catch (error) {
      if (!(error instanceof LoginWithdrawn))
        throw new OAuthError("temporarily_unavailable", "the identity provider does not answer; try again later", {
          status: 503,
          headers: { "Retry-After": "30" },
        });
      await this.grants.end(grant, "it is over at the identity provider");
      throw new OAuthError("invalid_grant", "the login is over at the identity provider; log in again");
    }
  }

  async sweep(): Promise<void> {
    this.provider?.tokens?.sweep();
    await this.grants.sweep();
    await this.clients.sweep();
    await this.state.store.sweep();
  }

  async close(): Promise<void> {
    await this.state.store.close();
  }

  metadata(): object {
    return serverMetadata(this.urls.issuer, this.#deps.oauth.clientIdMetadata.enabled);
  }

  /** @param local path of the endpoint; undefined for those without a login */
  resourceMetadata(local: string, host: string | null): object | undefined {
    const audience = this.resources.audience(local);
    if (audience === undefined) return undefined;
    const resource = this.urls.resource(host, local);
    return resourceMetadata(resource, this.urls.issuer, `${this.#deps.config.name}: ${this.resources.name(audience)}`);
  }

  authorize(request: Request, visitor: Visitor): Promise<Response> {
    return request.method === "POST" ? this.#login.decide(request, visitor) : this.#login.ask(request, visitor);
  }

  async style(): Promise<Response> {
    const headers = {
      "Content-Type": "text/css; charset=utf-8",
      "Cache-Control": "no-cache",
      "X-Content-Type-Options": "nosniff",
    };
    return new Response(await this.#pages.style(), { headers });
  }
}
