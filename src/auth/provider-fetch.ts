/** Largest answer of a provider that is read. Discovery documents and key sets have a few KB. */
const MAX_BYTES = 256 * 1_024;

/** How long one request to a provider may take, in milliseconds, its body included. */
export const PROVIDER_DEADLINE_MS = 5_000;

/** Why a provider cannot be used at this moment, in words for the log: never with what it sent. */
export class ProviderTrouble extends Error {
  /** It does not answer, so that trying again later makes sense. */
  readonly down: boolean;

  constructor(message: string, down: boolean) {
    super(message);
    this.down = down;
  }
}

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Whether tokens and secrets may travel to this URL: https, or a provider that is tried out on this machine. */
export function isSafeEndpoint(url: URL, issuer: URL): boolean {
  if (url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && isLoopbackHttp(issuer) && isLoopbackHttp(url);
}

export function isLoopbackHttp(url: URL): boolean {
  return url.protocol === "http:" && LOOPBACK.has(url.hostname);
}

/**
 * `fetch` towards a provider: to safe URLs only, whatever its discovery document names, without redirects, within a
 * time and a size. The answer's body has arrived when it resolves.
 * @throws ProviderTrouble
 */
export function providerFetch(issuer: URL): (url: string | URL, init?: RequestInit) => Promise<Response> {
  return async (address, init = {}) => {
    const url = new URL(address);
    if (!isSafeEndpoint(url, issuer))
      throw new ProviderTrouble(`it names an address without https, which is not used: ${url.origin}`, false);
    const signals = [AbortSignal.timeout(PROVIDER_DEADLINE_MS), ...(init.signal ? [init.signal] : [])];
    try {
      const response = await fetch(url, { ...init, redirect: "manual", signal: AbortSignal.any(signals) });
      const body = await readBounded(response);
      const empty = response.status === 204 || response.status === 304 || body.length === 0;
      return new Response(empty ? null : body, { status: response.status, headers: response.headers });
    } catch (error) {
      if (error instanceof ProviderTrouble) throw error;
      throw new ProviderTrouble(`${url.origin} ${reasonOf(error)}`, true);
    }
  };
}

async function readBounded(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const body: ReadableStream<Uint8Array> | null = response.body;
  if (body === null) return new Uint8Array(0);
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new ProviderTrouble(`its answer is larger than ${MAX_BYTES / 1_024} KB`, false);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function reasonOf(error: unknown): string {
  const { name, code, message } = error as { name?: unknown; code?: unknown; message?: unknown };
  if (name === "TimeoutError" || name === "AbortError") return "did not answer in time";
  const certificate = /certificate|CERT_|SELF_SIGNED|ALTNAME/i.test(`${String(code)} ${String(message)}`);
  if (certificate)
    return `has a certificate nobody here trusts (${String(code ?? message)}): name its authority in NODE_EXTRA_CA_CERTS`;
  return `cannot be reached (${typeof code === "string" ? code : "the connection failed"})`;
}
