import { expect, test } from "bun:test";
import {
  Client as Client2,
  StreamableHTTPClientTransport as Transport2,
  UnauthorizedError as Unauthorized2,
} from "@modelcontextprotocol/client";
import { auth } from "@modelcontextprotocol/sdk/client/auth.js";
import type { OAuthClientProvider } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens,
} from "@modelcontextprotocol/sdk/shared/auth.js";
import { CALLBACK, destination, failure, openPage, startLogin, submit } from "./login.ts";

/** An app's side of the login, with a person who fills in the form as soon as a page is opened. */
class FormFiller implements OAuthClientProvider {
  readonly #proxy: string;
  information: OAuthClientInformationMixed | undefined;
  kept: OAuthTokens | undefined;
  answer: URL | undefined;
  #verifier = "";

  constructor(proxy: string) {
    this.#proxy = proxy;
  }

  get redirectUrl(): string {
    return CALLBACK;
  }

  get clientMetadata(): OAuthClientMetadata {
    return {
      client_name: "SDK",
      redirect_uris: [CALLBACK],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
    };
  }

  state(): string {
    return "state of the app";
  }

  clientInformation(): OAuthClientInformationMixed | undefined {
    return this.information;
  }

  saveClientInformation(information: OAuthClientInformationMixed): void {
    this.information = information;
  }

  tokens(): OAuthTokens | undefined {
    return this.kept;
  }

  saveTokens(tokens: OAuthTokens): void {
    this.kept = tokens;
  }

  async redirectToAuthorization(url: URL): Promise<void> {
    const page = await openPage(url.href);
    this.answer = await destination(await submit(this.#proxy, page));
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  codeVerifier(): string {
    return this.#verifier;
  }
}

test("the TypeScript SDK of the first generation logs in with the URL alone, calls a tool, and refreshes", async () => {
  await using proxy = await startLogin();
  const provider = new FormFiller(proxy.url);
  const url = new URL(`${proxy.url}/a/mcp`);
  const first = new StreamableHTTPClientTransport(url, { authProvider: provider });
  expect(await failure(new Client({ name: "t", version: "1" }).connect(first))).toContain("Unauthorized");
  expect(provider.answer?.searchParams.get("state")).toBe("state of the app");
  await first.finishAuth(provider.answer?.searchParams.get("code") ?? "");
  const client = new Client({ name: "t", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(url, { authProvider: provider }));
  expect(await client.callTool({ name: "echo", arguments: { text: "through the login" } })).toMatchObject({
    content: [{ text: "through the login" }],
  });
  const before = provider.kept?.access_token;
  expect(await auth(provider, { serverUrl: url })).toBe("AUTHORIZED");
  expect(provider.kept?.access_token).not.toBe(before);
  await client.callTool({ name: "echo", arguments: { text: "again" } });
  await client.close();
});

test("the TypeScript SDK of the second generation logs in with the URL alone", async () => {
  await using proxy = await startLogin();
  const provider = new FormFiller(proxy.url);
  const url = new URL(`${proxy.url}/a/mcp`);
  const first = new Transport2(url, { authProvider: provider as never });
  const refused = await new Client2({ name: "t", version: "2" }).connect(first).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(Unauthorized2);
  const answer = provider.answer?.searchParams ?? new URLSearchParams();
  await first.finishAuth(answer);
  const client = new Client2({ name: "t", version: "2" });
  await client.connect(new Transport2(url, { authProvider: provider as never }));
  expect(await client.callTool({ name: "echo", arguments: { text: "second" } })).toMatchObject({
    content: [{ text: "second" }],
  });
  await client.close();
});

test("the bare URL of the proxy is enough to begin a login", async () => {
  await using proxy = await startLogin();
  const provider = new FormFiller(proxy.url);
  expect(await auth(provider, { serverUrl: proxy.url })).toBe("REDIRECT");
  const code = provider.answer?.searchParams.get("code") ?? "";
  expect(await auth(provider, { serverUrl: proxy.url, authorizationCode: code })).toBe("AUTHORIZED");
});
