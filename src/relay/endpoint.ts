import { offeredLists } from "../protocol/capabilities.ts";
import type { ServerConfig, ToolFilter } from "../config/config.ts";
import { missingTool } from "../policy/missing.ts";
import { both } from "../policy/rights.ts";
import type { Principal } from "../policy/principal.ts";
import type { ServerRights } from "../policy/rights.ts";
import { allowsTool, filterToolList, filterTools } from "../policy/tool-filter.ts";
import { find, splice } from "../protocol/json.ts";
import { resultText } from "../protocol/errors.ts";
import type { Message } from "../protocol/message.ts";
import type { ListKind } from "../upstream/catalogue.ts";
import { answerEmpty, refuse } from "./answers.ts";
import type { Caller, Client, EventStream, Reply } from "./ends.ts";
import type { Description } from "./line.ts";
import type { Endpoint } from "./served.ts";
import type { Dialogue } from "./dialogue.ts";
import type { Exchange } from "./exchange.ts";
import type { ExchangeHooks } from "./exchange.ts";
import { ModernEndpoint } from "./modern-endpoint.ts";
import { answerNarrowed, introductionFor } from "./narrowed.ts";
import { Oversight } from "./oversight.ts";
import type { OversightDeps, WatchedCall } from "./oversight.ts";
import type { Parking } from "./parking.ts";
import { askOfTasks, isStateless, setLevel, subscribe, unsubscribe } from "./session-requests.ts";
import type { Session } from "./session.ts";
import type { Switchboard } from "./switchboard.ts";

/** Notifications of clients that concern the link between client and proxy, which has one of its own to the server. */
const OWN_TO_THE_LINK = new Set(["notifications/initialized"]);

/** Where a server is served beside its own URL. */
export interface Place {
  /** What the states of its calls are bound to. */
  readonly name: string;
  /** What the audit calls it. */
  readonly displayName: string;
  /** What of the server is there; undefined: all. */
  readonly rights: ServerRights | undefined;
  /** The patterns which say so. */
  readonly tools: readonly string[] | undefined;
}

/** A URL that serves one upstream, or the part of one upstream in a URL that serves several. */
export class ServerEndpoint implements Endpoint {
  readonly config: ServerConfig;
  readonly switchboard: Switchboard;
  readonly #filter: ToolFilter | undefined;
  readonly #place: Place | undefined;
  readonly #oversight: Oversight | undefined;

  /** The same URL for clients of the stateless era. */
  readonly modern: ModernEndpoint;

  /**
   * @param config may be newer than the switchboard's, where the connections need not be made again
   * @param oversight who counts and keeps what is called; absent: nobody
   */
  constructor(
    config: ServerConfig,
    switchboard: Switchboard,
    parking: Parking<Dialogue>,
    oversight?: OversightDeps,
    place?: Place,
  ) {
    this.config = config;
    this.switchboard = switchboard;
    this.#filter = config.toolFilter;
    this.#place = place;
    this.#oversight =
      oversight === undefined
        ? undefined
        : Oversight.of({ endpoint: place?.displayName ?? config.displayName, server: config }, oversight);
    this.modern = new ModernEndpoint({
      name: place?.name ?? config.name,
      switchboard,
      parking,
      clock: switchboard.clock,
      allows: (message, caller) => this.#allows(message, caller, undefined),
      listHooks: (caller) => this.#listHooks(caller),
      rights: (caller) => this.#rights(caller),
      oversight: this.#oversight,
    });
  }

  get name(): string {
    return this.config.name;
  }

  get displayName(): string {
    return this.config.displayName;
  }

  logs(): boolean {
    return this.config.logEnabled;
  }

  ownChild(client: Client): boolean {
    return this.switchboard.givesOwnChild(client);
  }

  explain(error: unknown, caller: Caller): Description {
    return this.switchboard.explain(error, caller);
  }

  refused(status: number): void {
    this.switchboard.meter.refused(status);
  }

  /** The patterns that say which tools of the server are served here; undefined: all. */
  get tools(): readonly string[] | undefined {
    return this.#place?.tools;
  }

  /** Whether a tool of the server is among those served here, to whomever. */
  serves(tool: string): boolean {
    return this.#shows(tool, this.#place?.rights);
  }

  #shows(tool: string, rights: ServerRights | undefined): boolean {
    return (this.#filter === undefined || allowsTool(this.#filter, tool)) && rights?.tool(tool) !== false;
  }

  /** Whether more than single tools is served here: prompts, resources, completion. */
  get whole(): boolean {
    return this.#place?.rights?.whole !== false;
  }

  /** The same for one caller. */
  wholeFor(principal: Principal): boolean {
    return this.#rights({ principal })?.whole !== false;
  }

  /** Whether a caller sees anything of a list of the server, and what changes it for him. */
  listing(kind: ListKind, caller: Caller): ExchangeHooks | "withheld" | undefined {
    const rights = this.#rights(caller);
    if (rights !== undefined && (kind === "tools" ? !rights.any : !rights.whole)) return "withheld";
    return kind === "tools" ? this.#listHooks(caller) : undefined;
  }

  /**
   * The answer to `initialize`: the server's own, with the version that was settled with this client.
   * @throws Fault when the server is not there
   */
  async initialize(message: Message, session: Session, caller: Caller): Promise<string> {
    const { text } = await this.switchboard.introduce(session, caller);
    const version = find(text, 0, "protocolVersion");
    const edit = {
      start: version?.start ?? 0,
      end: version?.end ?? 0,
      text: JSON.stringify(session.client.protocolVersion),
    };
    return resultText(message.id ?? "null", introductionFor(this.#rights(caller), splice(text, [edit])));
  }

  /** @param spelled what the client calls the tool, where that is not its name */
  request(
    message: Message,
    caller: Caller,
    session: Session | undefined,
    reply: Reply,
    spelled?: string,
  ): Exchange | undefined {
    const watched = this.#oversight?.admit(message, caller, reply);
    if (watched === "refused") {
      this.switchboard.meter.limited++;
      return undefined;
    }
    const rights = this.#rights(caller);
    if (rights?.whole === false) {
      const answer = answerNarrowed(message, rights, false);
      if (answer !== undefined) {
        if (answer.denied) this.switchboard.meter.denied++;
        reply.finish(answer.text, answer.status);
        return undefined;
      }
    }
    switch (message.method) {
      case "tools/call":
        return this.#call(message, caller, session, reply, watched, spelled);
      case "tools/list":
        return this.#relay(message, caller, session, reply, this.#listHooks(caller));
      case "ping":
        return isStateless(this.switchboard)
          ? answerEmpty(message, reply)
          : this.#relay(message, caller, session, reply);
      case "logging/setLevel":
        return setLevel(this.switchboard, { message, caller, session, reply });
      case "resources/subscribe":
        return subscribe(this.switchboard, { message, caller, session, reply });
      case "resources/unsubscribe":
        return unsubscribe(this.switchboard, { message, caller, session, reply });
      default:
        if (message.method?.startsWith("tasks/") === true)
          return askOfTasks(this.switchboard, { message, caller, session, reply }, rights);
        return this.#relay(message, caller, session, reply);
    }
  }

  notification(message: Message, caller: Caller, session: Session | undefined): void {
    const { method } = message;
    if (method === undefined || OWN_TO_THE_LINK.has(method)) return;
    // A call without an id is run by servers that only look at the method: it would be past every check.
    const rights = this.#rights(caller);
    if ((this.#filter !== undefined || rights !== undefined) && !method.startsWith("notifications/")) return;
    if (method === "notifications/cancelled") {
      const span = message.param("requestId");
      return span === undefined
        ? undefined
        : session?.exchange(message.slice(span))?.cancel(message.stringParam("reason"));
    }
    if (method === "notifications/progress") return session?.progress(message);
    if (session === undefined || isStateless(this.switchboard) || rights?.any === false) return;
    // Words of a protocol of the server's own; who may use a tool or two of it has no part in that.
    if (rights?.whole === false && method !== "notifications/roots/list_changed") return;
    if (method === "notifications/roots/list_changed" && !this.#hasOwnRoots(session, caller)) return;
    this.switchboard.send(message.text, caller, session);
  }

  openStream(stream: EventStream, caller: Caller, session: Session): void {
    session.openStream(stream);
    this.switchboard.connect(session, caller);
  }

  /** A session was made again from its id: what lists it may have missed is not known, so it is told to look. */
  restored(session: Session): void {
    const { upstream } = this.switchboard;
    const tell = (): void => {
      const capabilities = upstream.introduction?.capabilities ?? {};
      session.listChanged(offeredLists(capabilities));
    };
    if (upstream.introduction !== undefined) return tell();
    // Right after a start the server may still be starting.
    void this.switchboard.comesUp().then((up) => (up ? tell() : undefined));
  }

  /** On a connection of several the roots are nobody's: the server would take one client's folders for all. */
  #hasOwnRoots(session: Session, caller: Caller): boolean {
    const line = this.switchboard.lineOf(session, caller);
    return line.carriesRoots && (line.exclusive !== undefined || line.only(session));
  }

  #relay(
    message: Message,
    caller: Caller,
    session: Session | undefined,
    reply: Reply,
    hooks?: ExchangeHooks,
  ): Exchange {
    return this.switchboard.relay({ message, caller, session, reply, hooks });
  }

  /** What the caller may use here; undefined where nothing is kept from him. */
  #rights({ principal }: Pick<Caller, "principal">): ServerRights | undefined {
    const own = principal.rights?.of(this.config.name);
    const here = this.#place?.rights;
    return own === undefined || here === undefined ? (own ?? here) : both(own, here);
  }

  /** What changes the list of tools for a caller: the filter of the server, and what he may use of it. */
  #listHooks(caller: Caller): ExchangeHooks | undefined {
    const { config, upstream } = this.switchboard;
    const unchanged = this.#filter === undefined && this.#rights(caller) === undefined;
    // Rights are looked at again when the answer is here: they may have changed meanwhile.
    const shows = (tool: string): boolean => this.#shows(tool, this.#rights(caller));
    const sees = unchanged ? undefined : (text: string) => filterToolList(text, shows);
    if (config.target.kind === "stdio") return sees === undefined ? undefined : { rewrite: sees };
    // Clients of HTTP servers must not be offered tools whose headers could not be made.
    const valid = (text: string): string =>
      upstream.introduction?.era === "modern" ? filterTools(text, (tool) => upstream.toolHeaders.isValid(tool)) : text;
    return { rewrite: sees === undefined ? valid : (text) => sees(valid(text)) };
  }

  /**
   * Calls are checked, not only lists filtered. Under a filter a tool that is not there is answered here too: else the
   * answer would tell which ones are hidden.
   */
  #call(
    message: Message,
    caller: Caller,
    session: Session | undefined,
    reply: Reply,
    watched: WatchedCall | undefined,
    spelled: string | undefined,
  ): Exchange | undefined {
    const offered = this.#allows(message, caller, session);
    if (offered === true) return this.#passCall(message, caller, session, reply, watched);
    if (offered === false) return this.#refuseCall(message, reply, watched, spelled);
    void offered.then((found) => {
      if (found) this.#passCall(message, caller, session, reply, watched);
      else this.#refuseCall(message, reply, watched, spelled);
    });
    return undefined;
  }

  #passCall(
    message: Message,
    caller: Caller,
    session: Session | undefined,
    reply: Reply,
    watched: WatchedCall | undefined,
  ): Exchange {
    return watched === undefined
      ? this.#relay(message, caller, session, reply)
      : this.#relay(message, caller, session, reply, { ended: (good) => watched.ended(good ? "ok" : "failed") });
  }

  #refuseCall(
    message: Message,
    reply: Reply,
    watched: WatchedCall | undefined,
    spelled: string | undefined,
  ): undefined {
    this.switchboard.meter.denied++;
    watched?.ended("denied");
    return refuse(message, reply, missingTool(spelled ?? message.stringParam("name") ?? ""));
  }

  #allows(message: Message, caller: Caller, session: Session | undefined): boolean | Promise<boolean> {
    const rights = this.#rights(caller);
    if (this.#filter === undefined && rights === undefined) return true;
    const tool = message.stringParam("name");
    if (tool === undefined || !this.#shows(tool, rights)) return false;
    return this.switchboard.offers(tool, caller, session);
  }
}
