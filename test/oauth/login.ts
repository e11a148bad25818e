import { createHash, randomBytes } from "node:crypto";
import { startProxy } from "../support/proxy.ts";
import type { ProxyOptions, RunningProxy } from "../support/proxy.ts";
import { tools } from "../http/client.ts";

/** A proxy whose servers `a` and `b` are behind a login of `alice`, and `free` is open. */
export async function startLogin(
  oauth2: Record<string, unknown> = {},
  options: ProxyOptions = {},
): Promise<RunningProxy> {
  const { mcpProxy, ...rest } = options;
  const servers = { a: tools(), b: tools(), free: tools({ options: { oauth2: { enabled: false } } }) };
  const directory = options.directory;
  return await startProxy(servers, {
    ...rest,
    mcpProxy: {
      ...mcpProxy,
      options: {
        oauth2: { enabled: true, users: { alice: "correct horse" }, persistenceDir: "state", ...oauth2 },
      },
    },
    ...(directory === undefined ? {} : { directory }),
  });
}

export const CALLBACK = "http://localhost:7777/callback";
export const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

export interface Registered {
  readonly client_id: string;
  readonly client_secret?: string;
  readonly [field: string]: unknown;
}

export function register(
  url: string,
  body: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${url}/oauth/register`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({
      redirect_uris: [CALLBACK],
      token_endpoint_auth_method: "none",
      client_name: "Test app",
      ...body,
    }),
  });
}

/** A registered public client. */
export async function client(url: string, body: Record<string, unknown> = {}): Promise<Registered> {
  const response = await register(url, body);
  if (response.status !== 201) throw new Error(`not registered: ${response.status} ${await response.text()}`);
  return (await response.json()) as Registered;
}

export function pkce(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString("base64url");
  return { verifier, challenge: createHash("sha256").update(verifier).digest("base64url") };
}

export function authorizeUrl(url: string, params: Record<string, string | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({
    response_type: "code",
    redirect_uri: CALLBACK,
    code_challenge_method: "S256",
    state: "some state",
    ...params,
  })) {
    if (value !== undefined) query.set(name, value);
  }
  return `${url}/oauth/authorize?${query.toString()}`;
}

/** A login page as a browser has it. */
export interface LoginPage {
  readonly response: Response;
  readonly html: string;
  readonly cookie: string;
  /** The form's fields, with the values they come with. */
  readonly fields: Record<string, string>;
}

export async function openPage(address: string, headers: Record<string, string> = {}): Promise<LoginPage> {
  return await readPage(await fetch(address, { redirect: "manual", headers }), "");
}

export async function readPage(response: Response, cookieBefore: string): Promise<LoginPage> {
  const html = await response.text();
  const fields: Record<string, string> = {};
  for (const [, attributes = ""] of html.matchAll(/<input\b([^>]*)>/g)) {
    const name = /\bname="([^"]*)"/.exec(attributes)?.[1];
    if (name !== undefined) fields[name] = unescape(/\bvalue="([^"]*)"/.exec(attributes)?.[1] ?? "");
  }
  const cookie = response.headers.get("set-cookie")?.split(";")[0] ?? cookieBefore;
  return { response, html, cookie, fields };
}

export function unescape(text: string): string {
  const named: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"' };
  return text.replaceAll(/&(?:#x([0-9a-f]+)|(\w+));/gi, (whole, hex: string | undefined, name: string) =>
    hex === undefined ? (named[name] ?? whole) : String.fromCodePoint(Number.parseInt(hex, 16)),
  );
}

/** Sends the form of a page. */
export function submit(
  url: string,
  page: LoginPage,
  more: Record<string, string> = {},
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${url}/oauth/authorize`, {
    method: "POST",
    redirect: "manual",
    headers: { ...FORM, Cookie: page.cookie, Origin: "null", "Sec-Fetch-Site": "same-origin", ...headers },
    body: new URLSearchParams({
      ...page.fields,
      username: "alice",
      password: "correct horse",
      action: "allow",
      ...more,
    }),
  });
}

/** Where an answer to a login goes: the redirect, or the link of the page that says it worked. */
export async function destination(response: Response): Promise<URL> {
  const location = response.headers.get("location");
  if (location !== null) return new URL(location);
  const html = await response.text();
  const link = /http-equiv="refresh" content="0;url=([^"]*)"/.exec(html)?.[1];
  if (link === undefined) throw new Error(`the login leads nowhere: ${response.status} ${html}`);
  return new URL(unescape(link));
}

export interface Code {
  readonly code: string;
  readonly verifier: string;
  readonly clientId: string;
}

/** A user allows a client. */
export async function obtainCode(
  url: string,
  clientId: string,
  params: Record<string, string | undefined> = {},
): Promise<Code> {
  const { verifier, challenge } = pkce();
  const page = await openPage(authorizeUrl(url, { client_id: clientId, code_challenge: challenge, ...params }));
  const answer = await destination(await submit(url, page));
  const code = answer.searchParams.get("code");
  if (code === null) throw new Error(`no code: ${answer.href}`);
  return { code, verifier, clientId };
}

export function post(
  url: string,
  path: string,
  body: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(url + path, { method: "POST", headers: { ...FORM, ...headers }, body: new URLSearchParams(body) });
}

export function redeem(url: string, code: Code, more: Record<string, string> = {}): Promise<Response> {
  return post(url, "/oauth/token", {
    grant_type: "authorization_code",
    code: code.code,
    code_verifier: code.verifier,
    client_id: code.clientId,
    redirect_uri: CALLBACK,
    ...more,
  });
}

export interface Tokens {
  readonly clientId: string;
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
  readonly scope: string;
}

/** The whole way: register, log in, redeem. */
export async function logIn(
  url: string,
  params: Record<string, string | undefined> = {},
  clientId?: string,
): Promise<Tokens> {
  const id = clientId ?? (await client(url)).client_id;
  const response = await redeem(url, await obtainCode(url, id, params));
  if (response.status !== 200) throw new Error(`no token: ${response.status} ${await response.text()}`);
  return { ...((await response.json()) as Tokens), clientId: id };
}

export function refresh(
  url: string,
  tokens: Pick<Tokens, "clientId" | "refresh_token">,
  more: Record<string, string> = {},
): Promise<Response> {
  return post(url, "/oauth/token", {
    grant_type: "refresh_token",
    refresh_token: tokens.refresh_token,
    client_id: tokens.clientId,
    ...more,
  });
}

/** Status of a call to an endpoint with this token. */
export async function callStatus(url: string, token: string | undefined, method = "POST"): Promise<number> {
  const response = await fetch(url, {
    method,
    headers: {
      "Content-Type": "application/json",
      Accept: method === "GET" ? "text/event-stream" : "application/json, text/event-stream",
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    },
    ...(method === "POST"
      ? {
          body: JSON.stringify({
            jsonrpc: "2.0",
            id: 0,
            method: "initialize",
            params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
          }),
        }
      : {}),
  });
  await response.text();
  return response.status;
}

/** What a promise fails with. */
export function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(() => "it did not fail", String);
}
