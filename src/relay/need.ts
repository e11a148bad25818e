import type { ServerConfig } from "../config/config.ts";
import { CARRIED } from "../protocol/capabilities.ts";
import type { Declaration } from "../upstream/greeting.ts";
import type { Need } from "../upstream/upstream.ts";
import type { Caller, Local } from "./ends.ts";
import type { Dialogue } from "./dialogue.ts";
import type { Session } from "./session.ts";

const NOTHING: Readonly<Record<string, string>> = Object.freeze({});

/** Who the proxy is towards servers, where it does not speak for one client. */
export interface Identity {
  readonly name: string;
  readonly version: string;
}

/** The need for the connection everybody shares. */
export function sharedNeed(server: ServerConfig, identity: Identity): Need {
  return { key: "", declaration: sharedDeclaration(server, identity), env: NOTHING, headers: NOTHING };
}

/** Header values that a server wants from the client, in the order of the configuration. */
export interface Carried {
  /** `""` when there are none. */
  readonly key: string;
  readonly env: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Picks the client's headers that `headerToEnv` and `forwardHeaders` name, and no others. The credential that let the
 * caller in is never among them: it belongs to the proxy, and a server could use it to be that caller here.
 */
export function carriedHeaders(server: ServerConfig, caller: Caller): Carried | undefined {
  const { target } = server;
  const pairs: [string, string][] = [];
  const env: Record<string, string> = {};
  const headers: Record<string, string> = {};
  if (target.kind === "stdio") {
    for (const [header, variable] of target.headerToEnv) {
      const value = headerOf(caller, header);
      if (value === undefined) continue;
      env[variable] = value;
      pairs.push([variable, value]);
    }
  } else {
    for (const header of target.forwardHeaders) {
      const value = headerOf(caller, header);
      if (value === undefined) continue;
      headers[header] = value;
      pairs.push([header, value]);
    }
  }
  return pairs.length === 0 ? undefined : { key: JSON.stringify(pairs), env, headers };
}

/** Whose connection it is. */
interface Owner {
  /** `""` is everybody's, else a part of the key. */
  readonly key: string;
  /** One session has it for itself. */
  readonly exclusive: boolean;
}

const EVERYBODY: Owner = Object.freeze({ key: "", exclusive: false });

/** Whose connection a request needs; asked at every one, so no key is made that is not used. */
export function ownerOf(server: ServerConfig, caller: Caller, session: Session | undefined): Owner {
  switch (server.isolation) {
    case "shared":
      return EVERYBODY;
    case "user":
      return { key: `user ${caller.principal.id}`, exclusive: false };
    case "session":
      return ofSession(caller, session);
    case "auto":
      return server.target.kind !== "stdio" || session?.ownChild === true ? ofSession(caller, session) : EVERYBODY;
  }
}

function ofSession(caller: Caller, session: Session | undefined): Owner {
  if (session !== undefined) return { key: `session ${session.id}`, exclusive: true };
  return caller.local === undefined ? EVERYBODY : { key: `local ${caller.local.key}`, exclusive: false };
}

export function sharedDeclaration(server: ServerConfig, identity: Identity): Declaration {
  const roots = server.target.kind !== "stdio" || server.roots ? { roots: { listChanged: true } } : {};
  return { clientInfo: identity, capabilities: { ...CARRIED, ...roots } };
}

/** The connection that one call of a modern client has for itself: its client's exact words. */
export function leasedDeclaration(server: ServerConfig, dialogue: Dialogue, identity: Identity): Declaration {
  const { clientInfo } = dialogue.envelope;
  return exactDeclaration(server, { clientInfo: clientInfo ?? identity, capabilities: dialogue.capabilities });
}

/** The connection of a stateless client that has the proxy for itself. */
export function localDeclaration(server: ServerConfig, local: Local, identity: Identity): Declaration {
  return exactDeclaration(server, { clientInfo: local.clientInfo ?? identity, capabilities: local.capabilities });
}

/** A connection of one session's own declares exactly what its client can do, but for the rule on roots. */
export function ownDeclaration(server: ServerConfig, session: Session): Declaration {
  return exactDeclaration(server, { clientInfo: session.client.info, capabilities: session.client.capabilities });
}

function exactDeclaration(server: ServerConfig, declared: Declaration): Declaration {
  if (server.target.kind !== "stdio" || server.roots) return declared;
  // Servers take roots as permission: a remote client must not open folders of this machine to a child by naming them.
  const { roots: _, ...capabilities } = declared.capabilities;
  return { ...declared, capabilities };
}

function headerOf(caller: Caller, header: string): string | undefined {
  if (caller.usedAuthorization && header.toLowerCase() === "authorization") return undefined;
  return caller.headers.get(header) ?? undefined;
}
