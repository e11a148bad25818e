import { parseBoolean } from "./arguments.ts";
import type { Arguments } from "./arguments.ts";
import { readChoice } from "./choice.ts";
import { UsageError } from "./usage-error.ts";

/** The remote server of the bridge. */
export interface Remote {
  readonly url: string;
  /** Undefined: found out from the URL and the server's answers. */
  readonly transport: "sse" | "http" | undefined;
  readonly headers: readonly (readonly [string, string])[];
  readonly verify: VerifyTls;
  readonly credentials:
    | { readonly clientId: string; readonly clientSecret: string; readonly tokenUrl: string }
    | undefined;
  /** Username and password are for Digest access authentication (RFC 7616), not for Basic. */
  readonly digest: boolean;
  readonly user: { readonly username: string; readonly password: string } | undefined;
}

/** Check certificates, do not, or trust those of a PEM file. */
export type VerifyTls =
  | { readonly kind: "on" }
  | { readonly kind: "off" }
  | { readonly kind: "bundle"; readonly path: string };

/**
 * What the bridge connects to.
 * @throws UsageError
 */
export function readRemote(url: string, given: Arguments): Remote {
  const transport = readChoice(
    given,
    "transport",
    { sse: "sse", streamablehttp: "http", "streamable-http": "http", streamableHttp: "http", http: "http" } as const,
    "sse, streamablehttp",
  );
  const [clientId, clientSecret, tokenUrl] = ["client-id", "client-secret", "token-url"].map((name) =>
    given.text(name),
  );
  const all = clientId !== undefined && clientSecret !== undefined && tokenUrl !== undefined;
  if (!all && (clientId ?? clientSecret ?? tokenUrl) !== undefined) {
    throw new UsageError("--client-id, --client-secret and --token-url belong together", "give all three or none");
  }
  const [username, password] = [given.text("username"), given.text("password")];
  const digest = given.switch("digest") ?? false;
  const user = username === undefined || password === undefined ? undefined : { username, password };
  if (digest && user === undefined)
    throw new UsageError("--digest needs --username and --password", "--digest --username NAME --password TEXT", 1);
  if (user === undefined && (username ?? password) !== undefined)
    throw new UsageError("--username and --password belong together", "give both or none", 1);
  if (digest && all)
    throw new UsageError("--digest and --client-id exclude each other", "give the one that the server asks for");
  return {
    url,
    transport,
    headers: given.pairs("headers"),
    verify: readVerify(given.text("verify-ssl")),
    credentials: all ? { clientId, clientSecret, tokenUrl } : undefined,
    digest,
    user,
  };
}

function readVerify(value: string | undefined): VerifyTls {
  if (value === undefined || value === "") return { kind: "on" };
  const word = parseBoolean(value);
  if (word === undefined) return { kind: "bundle", path: value };
  return { kind: word ? "on" : "off" };
}
