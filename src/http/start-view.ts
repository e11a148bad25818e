import type { Config } from "../config/config.ts";
import type { Consent } from "../oauth/consents.ts";
import { allowsTool } from "../policy/tool-filter.ts";
import { toolFacts } from "../upstream/tool-facts.ts";
import type { ToolFacts } from "../upstream/tool-facts.ts";
import type { UpstreamStatus } from "../upstream/upstream.ts";
import type { Viewer } from "./health.ts";
import { plainName } from "./mcp-clients.ts";
import type { ClientTarget } from "./mcp-clients.ts";
import type { PathTable } from "./paths.ts";
import type { Room } from "./rooms.ts";

/** One tool as the page shows it. */
export interface ToolView extends ToolFacts {
  readonly name: string;
}

/** How a server is, in words. */
export interface StateView {
  readonly kind: "ready" | "starting" | "failed";
  readonly text: string;
}

/** One URL with what a viewer may know about it. */
export interface EndpointView {
  readonly id: string;
  readonly kind: "everything" | "group" | "server";
  readonly title: string;
  readonly target: ClientTarget;
  /** What belongs to whoever may use it; undefined for strangers, who see the URL alone. */
  readonly inside:
    | {
        readonly state: StateView;
        readonly tools: readonly ToolView[];
        /** How many the configuration's filter leaves out. */
        readonly leftOut: number;
      }
    | undefined;
}

/** Everything the start page shows to one viewer: what makes the page also makes its JSON. */
export interface StartView {
  readonly name: string;
  readonly version: string;
  readonly host: string;
  /** Path that stands before every link of the page. */
  readonly base: string;
  readonly user: string | undefined;
  readonly known: boolean;
  readonly canLogIn: boolean;
  readonly endpoints: readonly EndpointView[];
  /** The endpoint whose instructions are shown. */
  readonly chosen: EndpointView | undefined;
  readonly consents: readonly (Omit<Consent, "audiences"> & { readonly reaches: string })[];
  readonly csrf: string;
  readonly now: number;
}

export interface EndpointsDeps {
  readonly config: Config;
  readonly rooms: ReadonlyMap<string, Room>;
  readonly paths: PathTable;
  readonly now: () => number;
}

/**
 * The endpoints a viewer may know of, everything first. A server whose name holds a secret is never among them: its URL
 * is its credential.
 * @param base public URL of the proxy, as this viewer reaches it
 */
export function endpointsFor(viewer: Viewer, base: string, deps: EndpointsDeps): EndpointView[] {
  const { config, rooms, paths } = deps;
  const shown = namesFor(viewer, deps);
  const inside = new Set(viewer.known ? viewer.servers : []);
  const servers: EndpointView[] = [];
  for (const name of shown) {
    const room = rooms.get(name);
    if (room === undefined || room.endpoint.config.displayName !== name) continue;
    const target = { name: plainName(name), url: base + urlPath(`/${name}`, config), access: accessOf([room]) };
    const state = inside.has(name) ? insideOf(room, viewer, deps.now()) : undefined;
    servers.push({ id: name, kind: "server", title: name, target, inside: state });
  }
  const wholes: EndpointView[] = [];
  const end = config.serves.streamableHttp ? "/mcp" : "/sse";
  if (paths.find(config.pathPrefix + end) !== undefined) {
    const mine = [...rooms.values()];
    const taken = servers.some(({ target }) => target.name === "everything");
    const target = { name: taken ? "all" : "everything", url: base + end, access: accessOf(mine) };
    const { defaultServer } = config;
    const only = defaultServer === undefined ? undefined : rooms.get(defaultServer);
    const alone = only !== undefined && viewer.servers.includes(only.endpoint.name) && viewer.known;
    wholes.push({
      id: "",
      kind: "everything",
      title: only === undefined ? "Everything" : only.endpoint.config.displayName,
      target,
      inside: only === undefined ? sumOf(servers) : alone ? insideOf(only, viewer, deps.now()) : undefined,
    });
  }
  for (const group of config.groups.values()) {
    if (!viewer.known || paths.find(`${config.pathPrefix}/${group.name}${end}`) === undefined) continue;
    const members = group.servers.flatMap((name) => rooms.get(name) ?? []);
    const mine = servers.filter(({ id }) => group.servers.includes(id));
    if (mine.length === 0) continue;
    const target = {
      name: plainName(group.name),
      url: base + urlPath(`/${group.name}`, config),
      access: accessOf(members),
    };
    wholes.push({ id: group.name, kind: "group", title: group.name, target, inside: sumOf(mine) });
  }
  return [...wholes, ...servers];
}

/** Names are for those who may use a server; strangers get them only where the operator says so. */
function namesFor(viewer: Viewer, { config, rooms }: EndpointsDeps): readonly string[] {
  const all = [...rooms.keys()].filter((name) => name !== config.defaultServer);
  if (config.startPage === "public" || (viewer.direct && viewer.user === undefined)) return all;
  if (!viewer.known) return [];
  const mine = new Set(viewer.servers);
  return all.filter((name) => mine.has(name));
}

function urlPath(path: string, config: Config): string {
  return encodeURI(path) + (config.serves.streamableHttp ? "/mcp" : "/sse");
}

/** What a caller needs where these are served together. */
export function accessOf(rooms: readonly Room[]): ClientTarget["access"] {
  if (rooms.some(({ gate }) => gate.login)) return "login";
  return rooms.some(({ gate }) => !gate.open) ? "token" : "open";
}

function insideOf({ endpoint }: Room, viewer: Viewer, now: number): NonNullable<EndpointView["inside"]> {
  const { status } = endpoint.switchboard.upstream;
  const filter = endpoint.config.toolFilter;
  // A tool that is not for this viewer does not exist for him; one the filter leaves out is only counted.
  const all = [...(status.catalogue?.tools ?? [])].filter((name) => viewer.tool(endpoint.name, name));
  const kept = filter === undefined ? all : all.filter((name) => allowsTool(filter, name));
  const tools = kept.map((name) => ({ name, ...toolFacts(status.catalogue?.lists.tools.get(name) ?? "{}") }));
  const state = stateOf(status, now);
  const counted =
    kept.length === all.length ? count(all.length, "tool") : `${kept.length} of ${count(all.length, "tool")}`;
  const text = all.length === 0 ? state.text : `${state.text} · ${counted}`;
  return { state: { ...state, text }, tools, leftOut: all.length - kept.length };
}

/** Several servers at one URL. */
function sumOf(servers: readonly EndpointView[]): EndpointView["inside"] {
  const known = servers.flatMap(({ inside }) => inside ?? []);
  if (known.length === 0) return undefined;
  const tools = known.reduce((sum, { tools: more }) => sum + more.length, 0);
  const failed = known.filter(({ state }) => state.kind === "failed").length;
  const text = `${count(known.length, "server")}, ${count(tools, "tool")}${failed === 0 ? "" : `, ${failed} failed`}`;
  return { state: { kind: failed === known.length ? "failed" : "ready", text }, tools: [], leftOut: 0 };
}

function stateOf(status: UpstreamStatus, now: number): StateView {
  switch (status.state) {
    case "ready":
      return { kind: "ready", text: "ready" };
    case "failed": {
      const again = status.retryAt === undefined ? "" : ` (next try in ${seconds(status.retryAt - now)})`;
      return { kind: "failed", text: `failed: ${status.fault?.message ?? "it could not be started"}${again}` };
    }
    case "stopped":
      return { kind: "failed", text: "stopped" };
    case "idle":
      // Ended to save memory, and started when somebody comes.
      return status.catalogue === undefined
        ? { kind: "starting", text: "starting" }
        : { kind: "ready", text: "ready when needed" };
    case "connecting":
      return status.fault === undefined
        ? { kind: "starting", text: "starting (a first start may download it)" }
        : { kind: "failed", text: `failed: ${status.fault.message} (trying again now)` };
    default:
      return status.state satisfies never;
  }
}

function seconds(ms: number): string {
  return `${Math.max(1, Math.round(ms / 1_000))} s`;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** The page's content for programs. */
export function startJson(view: StartView): object {
  return {
    service: "mcp-proxy",
    version: view.version,
    name: view.name,
    ...(view.user === undefined ? {} : { user: view.user }),
    endpoints: view.endpoints.map(({ id, kind, title, target, inside }) => ({
      id,
      kind,
      name: title,
      url: target.url,
      access: target.access,
      ...(inside === undefined ? {} : { state: inside.state.kind, status: inside.state.text }),
      ...(inside === undefined || kind !== "server" ? {} : { tools: inside.tools.map(({ name }) => name) }),
    })),
    ...(view.endpoints.length > 0 ? {} : { hint: "MCP endpoints are at /<name>/mcp" }),
  };
}
