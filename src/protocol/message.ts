import { recordOf } from "./parsed.ts";
import { ownText } from "./own-text.ts";
import { isAt, lastOf, members, numberAt, oneLine } from "./json.ts";
import type { Edit, Member, Span } from "./json.ts";
import { STRICT_LIMIT, quickParts, slowParts } from "./message-parts.ts";
import type { MessageParts } from "./message-parts.ts";

export type MessageKind = "request" | "notification" | "response";

const FREQUENT = ["tools/call", "notifications/progress"];

/**
 * One JSON-RPC message as raw text (one line) with the places of what the relay may have to touch.
 * Everything else in it is nobody's business here.
 */
export class Message {
  readonly text: string;
  readonly kind: MessageKind;
  readonly method: string | undefined;
  readonly idSpan: Span | undefined;
  readonly params: Span | undefined;
  readonly result: Span | undefined;
  readonly error: Span | undefined;
  #id: string | undefined;
  #paramMembers: readonly Member[] | undefined;
  #metaMembers: readonly Member[] | undefined;

  private constructor(text: string, kind: MessageKind, parts: MessageParts) {
    this.text = text;
    this.kind = kind;
    this.method = parts.method === undefined ? undefined : methodAt(text, parts.method);
    this.idSpan = parts.id;
    // Params stand beside a response in no message that means anything.
    this.params = kind === "response" ? undefined : parts.params;
    this.result = parts.result;
    this.error = parts.error;
    this.#paramMembers = kind === "response" ? undefined : parts.paramMembers;
  }

  /**
   * Reads one message. White space between tokens may change (line breaks become blanks), nothing else.
   * @param from a client's message is always parsed as a whole, so that no upstream gets half-valid text from here
   * @returns a sentence that says what is wrong when the text is JSON but no message
   * @throws SyntaxError when the text is not JSON
   */
  static read(input: string, from: "client" | "upstream"): Message | string {
    const text = oneLine(input);
    const parts = (text.length <= STRICT_LIMIT ? quickParts(text) : undefined) ?? slowParts(text, from);
    if (typeof parts === "string") return parts;
    const { id, method, params, result, error } = parts;
    if (!parts.versioned) return '"jsonrpc" must be "2.0"';
    if (id !== undefined && !isId(text, id, method === undefined)) return '"id" must be a string or a number';
    if (method !== undefined) {
      if (text.charCodeAt(method.start) !== 34) return '"method" must be a string';
      if (result !== undefined || error !== undefined) return "a message is a request or a response, not both";
      if (params !== undefined && !isContainer(text, params)) return '"params" must be an object';
      return new Message(text, id === undefined ? "notification" : "request", parts);
    }
    if (result === undefined && error === undefined) return 'neither "method" nor "result" nor "error"';
    if (result !== undefined && error !== undefined) return '"result" and "error" exclude each other';
    if (id === undefined) return 'a response needs the "id" of its request';
    return new Message(text, "response", parts);
  }

  /** Raw token of the id (`5`, `"5"`, `null`), undefined for notifications. */
  get id(): string | undefined {
    if (this.#id === undefined && this.idSpan !== undefined) this.#id = this.slice(this.idSpan);
    return this.#id;
  }

  /** The id as a number, where it is one: the ids of our own requests are. */
  get idNumber(): number {
    return this.idSpan === undefined ? Number.NaN : numberAt(this.text, this.idSpan);
  }

  /** The members of `params`, none when there are no params or they are not an object. */
  get paramMembers(): readonly Member[] {
    this.#paramMembers ??= this.params === undefined ? [] : (members(this.text, this.params.start) ?? []);
    return this.#paramMembers;
  }

  /** Place of a member of `params`; of duplicates the last. */
  param(key: string): Member | undefined {
    return lastOf(this.paramMembers, key);
  }

  /** A string member of `params`. */
  stringParam(key: string): string | undefined {
    const span = this.param(key);
    return span === undefined ? undefined : stringAt(this.text, span);
  }

  /** The members of `params._meta`. */
  get metaMembers(): readonly Member[] {
    if (this.#metaMembers === undefined) {
      const meta = this.param("_meta");
      this.#metaMembers = meta === undefined ? [] : (members(this.text, meta.start) ?? []);
    }
    return this.#metaMembers;
  }

  /** Place of a member of `params._meta`; of duplicates the last. */
  meta(key: string): Member | undefined {
    return lastOf(this.metaMembers, key);
  }

  slice(span: Span): string {
    return this.text.slice(span.start, span.end);
  }

  /** The text with another id, and perhaps something else that is not as it was. */
  withId(id: string, edit?: Edit): string {
    const { text, idSpan: at } = this;
    if (at === undefined) throw new TypeError("a notification has no id");
    if (edit === undefined) return text.slice(0, at.start) + id + text.slice(at.end);
    return edit.start < at.start
      ? text.slice(0, edit.start) + edit.text + text.slice(edit.end, at.start) + id + text.slice(at.end)
      : text.slice(0, at.start) + id + text.slice(at.end, edit.start) + edit.text + text.slice(edit.end);
  }

  edited(edit: Edit): string {
    return this.text.slice(0, edit.start) + edit.text + this.text.slice(edit.end);
  }

  /** The same message with an edit. */
  with(edit: Edit): Message {
    return Message.read(this.edited(edit), "upstream") as Message;
  }

  /** The same message, which keeps nothing alive of what came together with it: many may hold it, and for long. */
  apart(): Message {
    return Message.read(ownText(this.text), "upstream") as Message;
  }

  /** The parsed params, for the few messages the proxy answers itself. */
  parsedParams(): Readonly<Record<string, unknown>> {
    return recordOf(this.params === undefined ? {} : JSON.parse(this.slice(this.params)));
  }
}

/** The name of a method. Of those that most messages have no new text is made. */
function methodAt(text: string, { start, end }: Span): string {
  for (const known of FREQUENT) if (end - start === known.length + 2 && isAt(text, start + 1, known)) return known;
  return stringAt(text, { start, end }) ?? "";
}

/** The string at a place, undefined when another kind of value stands there. */
export function stringAt(text: string, span: Span): string | undefined {
  if (text.charCodeAt(span.start) !== 34) return undefined;
  const raw = text.slice(span.start + 1, span.end - 1);
  return raw.includes("\\") ? (JSON.parse(text.slice(span.start, span.end)) as string) : raw;
}

function isId(text: string, span: Span, response: boolean): boolean {
  const code = text.charCodeAt(span.start);
  if (code === 34 || code === 45 || (code >= 48 && code <= 57)) return true;
  // An error about a message that could not be read is answered to `null` (JSON-RPC 2.0 section 5).
  return response && text.slice(span.start, span.end) === "null";
}

function isContainer(text: string, span: Span): boolean {
  const code = text.charCodeAt(span.start);
  return code === 123 || code === 91;
}
