import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startProxy } from "../support/proxy.ts";
import type { ProxyOptions, RunningProxy } from "../support/proxy.ts";
import { authorizeUrl, client, destination, openPage, pkce, redeem, submit } from "../oauth/login.ts";

/** An entry of `mcpServers` for the fixture server that has something of every kind. */
export function office(word: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { command: process.execPath, args: [join(import.meta.dir, "../fixtures/office.ts"), word], ...more };
}

/** Replaces a file as careful programs do: whole, by renaming. */
export function replaceFile(path: string, content: unknown): void {
  writeFileSync(`${path}.new`, typeof content === "string" ? content : JSON.stringify(content));
  renameSync(`${path}.new`, path);
}

/** What a file of audit lines has. */
export function auditLines(file: string): Record<string, unknown>[] {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

export const bearer = (token: string): Record<string, string> => ({ Authorization: `Bearer ${token}` });

/** Logs a user in with a client of his own; his password is `password of NAME`. @returns the access token */
export async function logInAs(url: string, user: string, resource?: string): Promise<string> {
  const { client_id } = await client(url);
  const { verifier, challenge } = pkce();
  const page = await openPage(
    authorizeUrl(url, { client_id, code_challenge: challenge, ...(resource === undefined ? {} : { resource }) }),
  );
  const answer = await destination(await submit(url, page, { username: user, password: `password of ${user}` }));
  const code = answer.searchParams.get("code");
  if (code === null) throw new Error(`no code: ${answer.href}`);
  const response = await redeem(url, { code, verifier, clientId: client_id });
  return ((await response.json()) as { access_token: string }).access_token;
}

/** A proxy with the servers `desk` and `vault`. */
export function startOffice(options: ProxyOptions = {}, more: Record<string, unknown> = {}): Promise<RunningProxy> {
  return startProxy({ desk: office("desk", more), vault: office("vault", more) }, options);
}
