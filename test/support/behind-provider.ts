import type { Certificate } from "./certificate.ts";
import { startProxy } from "./proxy.ts";
import type { ProxyOptions, RunningProxy } from "./proxy.ts";

/** What the proxy is called at its identity provider. */
export const CLIENT_ID = "proxy";
export const CLIENT_SECRET = "the-secret-of-the-proxy-at-its-provider";

export interface Behind {
  readonly issuer: string;
  /** Of the provider; absent: nothing is trusted but what everybody trusts. */
  readonly certificate?: Certificate | undefined;
}

/**
 * Starts a proxy whose people log in at an identity provider. What it keeps is below its directory.
 * @param mcpProxy beside that; `identityProvider` is added to what has to be there
 */
export function startBehind(
  { issuer, certificate }: Behind,
  servers: Record<string, unknown>,
  { identityProvider = {}, ...mcpProxy }: Record<string, unknown> & { readonly identityProvider?: object } = {},
  options: Omit<ProxyOptions, "mcpProxy"> = {},
): Promise<RunningProxy> {
  return startProxy(servers, {
    ...(certificate === undefined ? {} : { env: { NODE_EXTRA_CA_CERTS: certificate.file } }),
    ...options,
    mcpProxy: {
      identityProvider: { issuer, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, ...identityProvider },
      options: { oauth2: { persistenceDir: "state", registrationsPerMinute: 0 } },
      ...mcpProxy,
    },
  });
}
