import { randomBytes } from "node:crypto";
import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { LoginMeter } from "../telemetry/meters.ts";
import { Answerable, clientIdOf, readAuthorizeRequest, redirectUriOf, Unanswerable } from "./authorize-request.ts";
import { PATHS } from "./capabilities.ts";
import { DocumentError } from "./client-documents.ts";
import type { ClientDocuments } from "./client-documents.ts";
import type { Client, Clients } from "./clients.ts";
import { OAuthError } from "./errors.ts";
import { readForm } from "./forms.ts";
import type { Grants } from "./grants.ts";
import { pageHeaders, redirectTo } from "./page-headers.ts";
import { withProvider, withTransaction } from "./pages.ts";
import type { PageData, Pages } from "./pages.ts";
import type { PageName } from "./built-in-templates.ts";
import { Params } from "./params.ts";
import type { PasswordCheck } from "./password-check.ts";
import type { PublicUrls } from "./public-urls.ts";
import { ProviderTrouble } from "../auth/provider-fetch.ts";
import type { PendingLogin } from "./provider/pending.ts";
import type { Arrived, ProviderLogin } from "./provider/provider-login.ts";
import { isLoopbackRedirect, matchingRedirect, withAnswer } from "./redirect-uri.ts";
import type { Resources } from "./resources.ts";
import type { MinuteLimit } from "./throttle.ts";
import type { BrowserCookie, LoginRequest, Transactions } from "./transaction.ts";
import type { Users } from "./users.ts";
import { START_PAGE } from "./visits.ts";
import type { Visits } from "./visits.ts";

const CODE_MS = 60_000;
const DAY_MS = 86_400_000;

export interface LoginDeps {
  readonly serverName: string;
  readonly urls: PublicUrls;
  readonly resources: Resources;
  readonly clients: Clients;
  readonly documents: ClientDocuments;
  readonly grants: Grants;
  readonly users: Users;
  readonly pages: Pages;
  readonly transactions: Transactions;
  readonly passwords: PasswordCheck;
  readonly documentLimit: MinuteLimit;
  readonly cookie: BrowserCookie;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: LoginMeter;
  readonly refreshMs: number;
  readonly visits: Visits;
  /** Undefined: people log in with a password only. */
  readonly provider: ProviderLogin | undefined;
  /** Seals what a grant keeps of a login through the provider. */
  readonly keepSealed: (arrived: Arrived) => string;
}

/** Who is at the other end of a page. */
export interface Visitor {
  readonly address: string;
  /** On this machine, with nothing in between: most likely the owner. */
  readonly direct: boolean;
}

interface Shown {
  readonly status: number;
  readonly username?: string;
  readonly message?: string;
  readonly retryAfter?: number;
}

/** The authorization endpoint: the page for login and consent, and what becomes of it. */
export class Login {
  readonly #deps: LoginDeps;

  constructor(deps: LoginDeps) {
    this.#deps = deps;
  }

  /** A client sends somebody here to log in. */
  async ask(request: Request, visitor: Visitor): Promise<Response> {
    const params = new Params(new URL(request.url).searchParams);
    return await this.#answering(visitor, async () => {
      const client = await this.#client(clientIdOf(params), visitor);
      const redirect = redirectUriOf(params, client);
      const login = readAuthorizeRequest(params, client, redirect, (resource) => this.#audience(resource, request));
      return await this.#form(request, login, client, { status: 200 });
    });
  }

  /** The form comes back. */
  async decide(request: Request, visitor: Visitor): Promise<Response> {
    return await this.#answering(visitor, async () => {
      // The form's Origin is `null` (no-referrer), so this header is what tells our own page from another site's.
      const site = request.headers.get("sec-fetch-site");
      if (site !== null && site !== "same-origin" && site !== "none")
        throw new Unanswerable("This form came from another web site.", "person");
      const params = await readForm(request);
      // It carries the whole request, so it may be longer than any parameter of that.
      const [first, ...more] = params.all("transaction");
      const sealed = more.length === 0 ? first : undefined;
      const login = this.#deps.transactions.open(sealed, this.#deps.cookie.read(request.headers.get("cookie")));
      if (login === undefined)
        throw new Unanswerable("This login page is too old, or was opened in another browser.", "person");
      const client = await this.#client(login.clientId, visitor);
      if (login.redirectGiven && !matchingRedirect(login.redirectUri, client.metadata.redirect_uris)) {
        throw new Unanswerable(
          "The address the answer should go to is not one this app has registered.",
          "client",
          login.redirectUri,
        );
      }
      const action = params.get("action");
      if (action === "cancel" || action === "deny") {
        this.#deps.meter.logins.denied++;
        throw new Answerable(
          new OAuthError("access_denied", "the user did not allow it"),
          login.redirectUri,
          login.state,
        );
      }
      if (this.#deps.provider !== undefined && (action === "provider" || !this.#deps.users.any))
        return await this.#sendToProvider(request, login, client, this.#deps.provider);
      return await this.#logIn(request, params, login, client, visitor);
    });
  }

  /** The identity provider sends somebody back. */
  async returned(request: Request, visitor: Visitor): Promise<Response> {
    const { provider, cookie, urls } = this.#deps;
    const { searchParams, search } = new URL(request.url);
    const run = async (): Promise<Response> => {
      if (provider === undefined) throw new Unanswerable("No login leads here.", "owner", undefined, { status: 404 });
      const cookies = request.headers.get("cookie");
      const pending = await provider.open(new Params(searchParams), cookie.read(cookies), cookies);
      if (pending.request.clientId === START_PAGE) {
        const { user } = await this.#arrival(provider, search, pending);
        const home = redirectTo(pending.request.redirectUri);
        home.headers.append("Set-Cookie", await this.#deps.visits.begin(user, true));
        return home;
      }
      const client = await this.#client(pending.request.clientId, visitor);
      const arrived = await this.#arrival(provider, search, pending);
      return await this.#allow(pending.request, client, arrived.user, this.#deps.keepSealed(arrived));
    };
    // Strangers find this address too, and must not read there what the path prefix is.
    const response = await this.#answering(visitor, run, urls.providerStyle);
    return provider?.forget(response, searchParams.get("state")) ?? response;
  }

  /** Somebody wants to see the start page and says who it is at the identity provider. */
  async visit(request: Request, visitor: Visitor): Promise<Response> {
    const { provider, cookie, urls } = this.#deps;
    return await this.#answering(visitor, async () => {
      if (provider === undefined) throw new Unanswerable("No login leads there.", "owner", undefined, { status: 404 });
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
        this.#unusable(provider, error);
        const turn = error.down ? "later" : "owner";
        throw new Unanswerable(`${provider.label} cannot be used at the moment.`, turn, undefined, { status: 503 });
      }
    });
  }

  /** Who the provider says somebody is, counted however it ends. */
  async #arrival(provider: ProviderLogin, query: string, pending: PendingLogin): Promise<Arrived> {
    const { logins } = this.#deps.meter;
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
  #unusable(provider: ProviderLogin, error: unknown): asserts error is ProviderTrouble {
    if (!(error instanceof ProviderTrouble)) throw error;
    this.#deps.meter.logins.provider_failed++;
    this.#deps.log.error({ provider: provider.label, reason: error.message }, "the identity provider cannot be used");
  }

  async #sendToProvider(
    request: Request,
    login: LoginRequest,
    client: Client,
    provider: ProviderLogin,
  ): Promise<Response> {
    const { cookie } = this.#deps;
    const cookies = request.headers.get("cookie");
    try {
      return await provider.begin(login, cookie.read(cookies) ?? "", cookies);
    } catch (error) {
      this.#unusable(provider, error);
      const message = error.down
        ? `${provider.label} does not answer at the moment. Try again in a minute.`
        : `${provider.label} cannot be used: the owner of this server has to look into its log.`;
      return await this.#form(request, login, client, {
        status: error.down ? 503 : 502,
        message,
        ...(error.down ? { retryAfter: 10 } : {}),
      });
    }
  }

  async #logIn(
    request: Request,
    params: Params,
    login: LoginRequest,
    client: Client,
    visitor: Visitor,
  ): Promise<Response> {
    const about = { client: client.id };
    const tried = await this.#deps.passwords.try(
      params.get("username"),
      params.get("password"),
      visitor.address,
      about,
    );
    if (!tried.right) return await this.#form(request, login, client, tried);
    return await this.#allow(login, client, tried.username);
  }

  /** @param provided what the identity provider said, sealed; undefined for a login with a password */
  async #allow(login: LoginRequest, client: Client, username: string, provided?: string): Promise<Response> {
    const { grants, users, clock, urls, log, pages } = this.#deps;
    const code = await grants.begin(
      {
        client: client.id,
        user: username,
        // Who came through the provider is not thrown out by a new password.
        ...(provided === undefined ? { passwordMark: users.mark(username) } : { passwordMark: undefined, provided }),
        scopes: login.scopes,
        audience: login.audience,
      },
      {
        expires: clock.now() + CODE_MS,
        redirectUri: login.redirectUri,
        redirectGiven: login.redirectGiven,
        challenge: login.challenge,
      },
    );
    const roles = this.#deps.users.rolesOf(username);
    log.info(
      { user: username, roles, client: client.id, name: client.metadata.client_name },
      "a user allowed a client",
    );
    const location = withAnswer(login.redirectUri, { code, state: login.state, iss: urls.issuer });
    // A page of one's own site is followed at once; a program beside the browser leaves the person looking at this tab.
    if (login.redirectUri.startsWith("https:") && !(await pages.custom("success.html"))) return redirectTo(location);
    const html = await pages.render("success.html", {
      ...this.#common(client),
      Username: username,
      RedirectURL: location,
    });
    const headers = pageHeaders(await pages.custom("success.html"));
    // Older pages of the operator go on by a script, which may not run here.
    if (!/http-equiv=["']?refresh/i.test(html)) headers.set("Refresh", `1;url=${location}`);
    return new Response(html, { headers });
  }

  async #form(request: Request, login: LoginRequest, client: Client, shown: Shown): Promise<Response> {
    const { cookie, transactions, resources, urls, pages, refreshMs, provider, users } = this.#deps;
    const known = cookie.read(request.headers.get("cookie"));
    const fresh = known === undefined ? cookie.make() : undefined;
    const transaction = transactions.seal(login, known ?? fresh?.value ?? "");
    const data: PageData = {
      ...this.#common(client),
      ResourceName: resources.name(login.audience),
      ClientID: client.id,
      VerifiedHost: client.verifiedHost,
      RedirectURI: login.redirectUri,
      RedirectHost: placeOf(login.redirectUri),
      LocalApp: isLoopbackRedirect(login.redirectUri),
      ResponseType: "code",
      Scope: login.scopes.join(" "),
      State: login.state,
      CodeChallenge: login.challenge,
      Resource: login.resource,
      IdleDays: Math.max(1, Math.round(refreshMs / DAY_MS)),
      FormAction: urls.basePath + PATHS.authorize,
      Transaction: transaction,
      Username: shown.username,
      ErrorMessage: shown.message,
      Provider: provider?.label,
      PasswordLogin: provider === undefined || users.any,
    };
    const custom = await pages.custom("authorize.html");
    const headers = pageHeaders(custom);
    if (fresh !== undefined) headers.append("Set-Cookie", fresh.header);
    if (shown.retryAfter !== undefined) headers.set("Retry-After", String(shown.retryAfter));
    const html = withTransaction(await pages.render("authorize.html", data), transaction);
    const whole = provider !== undefined && custom ? withProvider(html, provider.label) : html;
    return new Response(whole, { status: shown.status, headers });
  }

  #common(client?: Client): PageData {
    const { serverName, urls } = this.#deps;
    const name = client?.metadata.client_name ?? client?.verifiedHost ?? "An app without a name";
    return { ServerName: serverName, StyleURL: `${urls.basePath}/oauth/style.css`, ClientName: name };
  }

  async #client(id: string, visitor: Visitor): Promise<Client> {
    const { clients, documents, documentLimit } = this.#deps;
    if (documents.isAddress(id)) {
      if (documentLimit.take(visitor.address) > 0)
        throw new Unanswerable("Too many logins from your address.", "later", undefined, { status: 429 });
      return await documents.find(id);
    }
    const client = clients.find(id);
    if (client === undefined) throw new Unanswerable("The app is not registered here (any more).", "client");
    return client;
  }

  #audience(resource: string, request: Request): string | undefined {
    const { urls, resources } = this.#deps;
    const local = urls.localPath(resource, request.headers.get("host"));
    return local === undefined ? undefined : resources.audience(local);
  }

  async #answering(visitor: Visitor, run: () => Promise<Response>, style?: string): Promise<Response> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof Answerable) {
        const { code, message } = error.error;
        return redirectTo(
          withAnswer(error.redirectUri, {
            error: code,
            error_description: message,
            state: error.state,
            iss: this.#deps.urls.issuer,
          }),
        );
      }
      if (error instanceof Unanswerable) return await this.#refuse(error, visitor, style);
      if (error instanceof DocumentError)
        return await this.#refuse(new Unanswerable(error.message, "client"), visitor, style);
      if (error instanceof OAuthError)
        return await this.#refuse(new Unanswerable(error.message, "client"), visitor, style, error.status);
      throw error;
    }
  }

  /** An error the person sees, and nobody else. */
  async #refuse(error: Unanswerable, visitor: Visitor, style?: string, status = error.status): Promise<Response> {
    const { pages, log } = this.#deps;
    const id = randomBytes(4).toString("hex");
    log.warn(
      { id, address: visitor.address, redirectUri: error.redirectUri?.slice(0, 500) },
      `a login was refused: ${error.message}`,
    );
    const name: PageName = "error.html";
    const html = await pages.render(name, {
      ...this.#common(),
      ...(style === undefined ? {} : { StyleURL: style }),
      ErrorMessage: error.message,
      RedirectURI: error.redirectUri,
      Advice: ADVICE[error.turn],
      OwnerAdvice:
        visitor.direct && error.redirectUri !== undefined
          ? `You own this server? If you trust this address, add it in your configuration: "allowedRedirectURIs": [${JSON.stringify(error.redirectUri)}], and let the app register again.`
          : undefined,
      ErrorID: id,
    });
    const headers = pageHeaders(await pages.custom(name));
    if (error.cookie !== undefined) headers.append("Set-Cookie", error.cookie);
    return new Response(html, { status, headers });
  }
}

const ADVICE = {
  client: "Go back to the app and connect it again. If that does not help, its maker has to correct it.",
  owner: "The owner of this server has to correct it.",
  person: "Go back to the app and begin the login again.",
  later: "Wait a minute, then go back to the app and begin the login again.",
  stranger: "Ask its owner to add you, or go back to the app and begin again with another account.",
} as const;

/** Where an answer goes, as a person would say it. */
function placeOf(uri: string): string {
  const url = new URL(uri);
  if (isLoopbackRedirect(uri)) return `this computer (${url.host})`;
  return url.protocol === "https:" ? url.host : `the app for ${url.protocol}`;
}
