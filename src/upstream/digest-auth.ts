import { createHash, randomBytes } from "node:crypto";
import type { Fetch } from "./http-link.ts";

export interface DigestUser {
  readonly username: string;
  readonly password: string;
}

interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  /** As the server wrote it; undefined when it named none, which means MD5. */
  readonly algorithm: string | undefined;
  readonly hash: "sha256" | "md5";
  readonly session: boolean;
  /** False: a server after RFC 2069, which counts nothing. */
  readonly counted: boolean;
  readonly cnonce: string;
}

/** What is understood, the strongest first. */
const HASHES: readonly (readonly [string, Challenge["hash"]])[] = [
  ["sha-256", "sha256"],
  ["md5", "md5"],
];
/** A scheme, or a parameter of the scheme before it (RFC 9110 section 11.6.1). */
const PART = /[\s,]*([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/gy;

/**
 * HTTP Digest access authentication at one server (RFC 7616, qop=auth). A challenge is answered once per request; what
 * it brought is used for later requests, each with the next count, until the server wants another one.
 */
export class DigestAuth {
  readonly #user: DigestUser;
  readonly #cnonce: () => string;
  #current: { readonly challenge: Challenge; count: number } | undefined;

  /** @param cnonce makes what keeps a server from choosing all that is hashed */
  constructor(user: DigestUser, cnonce = (): string => randomBytes(16).toString("hex")) {
    this.#user = user;
    this.#cnonce = cnonce;
  }

  /** `fetch` that authenticates. A refusal of the answer to a challenge is returned as it is. */
  over(plain: Fetch): Fetch {
    return async (url, init) => {
      const response = await plain(url, this.#with(init, url));
      // Refused, it was not run, so it may be sent again.
      if (response.status !== 401 || !this.learn(response.headers.get("www-authenticate"))) return response;
      response.body?.cancel().catch(() => undefined);
      const used = this.#current;
      const second = await plain(url, this.#with(init, url));
      // A password that is wrong is wrong for the next challenge too: more attempts would only lock the account.
      if (second.status === 401 && this.#current === used) this.#current = undefined;
      return second;
    };
  }

  /** @returns whether the header holds a challenge that can be answered */
  learn(header: string | null): boolean {
    const challenge = strongest(challengesIn(header ?? ""), this.#cnonce);
    if (challenge === undefined) return false;
    // The same nonce again goes on being counted: a count that was used is a replay.
    if (challenge.nonce !== this.#current?.challenge.nonce) this.#current = { challenge, count: 0 };
    return true;
  }

  /** The header `Authorization` for the next request; undefined before the first challenge. */
  authorization(method: string, url: string): string | undefined {
    if (this.#current === undefined) return undefined;
    const { challenge } = this.#current;
    const { realm, nonce, opaque, algorithm, counted, cnonce, session } = challenge;
    const { username, password } = this.#user;
    const { pathname, search } = new URL(url);
    const uri = pathname + search;
    const nc = (++this.#current.count).toString(16).padStart(8, "0");
    const hash = (text: string): string => createHash(challenge.hash).update(text).digest("hex");
    const secret = hash(`${username}:${realm}:${password}`);
    const a1 = session ? hash(`${secret}:${nonce}:${cnonce}`) : secret;
    const response = hash([a1, nonce, ...(counted ? [nc, cnonce, "auth"] : []), hash(`${method}:${uri}`)].join(":"));
    return `Digest ${[
      userField(username),
      `realm=${quoted(realm)}`,
      `uri=${quoted(uri)}`,
      ...(algorithm === undefined ? [] : [`algorithm=${algorithm}`]),
      `nonce=${quoted(nonce)}`,
      ...(counted ? [`nc=${nc}`, "qop=auth"] : []),
      ...(counted || session ? [`cnonce=${quoted(cnonce)}`] : []),
      `response="${response}"`,
      ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
    ].join(", ")}`;
  }

  #with(init: BunFetchRequestInit, url: string): BunFetchRequestInit {
    const authorization = this.authorization(init.method ?? "GET", url);
    if (authorization === undefined) return init;
    const headers = new Headers(init.headers);
    headers.set("authorization", authorization);
    return { ...init, headers };
  }
}

/** The parameters of each Digest challenge. */
function challengesIn(header: string): ReadonlyMap<string, string>[] {
  const found: Map<string, string>[] = [];
  let current: Map<string, string> | undefined;
  for (const [, name = "", text, token] of header.matchAll(PART)) {
    if (text === undefined && token === undefined) {
      current = name.toLowerCase() === "digest" ? new Map() : undefined;
      if (current !== undefined) found.push(current);
    } else current?.set(name.toLowerCase(), text?.replaceAll(/\\(.)/g, "$1") ?? token ?? "");
  }
  return found;
}

function strongest(challenges: readonly ReadonlyMap<string, string>[], cnonce: () => string): Challenge | undefined {
  for (const [name, hash] of HASHES) {
    for (const given of challenges) {
      const [realm, nonce, algorithm] = [given.get("realm"), given.get("nonce"), given.get("algorithm")];
      const wanted = (algorithm ?? "md5").toLowerCase();
      const qop = given
        .get("qop")
        ?.toLowerCase()
        .split(/[\s,]+/);
      const fits = wanted === name || wanted === `${name}-sess`;
      if (!fits || realm === undefined || nonce === undefined || qop?.includes("auth") === false) continue;
      const [session, counted] = [wanted !== name, qop !== undefined];
      return { realm, nonce, opaque: given.get("opaque"), algorithm, hash, session, counted, cnonce: cnonce() };
    }
  }
  return undefined;
}

/** A name that fits into no quoted string is written after RFC 8187 (RFC 7616 section 3.4). */
function userField(name: string): string {
  if (/^[\x20-\x7e]*$/.test(name)) return `username=${quoted(name)}`;
  const escaped = encodeURIComponent(name).replaceAll(/['()*]/g, (one) => `%${one.charCodeAt(0).toString(16)}`);
  return `username*=UTF-8''${escaped}`;
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}
