import { authorizeUrl, client, pkce, redeem, unescape } from "../login.ts";
import type { Tokens } from "../login.ts";

/** Where the apps of these tests wait for their answers. */
const APP = "/callback";

/** Where a person is after the redirects. */
export interface Place {
  readonly url: URL;
  readonly status: number;
  readonly html: string;
  readonly headers: Headers;
}

/** A person with a browser: cookies for each site, redirects followed, forms filled in. No scripts, no Chromium. */
export class Person {
  readonly #ca: string;
  readonly #jars = new Map<string, Map<string, string>>();
  /** Every place on the way, redirects included. */
  readonly way: string[] = [];

  constructor(ca: string) {
    this.#ca = ca;
  }

  cookies(url: URL): string {
    return [...(this.#jars.get(url.host) ?? [])].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** Goes there and follows redirects; stops in front of the app, which nobody serves here. */
  async open(address: string | URL, init: RequestInit = {}): Promise<Place> {
    let url = new URL(address);
    let request: RequestInit = init;
    for (let hop = 0; hop < 12; hop++) {
      this.way.push(url.href);
      if (url.pathname === APP) return { url, status: 0, html: "", headers: new Headers() };
      const response = await fetch(url, {
        ...request,
        redirect: "manual",
        tls: { ca: this.#ca },
        headers: { ...(request.headers as Record<string, string>), Cookie: this.cookies(url) },
      });
      this.#store(url, response);
      const html = await response.text();
      const refresh = /http-equiv="refresh" content="0;url=([^"]*)"/.exec(html)?.[1];
      const location = response.headers.get("location") ?? (refresh === undefined ? null : unescape(refresh));
      if (location === null) return { url, status: response.status, html, headers: response.headers };
      url = new URL(location, url);
      request = {};
    }
    throw new Error(`redirected without end: ${this.way.join("\n")}`);
  }

  /** Sends the form of a page with these fields. */
  async submit(place: Place, fields: Record<string, string>): Promise<Place> {
    const all = new URLSearchParams();
    for (const [, attributes = ""] of place.html.matchAll(/<input\b([^>]*)>/g)) {
      const name = /\bname="([^"]*)"/.exec(attributes)?.[1];
      if (name !== undefined) all.set(name, unescape(/\bvalue="([^"]*)"/.exec(attributes)?.[1] ?? ""));
    }
    for (const [name, value] of Object.entries(fields)) all.set(name, value);
    const action = /<form\b[^>]*\baction="([^"]*)"/.exec(place.html)?.[1];
    return await this.open(new URL(action === undefined ? "" : unescape(action), place.url), {
      method: "POST",
      body: all,
      headers: {
        "Content-Type": "application/x-www-form-urlencoded",
        Origin: "null",
        "Sec-Fetch-Site": "same-origin",
      },
    });
  }

  #store(url: URL, response: Response): void {
    const jar = this.#jars.get(url.host) ?? new Map<string, string>();
    this.#jars.set(url.host, jar);
    for (const header of response.headers.getSetCookie()) {
      const [pair = ""] = header.split(";");
      const [name, value] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
      if (value === "" || /max-age=0|expires=thu, 01 jan 1970/i.test(header)) jar.delete(name);
      else jar.set(name, value);
    }
  }
}

/** Somebody's request for a login, on our page. */
export interface Asked {
  readonly person: Person;
  readonly page: Place;
  readonly verifier: string;
  readonly clientId: string;
}

export async function ask(proxy: string, person: Person, params: Record<string, string> = {}): Promise<Asked> {
  const { client_id: clientId } = await client(proxy);
  const { verifier, challenge } = pkce();
  const page = await person.open(authorizeUrl(proxy, { client_id: clientId, code_challenge: challenge, ...params }));
  return { person, page, verifier, clientId };
}

/** Allows, logs in at the provider as this account, and comes back. */
export async function through(asked: Asked, account: string): Promise<Place> {
  const there = await asked.person.submit(asked.page, { action: "provider" });
  if (!there.html.includes("Log in at the provider")) return there;
  return await asked.person.submit(there, { login: account });
}

/** The whole round. */
export async function logInThrough(
  proxy: string,
  person: Person,
  account: string,
  params: Record<string, string> = {},
): Promise<Tokens> {
  const asked = await ask(proxy, person, params);
  const back = await through(asked, account);
  const code = back.url.searchParams.get("code");
  if (code === null) throw new Error(`no code: ${back.url.href} ${back.status} ${back.html}`);
  const response = await redeem(proxy, { code, verifier: asked.verifier, clientId: asked.clientId });
  if (response.status !== 200) throw new Error(`no token: ${response.status} ${await response.text()}`);
  return { ...((await response.json()) as Tokens), clientId: asked.clientId };
}
