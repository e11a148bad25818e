import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { IncomingMessage, ServerResponse } from "node:http";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { CryptoKey, JWTPayload } from "jose";
import { Provider } from "oidc-provider";
import { AUDIENCE } from "./bare-provider.ts";
import { CLIENT_ID, CLIENT_SECRET } from "./behind-provider.ts";
import type { Certificate } from "./certificate.ts";

export interface IdentityProviderOptions {
  readonly certificate: Certificate;
  /** Claims by subject, beside `sub`. */
  readonly people: Record<string, Record<string, unknown>>;
  /** As Auth0: the address is in the ID token. Otherwise UserInfo has it alone, as the standard wants. */
  readonly emailInIdToken?: boolean;
  readonly secretBy?: "client_secret_basic" | "client_secret_post";
  readonly port?: number;
}

/** A real OpenID provider (`oidc-provider`) on loopback, over https. People log in with their subject and no password. */
export interface IdentityProvider extends AsyncDisposable {
  readonly issuer: string;
  /** Host and port, as `AUTH0_DOMAIN` has it. */
  readonly domain: string;
  /** Queries of its authorization endpoint and bodies of its token endpoint, as they came. */
  readonly asked: URLSearchParams[];
  readonly exchanged: URLSearchParams[];
  /** Every token it gave out. */
  readonly given: string[];
  /** Redirect URIs of the proxy's registration. */
  readonly redirectUris: string[];
  /** Logins here are over: refresh tokens do not work any more. */
  revokeAll(): void;
  /** A JWT signed with its key. */
  sign(claims: JWTPayload, header?: Record<string, unknown>): Promise<string>;
}

export async function startIdentityProvider(options: IdentityProviderOptions): Promise<IdentityProvider> {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const jwk = { ...(await exportJWK(privateKey)), kid: "key-1", alg: "RS256", use: "sig" };
  const { cert, key } = options.certificate;
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
  const server = createServer({ cert, key }, (request, response) => handle(request, response));
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const domain = `localhost:${(server.address() as AddressInfo).port}`;
  const issuer = `https://${domain}`;
  const redirectUris: string[] = [];
  const asked: URLSearchParams[] = [];
  const exchanged: URLSearchParams[] = [];
  const given: string[] = [];
  const state = new Map<string, Record<string, unknown>>();
  const provider = new Provider(issuer, {
    adapter: memoryAdapter(state, () => ({
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      redirect_uris: redirectUris,
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: options.secretBy ?? "client_secret_basic",
    })),
    jwks: { keys: [jwk] },
    cookies: { keys: ["only for tests"] },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    conformIdTokenClaims: options.emailInIdToken === false,
    extraParams: ["audience"],
    scopes: ["openid", "email", "profile", "offline_access"],
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false }, revocation: { enabled: true } },
    interactions: { url: (_ctx: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_ctx: unknown, id: string) => ({
      accountId: id,
      claims: () => Promise.resolve({ sub: id, ...options.people[id] }),
    }),
    // It takes this scope away where nobody is asked for consent, as the standard wants.
    issueRefreshToken: (_ctx: unknown, _client: unknown, code: { scopes: Set<string> }) =>
      Promise.resolve(code.scopes.has("offline_access")),
    async loadExistingGrant(ctx: { oidc: { client: { clientId: string }; session: { accountId: string } } }) {
      const { client, session } = ctx.oidc;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope("openid email profile offline_access");
      await grant.save();
      return grant;
    },
  });
  const callback = provider.callback();
  handle = (request, response) => {
    const url = new URL(request.url ?? "/", issuer);
    if (url.pathname === "/auth") asked.push(url.searchParams);
    if (url.pathname === "/token") watchExchange(request, response, exchanged, given);
    const interaction = /^\/interaction\/[\w-]+$/.test(url.pathname);
    if (!interaction) return callback(request, response);
    void interact(request, response, provider);
  };
  return {
    issuer,
    domain,
    asked,
    exchanged,
    given,
    redirectUris,
    revokeAll: () => state.clear(),
    sign: (claims, header) => sign(privateKey, issuer, claims, header),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function sign(
  key: CryptoKey,
  issuer: string,
  claims: JWTPayload,
  header: Record<string, unknown> = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return new SignJWT({ iss: issuer, aud: AUDIENCE, iat: now, exp: now + 600, ...claims })
    .setProtectedHeader({ alg: "RS256", kid: "key-1", typ: "JWT", ...header })
    .sign(key);
}

/** The page on which people say who they are. */
async function interact(request: IncomingMessage, response: ServerResponse, provider: Provider): Promise<void> {
  if (request.method !== "POST") {
    response.setHeader("Content-Type", "text/html");
    response.end(
      '<!doctype html><title>Provider</title><h1>Log in at the provider</h1><form method="post"><label>Account <input name="login"></label><button>Log in</button><button name="cancel" value="1">Cancel</button></form>',
    );
    return;
  }
  const form = new URLSearchParams(await text(request));
  const refused = { error: "access_denied", error_description: "<script>alert(1)</script>" };
  const result = form.has("cancel") ? refused : { login: { accountId: form.get("login") }, consent: {} };
  await provider.interactionFinished(request, response, result);
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

/** Listens to the token endpoint without changing what it does. */
function watchExchange(
  request: IncomingMessage,
  response: ServerResponse,
  exchanged: URLSearchParams[],
  given: string[],
): void {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  const end = response.end.bind(response);
  response.end = ((body?: string | Buffer, ...more: never[]) => {
    exchanged.push(new URLSearchParams(Buffer.concat(chunks).toString("utf8")));
    const answer = JSON.parse(body === undefined ? "{}" : body.toString()) as Record<string, unknown>;
    for (const name of ["access_token", "refresh_token", "id_token"])
      if (typeof answer[name] === "string") given.push(answer[name]);
    return end(body, ...more);
  }) as typeof response.end;
}

function memoryAdapter(state: Map<string, Record<string, unknown>>, client: () => Record<string, unknown>): unknown {
  return class {
    readonly #model: string;
    constructor(model: string) {
      this.#model = model;
    }
    #key = (id: string): string => `${this.#model}:${id}`;
    upsert(id: string, payload: Record<string, unknown>): Promise<void> {
      state.set(this.#key(id), payload);
      return Promise.resolve();
    }
    find(id: string): Promise<Record<string, unknown> | undefined> {
      return Promise.resolve(this.#model === "Client" ? client() : state.get(this.#key(id)));
    }
    findByUid(uid: string): Promise<Record<string, unknown> | undefined> {
      return Promise.resolve([...state.values()].find((entry) => entry["uid"] === uid));
    }
    findByUserCode(): Promise<undefined> {
      return Promise.resolve(undefined);
    }
    destroy(id: string): Promise<void> {
      state.delete(this.#key(id));
      return Promise.resolve();
    }
    revokeByGrantId(grantId: string): Promise<void> {
      for (const [key, entry] of state) if (entry["grantId"] === grantId) state.delete(key);
      return Promise.resolve();
    }
    consume(id: string): Promise<void> {
      const entry = state.get(this.#key(id));
      if (entry !== undefined) entry["consumed"] = Math.floor(Date.now() / 1_000);
      return Promise.resolve();
    }
  };
}
