import { foldCase } from "./json.ts";
import type { Message } from "./message.ts";

/** What of `params` the proxy reads, replaces or checks, by method. */
const READ: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "resources/subscribe": "uri",
  "resources/unsubscribe": "uri",
  "logging/setLevel": "level",
  "tasks/get": "taskId",
  "tasks/result": "taskId",
  "tasks/cancel": "taskId",
  "notifications/cancelled": "requestId",
  "notifications/progress": "progressToken",
};

/**
 * What two readers of a client's message would understand differently: a name that stands twice, or in another spelling.
 * Parsers disagree about which of two counts, and many match names without regard to case; a server would then act on a
 * tool, an id or a token that was never checked or replaced here. What the proxy does not read is left alone.
 * @returns a sentence about it, undefined when there is nothing
 */
export function ambiguityOf(message: Message): string | undefined {
  const read = message.method === undefined ? undefined : READ[message.method];
  return (
    doubtful(message.paramMembers, "_meta") ??
    doubtful(message.metaMembers, "progressToken") ??
    (read === undefined ? undefined : doubtful(message.paramMembers, read))
  );
}

function doubtful(members: readonly { readonly key: string }[], name: string): string | undefined {
  let seen = false;
  for (const { key } of members) {
    if (key.length !== name.length || (key !== name && foldCase(key) !== foldCase(name))) continue;
    if (key !== name) return `"${key}" is not written like that`;
    if (seen) return `"${key}" stands there twice`;
    seen = true;
  }
  return undefined;
}
