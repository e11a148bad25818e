import type { Principal } from "../../policy/principal.ts";
import { withSubscription } from "../../protocol/eras/hello.ts";
import type { ListenFilter } from "../../protocol/eras/listen.ts";
import { listKinds } from "../../protocol/eras/listen.ts";
import { Meta } from "../../protocol/eras/names.ts";
import { withParams } from "../../protocol/eras/envelope.ts";
import { getKey, setKey } from "../../protocol/eras/object-text.ts";
import { resultText } from "../../protocol/errors.ts";
import { Message } from "../../protocol/message.ts";
import type { Clock } from "../../telemetry/clock.ts";
import { LISTS } from "../../upstream/catalogue.ts";
import type { ListKind } from "../../upstream/catalogue.ts";
import type { Caller, Reply } from "../ends.ts";
import { Listening } from "../listening.ts";
import { heard } from "./member.ts";
import type { Member } from "./member.ts";
import type { Roster } from "./roster.ts";

/** How long until a server is asked anew that has ended its part in good order: most servers that do so start again. */
const AGAIN_MS = 1_000;
const LONGEST_MS = 60_000;

/** How long servers may take to agree before the client is told what was agreed to. */
const AGREEMENT_MS = 3_000;

export interface ListeningHost {
  readonly clock: Clock;
  readonly roster: () => Roster;
  over(): void;
}

/** What one server of several was asked to tell, and has agreed to. */
interface Part {
  listening: Listening | undefined;
  /** Undefined until it has agreed. */
  agreed: ListenFilter | undefined;
  /** What the client calls its resources, by URI. */
  readonly spelled: ReadonlyMap<string, string>;
  /** How often it has ended its part in good order without having told anything. */
  ends: number;
  stopRetry: (() => void) | undefined;
}

/**
 * One `subscriptions/listen` of a modern client at several servers: one of each of them behind it, one acknowledgement.
 */
export class JointListening {
  readonly #request: Message;
  readonly #filter: ListenFilter;
  readonly #caller: Caller;
  readonly #reply: Reply;
  readonly #host: ListeningHost;
  readonly #parts = new Map<string, Part>();
  #held: string[] | undefined = [];
  #stopWaiting: (() => void) | undefined;
  #over = false;

  constructor(request: Message, filter: ListenFilter, caller: Caller, reply: Reply, host: ListeningHost) {
    this.#request = request;
    this.#filter = filter;
    this.#caller = caller;
    this.#reply = reply;
    this.#host = host;
  }

  get principal(): Principal {
    return this.#caller.principal;
  }

  start(): void {
    this.#stopWaiting = this.#host.clock.after(AGREEMENT_MS, () => this.#acknowledge());
    for (const member of this.#members()) this.#open(member);
    this.#acknowledgeIfSettled();
  }

  /** The client has left. */
  close(): void {
    if (!this.#end()) return;
    this.#closeParts();
  }

  /** The proxy ends: the client gets its answer. */
  finish(): void {
    if (!this.#end()) return;
    this.#closeParts();
    const meta = `{${JSON.stringify(Meta.subscriptionId)}:${this.#id}}`;
    this.#reply.finish(resultText(this.#id, `{"resultType":"complete","_meta":${meta}}`));
  }

  /** The lists of a server are not as they were, or it is back. */
  changed(member: Member, kinds: readonly ListKind[]): void {
    const { principal } = this.#caller;
    if (this.#over || !member.reaches(principal)) return;
    const part = this.#parts.get(member.name);
    // What a server has agreed to tell, it tells itself.
    const told = part?.listening === undefined ? [] : listKinds(part.agreed ?? {});
    if (part?.listening === undefined) this.#open(member);
    const news = heard(member, principal, kinds).map((kind) => LISTS[kind].capability);
    this.#listsChanged(news.filter((list) => !told.includes(list)));
  }

  /** Other servers are behind the URL. @param different clients have other things to see */
  replaced(before: readonly Member[], different: boolean): void {
    let changed = different;
    const now = this.#members();
    for (const { name, endpoint } of before) {
      const same = now.find((member) => member.name === name)?.endpoint.switchboard === endpoint.switchboard;
      if (same) continue;
      this.#closePart(name);
      changed = this.#parts.delete(name) || changed;
    }
    for (const member of now) {
      if (this.#parts.has(member.name)) continue;
      changed = true;
      this.#open(member);
    }
    if (changed) this.#listsChanged(["tools", "prompts", "resources"]);
  }

  get #id(): string {
    return this.#request.id ?? "null";
  }

  #members(): Member[] {
    return this.#host.roster().of(this.#caller.principal);
  }

  #closeParts(): void {
    for (const name of this.#parts.keys()) this.#closePart(name);
  }

  #closePart(name: string): void {
    const part = this.#parts.get(name);
    part?.stopRetry?.();
    part?.listening?.close();
  }

  #open(member: Member, ends = 0): void {
    this.#parts.get(member.name)?.stopRetry?.();
    const spelled = this.#resourcesOf(member);
    const { resourceSubscriptions: _, ...lists } = this.#filter;
    const filter: ListenFilter = {
      ...lists,
      ...(member.endpoint.wholeFor(this.#caller.principal)
        ? {}
        : { promptsListChanged: false, resourcesListChanged: false }),
      ...(spelled.size === 0 ? {} : { resourceSubscriptions: [...spelled.keys()] }),
    };
    const params = this.#request.params === undefined ? "{}" : this.#request.slice(this.#request.params);
    const request = withParams(this.#request, setKey(params, "notifications", JSON.stringify(filter)));
    const part: Part = { listening: undefined, agreed: undefined, spelled, ends, stopRetry: undefined };
    this.#parts.set(member.name, part);
    const gone = (): void => {
      part.listening = undefined;
      this.#acknowledgeIfSettled();
    };
    const finish = (text: string): void => {
      gone();
      if (this.#over || getKey(text, "result") === undefined) return;
      const pause = Math.min(AGAIN_MS * 2 ** part.ends, LONGEST_MS);
      part.stopRetry = this.#host.clock.after(pause, () => this.#open(member, part.ends + 1));
    };
    const reply: Reply = { push: (text) => this.#heard(part, text), finish, drop: gone };
    const listening = Listening.open(request, this.#caller, reply, member.endpoint.switchboard);
    if (typeof listening !== "string") part.listening = listening;
  }

  /** The resources of one server among those asked for, by their URIs there. */
  #resourcesOf(member: Member): Map<string, string> {
    const found = new Map<string, string>();
    for (const text of this.#filter.resourceSubscriptions ?? []) {
      const located = this.#host.roster().locate(text, this.#caller.principal);
      if (located?.member === member) found.set(located.uri, text);
    }
    return found;
  }

  #heard(part: Part, text: string): void {
    if (this.#over) return;
    const message = Message.read(text, "upstream") as Message;
    if (message.method === "notifications/subscriptions/acknowledged") {
      const { notifications } = message.parsedParams();
      part.agreed = typeof notifications === "object" && notifications !== null ? notifications : {};
      // It was too late for the acknowledgement, and perhaps for the lists.
      if (this.#held === undefined) return this.#listsChanged(listKinds(part.agreed));
      return this.#acknowledgeIfSettled();
    }
    part.ends = 0;
    const span = message.method === "notifications/resources/updated" ? message.param("uri") : undefined;
    const shown = span === undefined ? undefined : part.spelled.get(message.stringParam("uri") ?? "");
    this.#say(
      span === undefined || shown === undefined
        ? text
        : message.edited({ start: span.start, end: span.end, text: JSON.stringify(shown) }),
    );
  }

  #listsChanged(lists: readonly string[]): void {
    const wanted = new Set(listKinds(this.#filter));
    for (const list of new Set(lists)) {
      if (wanted.has(list)) this.#say(this.#notification(`notifications/${list}/list_changed`, "{}"));
    }
  }

  #acknowledgeIfSettled(): void {
    const settled = [...this.#parts.values()].every(
      ({ listening, agreed }) => listening === undefined || agreed !== undefined,
    );
    if (settled) this.#acknowledge();
  }

  #acknowledge(): void {
    const held = this.#held;
    if (this.#over || held === undefined) return;
    this.#held = undefined;
    this.#stopWaiting?.();
    const granted = new Set<string>();
    for (const { agreed, spelled } of this.#parts.values()) {
      for (const uri of agreed?.resourceSubscriptions ?? []) granted.add(spelled.get(uri) ?? uri);
    }
    const uris = this.#filter.resourceSubscriptions?.filter((uri) => granted.has(uri));
    const agreed: ListenFilter = {
      // That lists change is seen here, whatever the servers tell; lists that nobody has do not.
      ...Object.fromEntries(this.#offered(listKinds(this.#filter)).map((kind) => [`${kind}ListChanged`, true])),
      ...(uris === undefined ? {} : { resourceSubscriptions: uris }),
    };
    const params = JSON.stringify({ notifications: agreed });
    this.#reply.push(this.#notification("notifications/subscriptions/acknowledged", params));
    for (const text of held) this.#reply.push(text);
  }

  /** Those lists that some server has, or may have that has not said anything yet. */
  #offered(lists: readonly string[]): string[] {
    const members = this.#members();
    return lists.filter((list) =>
      members.some(({ endpoint: { switchboard, whole } }) => {
        const said = switchboard.upstream.introduction;
        return (whole || list === "tools") && (said === undefined || said.capabilities[list] !== undefined);
      }),
    );
  }

  #notification(method: string, params: string): string {
    return `{"jsonrpc":"2.0","method":"${method}","params":${withSubscription(params, this.#id)}}`;
  }

  #say(text: string): void {
    if (this.#held === undefined) this.#reply.push(text);
    else if (this.#held.length < 256) this.#held.push(text);
  }

  /** @returns whether it was not over yet */
  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#stopWaiting?.();
    this.#host.over();
    return true;
  }
}
