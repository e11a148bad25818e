import type { Named } from "../../policy/naming.ts";
import type { Principal } from "../../policy/principal.ts";
import { mayHear } from "../../policy/rights.ts";
import type { Envelope } from "../../protocol/eras/envelope.ts";
import type { Message } from "../../protocol/message.ts";
import { LISTS } from "../../upstream/catalogue.ts";
import type { Catalogue, ListKind } from "../../upstream/catalogue.ts";
import type { Caller, Reply } from "../ends.ts";
import type { ServerEndpoint } from "../endpoint.ts";
import type { Session } from "../session.ts";

/** One server of several behind a URL. */
export interface Member extends Named {
  readonly displayName: string;
  /** The part of the server that is served there, with all its rules. */
  readonly endpoint: ServerEndpoint;
  /** Whether somebody who was let in would be at this server's own URL. */
  admits(principal: Principal): boolean;
  /** Whether he may use anything of this server as well. */
  reaches(principal: Principal): boolean;
  /** Whether a notification of the server is for clients here. */
  hears(method: string | undefined): boolean;
}

/** On whose behalf something is asked of a member. */
export interface Asking {
  readonly caller: Caller;
  /** The session of a legacy client on the URL of all. */
  readonly session: Session | undefined;
  /** Of a modern client: what its request said of it, and the raw text of that. */
  readonly modern: { readonly envelope: Envelope; readonly meta: string } | undefined;
}

export function catalogueOf(member: Member): Catalogue | undefined {
  return member.endpoint.switchboard.upstream.catalogue;
}

/** What a member said of what it can do, also while it is away. */
export function capabilitiesOf(member: Member): Readonly<Record<string, unknown>> {
  return member.endpoint.switchboard.upstream.introduction?.capabilities ?? {};
}

/** The lists of a member, of those that have changed, of which somebody here may hear. */
export function heard(member: Member, principal: Principal, changed: readonly ListKind[]): ListKind[] {
  if (!member.reaches(principal)) return [];
  return changed.filter((kind) => {
    const method = `notifications/${LISTS[kind].capability}/list_changed`;
    return member.hears(method) && mayHear(principal.rights, member.endpoint.name, method);
  });
}

/** Takes the answer to a request of ours. */
export class Answer implements Reply {
  readonly #done = Promise.withResolvers<string | undefined>();

  /** Raw text; undefined when there is none. */
  get text(): Promise<string | undefined> {
    return this.#done.promise;
  }

  push(): void {}

  finish(text: string): void {
    this.#done.resolve(text);
  }

  drop(): void {
    this.#done.resolve(undefined);
  }
}

/** One request of several that are made of one; that one counts for the limits. */
export function partOf({ principal, headers, usedAuthorization, trusted, local }: Caller): Caller {
  return { principal, headers, usedAuthorization, trusted, local, part: true };
}

/** Sends a request to a member as its client would, in the client's era. @returns the raw answer */
export function ask(
  member: Member,
  message: Message,
  asking: Asking,
  branch: Session | undefined,
): Promise<string | undefined> {
  const { modern } = asking;
  const caller = partOf(asking.caller);
  const reply = new Answer();
  if (modern === undefined) member.endpoint.request(message, caller, branch, reply);
  else member.endpoint.modern.request({ message, envelope: modern.envelope, caller, reply, onLeave: () => undefined });
  return reply.text;
}
