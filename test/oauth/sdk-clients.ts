import { expect } from "bun:test";
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
import { CALLBACK, failure } from "./login.ts";

/** What a person does with the page of a login. @returns where the browser is sent in the end: to the app */
export type Visit = (page: URL) => Promise<URL>;

/** An app's side of the login, with a person who logs in as soon as a page is opened. */
export class FormFiller implements OAuthClientProvider {
  readonly #visit: Visit;
  information: OAuthClientInformationMixed | undefined;
  kept: OAuthTokens | undefined;
  answer: URL | undefined;
  #verifier = "";

  constructor(visit: Visit) {
    this.#visit = visit;
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
    this.answer = await this.#visit(url);
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  codeVerifier(): string {
    return this.#verifier;
  }
}

/** The first generation of the SDK: logs in with the URL alone, calls `echo`, refreshes. */
export async function useFirstGeneration(url: URL, visit: Visit): Promise<void> {
  const provider = new FormFiller(visit);
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
}

/** The second generation of the SDK: logs in with the URL alone, calls `echo`. */
export async function useSecondGeneration(url: URL, visit: Visit): Promise<void> {
  const provider = new FormFiller(visit);
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
}
