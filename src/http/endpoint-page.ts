import type { HeaderSource } from "../relay/ends.ts";
import type { Config } from "../config/config.ts";
import type { PublicUrls } from "../oauth/public-urls.ts";
import { plainName } from "./mcp-clients.ts";
import type { ClientTarget } from "./mcp-clients.ts";
import { ownPageHeaders } from "./page-html.ts";
import { pathOf } from "./paths.ts";
import type { PathTable } from "./paths.ts";
import type { Room } from "./rooms.ts";
import { accessOf } from "./start-view.ts";

export interface ExplainDeps {
  readonly config: Config;
  readonly rooms: ReadonlyMap<string, Room>;
  readonly paths: PathTable;
  readonly urls: PublicUrls;
}

/** What a browser asked for. */
export interface Asked {
  readonly url: string;
  readonly headers: HeaderSource;
}

/** How it was refused. */
export interface Refused {
  readonly status: number;
  readonly headers: HeaderSource;
  text(): Promise<string>;
}

export type Explainer = (request: Asked, answer: Refused) => Promise<Response>;

/** Where what an error says helps a person: why a server is away, which host is not allowed. */
const WITH_REASON = new Set([403, 503]);

/**
 * Makes what a browser is shown in the place of an error of an endpoint: the same status and headers, and a page that
 * says what the address is for. The address is the one that was typed, so the page tells nothing new.
 */
export function endpointExplainer(deps: ExplainDeps): Explainer {
  const { config, urls } = deps;
  return async (request, answer) => {
    const { endpointHtml } = await import("./small-pages.ts");
    const { status } = answer;
    const page = await endpointHtml({
      name: config.name,
      base: urls.basePath,
      status,
      // A host that is not allowed may be a page that has rebound its name to us: it is told nothing.
      target: status === 403 ? undefined : targetAt(request, deps),
      reason: WITH_REASON.has(status) ? reasonOf(await answer.text()) : undefined,
    });
    const headers = ownPageHeaders();
    for (const name of ["WWW-Authenticate", "Retry-After", "Allow"]) {
      const value = answer.headers.get(name);
      if (value !== null) headers.set(name, value);
    }
    return new Response(String(page), { status, headers });
  };
}

function targetAt(request: Asked, { config, rooms, paths, urls }: ExplainDeps): ClientTarget | undefined {
  const path = pathOf(request.url);
  const local = paths.local(path);
  const found = paths.find(path);
  if (local === undefined || found === undefined) return undefined;
  const room = rooms.get(found.server);
  const access = accessOf(room === undefined ? [...rooms.values()] : [room]);
  const shown = room?.endpoint.config.displayName ?? local.replace(/^\/(servers\/)?|\/?(mcp|sse)$/g, "");
  const name = shown === "" || found.server === config.defaultServer ? "everything" : plainName(shown);
  // The form with /mcp is the one every client takes.
  const whole = /\/(mcp|sse)$/.test(local) ? local : `${local}/${config.serves.streamableHttp ? "mcp" : "sse"}`;
  return { name, url: urls.seenAs(request.headers.get("host")) + encodeURI(whole), access };
}

/** The message of an error as endpoints give it. */
function reasonOf(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown } };
    return typeof error?.message === "string" ? error.message : undefined;
  } catch {
    return undefined;
  }
}
