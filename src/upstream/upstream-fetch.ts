import type { HttpTarget, StdioTarget } from "../config/config.ts";
import type { Clock } from "../telemetry/clock.ts";
import { AccessTokens } from "./access-tokens.ts";
import { DigestAuth } from "./digest-auth.ts";
import type { Fetch } from "./http-link.ts";

/** `fetch` for one server, all its connections: with its certificates, and with what the proxy authenticates itself by. */
export function upstreamFetch(target: HttpTarget | StdioTarget, clock: Clock): Fetch {
  if (target.kind === "stdio") return fetch;
  const { ca, digest, oauth, verifyTls } = target;
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(verifyTls ? {} : { rejectUnauthorized: false }),
  };
  const plain: Fetch = Object.keys(tls).length === 0 ? fetch : (url, init) => fetch(url, { ...init, tls });
  if (digest !== undefined) return new DigestAuth(digest).over(plain);
  if (oauth === undefined) return plain;
  const tokens = new AccessTokens(oauth, plain, clock);
  return async (url, init) => {
    const token = await tokens.current();
    const response = await plain(url, withToken(init, token));
    if (response.status !== 401) return response;
    // Revoked early, or the server's clock is another one: one more try, with a fresh token.
    const fresh = await tokens.instead(token);
    response.body?.cancel().catch(() => undefined);
    return await plain(url, withToken(init, fresh));
  };
}

function withToken(init: BunFetchRequestInit, token: string): BunFetchRequestInit {
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${token}`);
  return { ...init, headers };
}
