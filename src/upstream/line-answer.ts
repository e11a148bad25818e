import { members, skipValue, splitArray } from "../protocol/json.ts";
import { skipSpace } from "../protocol/strict-json.ts";

/**
 * Which of our requests an answer belonged to that was too long to be kept, as far as its ends tell. Only members of
 * the outermost object count: an `id` somewhere inside a result would fail somebody else's request.
 * @param head the first few thousand characters
 * @param tail the last few hundred characters, `""` while the line goes on; many servers write the id last
 * @returns undefined when it is not certain, or when it is a request or notification of the server
 */
export function answeredId(head: string, tail: string): number | undefined {
  let id: number | undefined;
  let at = skipSpace(head, 0);
  if (head.charCodeAt(at) !== 123) return undefined;
  for (;;) {
    at = skipSpace(head, at + 1);
    const keyEnd = skipValue(head, at);
    if (keyEnd === -1) return undefined;
    const key = head.slice(at, keyEnd);
    if (key === '"method"') return undefined;
    if (key === '"result"' || key === '"error"') break;
    const colon = skipSpace(head, keyEnd);
    const start = skipSpace(head, colon + 1);
    const end = skipValue(head, start);
    if (head.charCodeAt(colon) !== 58 || end === -1) return undefined;
    if (key === '"id"') id = wholeNumber(head.slice(start, end));
    at = skipSpace(head, end);
    if (head.charCodeAt(at) !== 44) return undefined;
  }
  if (id !== undefined) return id;
  const last = /[,{]\s*"id"\s*:\s*(\d{1,15})\s*\}\s*$/.exec(tail);
  return last === null ? undefined : wholeNumber(last[1] as string);
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** The id of ours that a whole message answers, undefined when it is no answer to one of our requests. */
export function responseId(text: string): number | undefined {
  const quick = answeredId(text, text.slice(-256));
  if (quick !== undefined) return quick;
  const top = members(text, skipSpace(text, 0)) ?? [];
  if (top.some(({ key }) => key === "method")) return undefined;
  const id = top.findLast(({ key }) => key === "id");
  return id === undefined ? undefined : wholeNumber(text.slice(id.start, id.end));
}

/** The messages of a text that should be one, or a batch of them; none when it is neither. */
export function messagesIn(text: string): string[] {
  const first = text.charCodeAt(skipSpace(text, 0));
  if (first === 123) return [text];
  return first === 91 ? splitArray(text).filter((each) => each.startsWith("{")) : [];
}
