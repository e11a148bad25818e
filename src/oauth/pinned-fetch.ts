import { lookup } from "node:dns/promises";
import { request } from "node:https";
import type { LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { isPublicAddress } from "./special-addresses.ts";

const DEADLINE_MS = 5_000;
const MAX_BYTES = 64 * 1_024;

export interface Fetched {
  readonly body: string;
  /** Lower case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/**
 * Gets a small JSON document from an https URL that a stranger named. The name is resolved once, every address must be
 * public, and the connection goes to a checked one: a name that resolves differently the second time (DNS rebinding)
 * reaches nothing. No redirects.
 * @param allowPrivate addresses of private networks are fine too
 * @throws Error that says why, in words for the person at the login page
 */
export async function pinnedFetch(url: URL, allowPrivate: boolean): Promise<Fetched> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const found = ipaddr.isValid(host) ? [{ address: host }] : await within(deadline, lookup(host, { all: true }));
  const addresses = found.map(({ address }) => address);
  const [first] = addresses;
  if (first === undefined) throw new Error("its host name has no address");
  if (!allowPrivate && !addresses.every(isPublicAddress)) throw new Error("its address is not on the public internet");
  const pinned: LookupFunction = (_name, options, done) => {
    const family = ipaddr.process(first).kind() === "ipv4" ? 4 : 6;
    if (options.all === true) done(null, [{ address: first, family }]);
    else done(null, first, family);
  };
  return await new Promise<Fetched>((resolve, reject) => {
    const outgoing = request(
      url,
      {
        lookup: pinned,
        signal: deadline,
        agent: false,
        headers: { Accept: "application/json", "User-Agent": "mcp-proxy" },
      },
      (response) => {
        const fail = (why: string): void => {
          reject(new Error(why));
          outgoing.destroy();
        };
        if (response.statusCode !== 200) return fail(`it answered with status ${response.statusCode}`);
        const type = response.headers["content-type"] ?? "";
        if (!/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type)) return fail("it is not JSON");
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_BYTES) return fail(`it is larger than ${MAX_BYTES / 1_024} KB`);
          chunks.push(chunk);
        });
        response.on("end", () =>
          resolve({ body: Buffer.concat(chunks).toString("utf8"), headers: flat(response.headers) }),
        );
        response.on("error", () => fail("the connection broke"));
      },
    );
    outgoing.on("error", (error: NodeJS.ErrnoException) =>
      reject(
        new Error(
          deadline.aborted
            ? "it did not answer in time"
            : `it cannot be reached (${error.code ?? "connection failed"})`,
        ),
      ),
    );
    outgoing.end();
  });
}

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value]),
  );
}

async function within<T>(deadline: AbortSignal, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const abort = (): void => late.reject(new Error("its host name could not be resolved in time"));
  deadline.addEventListener("abort", abort);
  try {
    return await Promise.race([
      promise.catch(() => Promise.reject(new Error("its host name cannot be resolved"))),
      late.promise,
    ]);
  } finally {
    deadline.removeEventListener("abort", abort);
  }
}
