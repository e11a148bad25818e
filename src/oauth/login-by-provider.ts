import { ProviderTrouble } from "../auth/provider-fetch.ts";
import type { Log } from "../telemetry/log.ts";
import type { LoginMeter } from "../telemetry/meters.ts";
import type { Approval } from "./approval.ts";
import { Answerable, Unanswerable } from "./authorize-request.ts";
import type { ClientLookup } from "./client-lookup.ts";
import type { Client } from "./clients.ts";
import type { LoginPages } from "./login-pages.ts";
import { redirectTo } from "./page-headers.ts";
import { Params } from "./params.ts";
import type { PendingLogin } from "./provider/pending.ts";
import type { Arrived, ProviderLogin } from "./provider/provider-login.ts";
import type { PublicUrls } from "./public-urls.ts";
import type { BrowserCookie, LoginRequest } from "./transaction.ts";
import { START_PAGE } from "./visits.ts";
import type { Visits } from "./visits.ts";
import type { Visitor } from "./visitor.ts";

export interface LoginByProviderDeps {
  readonly provider: ProviderLogin;
  readonly pages: LoginPages;
  readonly urls: PublicUrls;
  readonly cookie: BrowserCookie;
  readonly visits: Visits;
  readonly log: Log;
  readonly meter: LoginMeter;
  /** Seals what a grant keeps of a login through the provider. */
  readonly keepSealed: (arrived: Arrived) => string;
  readonly clients: ClientLookup;
  readonly approval: Approval;
}

/** Browsers on their way through the identity provider: what they are sent off with, and what becomes of them. */
export class LoginByProvider {
  readonly #deps: LoginByProviderDeps;

  constructor(deps: LoginByProviderDeps) {
    this.#deps = deps;
  }

  /** Sends somebody there who has allowed a client what it asks for. */
  async send(request: Request, login: LoginRequest, client: Client): Promise<Response> {
    const { provider, pages, cookie } = this.#deps;
    const cookies = request.headers.get("cookie");
    try {
      return await provider.begin(login, cookie.read(cookies) ?? "", cookies);
    } catch (error) {
      this.#unusable(error);
      const message = error.down
        ? `${provider.label} does not answer at the moment. Try again in a minute.`
        : `${provider.label} cannot be used: the owner of this server has to look into its log.`;
      return await pages.form(request, login, client, {
        status: error.down ? 503 : 502,
        message,
        ...(error.down ? { retryAfter: 10 } : {}),
      });
    }
  }

  /** The identity provider sends somebody back. */
  async returned(request: Request, visitor: Visitor): Promise<Response> {
    const { provider, pages, cookie, urls } = this.#deps;
    const { searchParams, search } = new URL(request.url);
    const run = async (): Promise<Response> => {
      const cookies = request.headers.get("cookie");
      const pending = await provider.open(new Params(searchParams), cookie.read(cookies), cookies);
      if (pending.request.clientId === START_PAGE) {
        const { user } = await this.#arrival(search, pending);
        const home = redirectTo(pending.request.redirectUri);
        home.headers.append("Set-Cookie", await this.#deps.visits.begin(user, true));
        return home;
      }
      const client = await this.#deps.clients.find(pending.request.clientId, visitor);
      const arrived = await this.#arrival(search, pending);
      return await this.#deps.approval.give(pending.request, client, arrived.user, this.#deps.keepSealed(arrived));
    };
    // Strangers find this address too, and must not read there what the path prefix is.
    const response = await pages.answering(visitor, run, urls.providerStyle);
    return provider.forget(response, searchParams.get("state"));
  }

  /** Somebody wants to see the start page and says who it is at the identity provider. */
  async visit(request: Request, visitor: Visitor): Promise<Response> {
    const { provider, pages, cookie, urls } = this.#deps;
    return await pages.answering(visitor, async () => {
      const home = `${urls.issuer}/`;
      const login: LoginRequest = {
        clientId: START_PAGE,
        redirectUri: home,
        redirectGiven: true,
        state: undefined,
        challenge: "",
        scopes: [],
        audience: undefined,
        resource: undefined,
      };
      const cookies = request.headers.get("cookie");
      try {
        return await provider.begin(login, cookie.read(cookies) ?? "", cookies);
      } catch (error) {
        this.#unusable(error);
        const turn = error.down ? "later" : "owner";
        throw new Unanswerable(`${provider.label} cannot be used at the moment.`, turn, undefined, { status: 503 });
      }
    });
  }

  /** Who the provider says somebody is, counted however it ends. */
  async #arrival(query: string, pending: PendingLogin): Promise<Arrived> {
    const { provider, meter } = this.#deps;
    const { logins } = meter;
    try {
      const arrived = await provider.finish(query, pending);
      logins.ok++;
      return arrived;
    } catch (error) {
      if (error instanceof Answerable) logins.denied++;
      else if (error instanceof Unanswerable) logins[error.turn === "stranger" ? "not_a_user" : "provider_failed"]++;
      throw error;
    }
  }

  /** The log has the reason, the page only whose turn it is. @throws whatever is no trouble of the provider */
  #unusable(error: unknown): asserts error is ProviderTrouble {
    if (!(error instanceof ProviderTrouble)) throw error;
    const { provider, meter, log } = this.#deps;
    meter.logins.provider_failed++;
    log.error({ provider: provider.label, reason: error.message }, "the identity provider cannot be used");
  }
}
