import { missingMethod, missingPrompt, missingReference, missingResource } from "../policy/missing.ts";
import type { Missing } from "../policy/missing.ts";
import type { ServerRights } from "../policy/rights.ts";
import { errorText, resultText } from "../protocol/errors.ts";
import { removeKeys } from "../protocol/eras/object-text.ts";
import { toModernResult } from "../protocol/eras/results.ts";
import type { Message } from "../protocol/message.ts";

/** What clients of either era ask without a pattern that names a whole server: it is checked, or owned, elsewhere. */
const ANYBODYS = new Set([
  "tools/call",
  "ping",
  "server/discover",
  "subscriptions/listen",
  "tasks/get",
  "tasks/result",
  "tasks/cancel",
  "tasks/update",
]);
const LISTS = new Map([
  ["prompts/list", "prompts"],
  ["resources/list", "resources"],
  ["resources/templates/list", "resourceTemplates"],
  ["tools/list", "tools"],
  ["tasks/list", "tasks"],
]);

/**
 * The answer to a caller who may use single tools of a server, or nothing of it, when he asks for more: as a server
 * answers that has no more. The server itself is not asked.
 * @returns undefined where the request may go on
 */
export function answerNarrowed(
  message: Message,
  rights: ServerRights,
  modern: boolean,
): { readonly text: string; readonly status: number; readonly denied: boolean } | undefined {
  const { method = "" } = message;
  if (ANYBODYS.has(method)) return undefined;
  const id = message.id ?? "null";
  const list = LISTS.get(method);
  if (list !== undefined) {
    if (rights.any && (list === "tools" || list === "tasks")) return undefined;
    const empty = `{"${list}":[]}`;
    const text = resultText(id, modern ? toModernResult(method, empty, undefined) : empty);
    return { text, status: 200, denied: false };
  }
  const refuse = ({ code, text }: Missing, status = 200): { text: string; status: number; denied: boolean } => ({
    text: errorText(id, code, text),
    status,
    denied: true,
  });
  switch (method) {
    case "logging/setLevel":
    case "resources/unsubscribe":
      return modern ? refuse(missingMethod(method), 404) : { text: resultText(id, "{}"), status: 200, denied: false };
    case "prompts/get":
      return refuse(missingPrompt(message.stringParam("name") ?? ""));
    case "resources/read":
    case "resources/subscribe":
      return refuse(missingResource(message.stringParam("uri") ?? "", modern));
    case "completion/complete":
      return refuse(missingReference());
    default:
      return refuse(missingMethod(method), modern ? 404 : 200);
  }
}

/** What a server says of itself: how it is to be used concerns those who may use some of it. @param said raw text */
export function introductionFor(rights: ServerRights | undefined, said: string): string {
  return rights?.any === false ? removeKeys(said, (key) => key === "instructions") : said;
}

/** `subscriptions/listen` of such a caller: changes of tools are all he may hear of. */
export function listenNarrowed(message: Message, rights: ServerRights): Message {
  const span = message.param("notifications");
  if (span === undefined) return message;
  const wanted = (message.parsedParams()["notifications"] ?? {}) as Record<string, unknown>;
  if (typeof wanted !== "object") return message;
  const tools = rights.any && wanted["toolsListChanged"] === true;
  return message.with({ start: span.start, end: span.end, text: tools ? '{"toolsListChanged":true}' : "{}" });
}
