import type { Message } from "../message.ts";
import { rawParam } from "./envelope.ts";
import type { Capabilities } from "./envelope.ts";

/** What a client wants to hear of (MCP 2026-07-28, basic/patterns/subscriptions). */
export interface ListenFilter {
  readonly toolsListChanged?: boolean;
  readonly promptsListChanged?: boolean;
  readonly resourcesListChanged?: boolean;
  readonly resourceSubscriptions?: readonly string[];
}

const KINDS = ["tools", "prompts", "resources"] as const;

/** Reads the filter of `subscriptions/listen`; a sentence when it is none. */
export function readListenFilter(message: Message): ListenFilter | string {
  const raw = rawParam(message, "notifications");
  const value: unknown = raw === undefined ? undefined : JSON.parse(raw);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return "params.notifications must be an object";
  const given = value as Record<string, unknown>;
  const uris = given["resourceSubscriptions"];
  if (uris !== undefined && !(Array.isArray(uris) && uris.every((uri) => typeof uri === "string"))) {
    return "notifications.resourceSubscriptions must be a list of URIs";
  }
  for (const kind of KINDS) {
    const wanted = given[`${kind}ListChanged`];
    if (wanted !== undefined && typeof wanted !== "boolean")
      return `notifications.${kind}ListChanged must be true or false`;
  }
  return given;
}

/** The part of a filter that a server with these capabilities can serve. */
export function agreed(filter: ListenFilter, capabilities: Capabilities): ListenFilter {
  const can = (kind: string, feature: string): boolean => {
    const capability = capabilities[kind];
    return (
      typeof capability === "object" && capability !== null && (capability as Record<string, unknown>)[feature] === true
    );
  };
  const uris = filter.resourceSubscriptions;
  return {
    ...(filter.toolsListChanged === true && can("tools", "listChanged") ? { toolsListChanged: true } : {}),
    ...(filter.promptsListChanged === true && can("prompts", "listChanged") ? { promptsListChanged: true } : {}),
    ...(filter.resourcesListChanged === true && can("resources", "listChanged") ? { resourcesListChanged: true } : {}),
    ...(uris !== undefined && can("resources", "subscribe") ? { resourceSubscriptions: [...new Set(uris)] } : {}),
  };
}

/** The lists a filter asks for, as words of their methods. */
export function listKinds(filter: ListenFilter): string[] {
  return KINDS.filter((kind) => filter[`${kind}ListChanged`] === true);
}

/** Whether a notification is one that the filter asks for. */
export function hears(filter: ListenFilter, notification: Message): boolean {
  switch (notification.method) {
    case "notifications/tools/list_changed":
      return filter.toolsListChanged === true;
    case "notifications/prompts/list_changed":
      return filter.promptsListChanged === true;
    case "notifications/resources/list_changed":
      return filter.resourcesListChanged === true;
    case "notifications/resources/updated": {
      const uri = notification.stringParam("uri");
      const part = (whole: string): boolean =>
        uri === whole || uri?.startsWith(whole.endsWith("/") ? whole : `${whole}/`) === true;
      return filter.resourceSubscriptions?.some(part) === true;
    }
    default:
      return false;
  }
}
