import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { LoadContext } from "./context.ts";

/** A configuration is written by hand; what is larger is not one. */
export const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
export const DEFAULT_FETCH_TIMEOUT_MS = 10_000;
const MAX_REDIRECTS = 5;

export type ReadResult =
  | { readonly text: string }
  | { readonly message: string; readonly hint?: string; readonly missing?: boolean };

export function isUrl(location: string): boolean {
  return /^https?:\/\//i.test(location);
}

/** A location for people: a URL without user, password and query, where credentials stand. */
export function showLocation(location: string): string {
  if (!isUrl(location)) return location;
  const url = URL.parse(location);
  return url === null ? "the configuration's URL" : `${url.origin}${url.pathname}`;
}

export function readSource(location: string, context: LoadContext): Promise<ReadResult> {
  return isUrl(location) ? readUrl(location, context) : readPath(resolve(context.cwd, location));
}

async function readPath(path: string): Promise<ReadResult> {
  try {
    const facts = await stat(path);
    if (facts.isDirectory()) return { message: "this is a directory", hint: "name the file in it" };
    if (facts.size > MAX_CONFIG_BYTES) return tooLarge();
    return { text: await readFile(path, "utf8") };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT")
      return {
        message: "the file does not exist",
        hint: "check the path, or name another one with --config",
        missing: true,
      };
    if (code === "EACCES") return { message: "the file may not be read by this user", hint: "check its permissions" };
    return { message: `the file cannot be read (${code ?? "unknown reason"})` };
  }
}

async function readUrl(location: string, context: LoadContext): Promise<ReadResult> {
  const { overrides } = context;
  const timeoutMs = overrides.httpTimeoutMs ?? DEFAULT_FETCH_TIMEOUT_MS;
  const signal = AbortSignal.timeout(timeoutMs);
  const first = URL.parse(location);
  if (first === null) return { message: "this is not a valid URL", hint: "give a path or an http(s) URL" };
  try {
    let url = first;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      // A redirect to another host must not carry the operator's credentials there.
      const sameOrigin = url.origin === first.origin;
      const response = await context.fetch(withoutCredentials(url), {
        signal,
        redirect: "manual",
        headers: sameOrigin ? requestHeaders(first, overrides.httpHeaders ?? []) : {},
        ...(overrides.insecure === true ? { tls: { rejectUnauthorized: false } } : {}),
      });
      const next = response.status >= 300 && response.status < 400 ? response.headers.get("location") : null;
      if (next !== null) {
        await response.body?.cancel();
        const target = URL.parse(next, withoutCredentials(url).href);
        if (
          target === null ||
          !/^https?:$/.test(target.protocol) ||
          (url.protocol === "https:" && target.protocol === "http:")
        ) {
          return {
            message: "the URL redirects to a place that is not safe to follow",
            hint: "name the final https URL",
          };
        }
        url = target;
        continue;
      }
      if (!response.ok) {
        await response.body?.cancel();
        return { message: `the URL answered ${response.status}`, hint: statusHint(response.status) };
      }
      return await readBody(response);
    }
    return { message: `the URL redirects more than ${MAX_REDIRECTS} times` };
  } catch (error) {
    return failure(error, signal, timeoutMs);
  }
}

/** `fetch` refuses a URL with user and password; they are meant as basic authentication. */
function requestHeaders(url: URL, given: readonly (readonly [string, string])[]): Headers {
  const headers = new Headers();
  if (url.username !== "") {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers.set("Authorization", `Basic ${Buffer.from(credentials).toString("base64")}`);
  }
  for (const [name, value] of given) headers.set(name, value);
  return headers;
}

function withoutCredentials(url: URL): URL {
  const bare = new URL(url);
  bare.username = "";
  bare.password = "";
  return bare;
}

async function readBody(response: Response): Promise<ReadResult> {
  if (Number(response.headers.get("content-length") ?? 0) > MAX_CONFIG_BYTES) {
    await response.body?.cancel();
    return tooLarge();
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_CONFIG_BYTES) return tooLarge();
    chunks.push(chunk);
  }
  return { text: Buffer.concat(chunks).toString("utf8") };
}

function tooLarge(): ReadResult {
  return { message: `the configuration is larger than ${MAX_CONFIG_BYTES} bytes`, hint: "is this the right file?" };
}

function statusHint(status: number): string {
  if (status === 401 || status === 403) return "give credentials with --http-headers";
  return status === 404 ? "check the address" : "try the same URL with curl";
}

function failure(error: unknown, signal: AbortSignal, timeoutMs: number): ReadResult {
  if (signal.aborted) {
    return {
      message: `the URL did not answer within ${timeoutMs / 1000} s`,
      hint: "a longer time: --http-timeout SECONDS",
    };
  }
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (/CERT|SELF_SIGNED|SSL|TLS|ISSUER/.test(code)) {
    return {
      message: `the certificate of the URL is not trusted (${code})`,
      hint: "--insecure accepts it, for this URL only",
    };
  }
  return {
    message: `the URL cannot be reached (${code || "unknown reason"})`,
    hint: "check the address and the network",
  };
}
