import { members } from "../json.ts";
import type { Message } from "../message.ts";
import { ENVELOPE_KEYS, MODERN_VERSION, Meta } from "./names.ts";
import { asString, getKey, isObject, removeKeys, removeMeta, setMeta } from "./object-text.ts";

export type Capabilities = Readonly<Record<string, unknown>>;

/** What each modern request says of its client (MCP 2026-07-28, basic/index). */
export interface Envelope {
  readonly version: string;
  readonly capabilities: Capabilities;
  /** Undefined when the client keeps it to itself. */
  readonly clientInfo: unknown;
  readonly logLevel: string | undefined;
}

/** Whether a request is of the modern era by its own words; the value may still be nonsense. */
export function hasEnvelope(message: Message): boolean {
  return message.meta(Meta.protocolVersion) !== undefined;
}

/** The version a request names, undefined when what stands there is no string. */
export function envelopeVersion(message: Message): string | undefined {
  const span = message.meta(Meta.protocolVersion);
  return span === undefined ? undefined : asString(message.slice(span));
}

/**
 * Reads a request's envelope.
 * @returns a sentence that says what is wrong with it
 */
export function readEnvelope(message: Message): Envelope | string {
  const meta = message.param("_meta");
  const all = meta === undefined ? undefined : members(message.text, meta.start);
  if (all === undefined) return `params._meta with ${Meta.protocolVersion} is missing`;
  // Which of two one reads decides what a client may be asked.
  for (const key of ENVELOPE_KEYS) {
    if (all.filter((member) => member.key === key).length > 1) return `${key} stands there twice`;
  }
  const version = envelopeVersion(message);
  if (version === undefined) return `${Meta.protocolVersion} must be a string`;
  const capabilities = message.meta(Meta.clientCapabilities);
  if (capabilities === undefined) return `${Meta.clientCapabilities} is missing`;
  const text = message.slice(capabilities);
  if (!isObject(text)) return `${Meta.clientCapabilities} must be an object`;
  const info = message.meta(Meta.clientInfo);
  const level = message.meta(Meta.logLevel);
  const logLevel = level === undefined ? undefined : asString(message.slice(level));
  if (level !== undefined && logLevel === undefined) return `${Meta.logLevel} must be a string`;
  return {
    version,
    capabilities: JSON.parse(text) as Capabilities,
    clientInfo: info === undefined ? undefined : (JSON.parse(message.slice(info)) as unknown),
    logLevel,
  };
}

/** The params of a modern request as a legacy server gets them. */
export function legacyParams(params: string): string {
  // Answers and states belong to the rounds that are played here.
  const call = removeKeys(params, (key) => key === "inputResponses" || key === "requestState");
  return removeMeta(call, (key) => ENVELOPE_KEYS.has(key));
}

/** The params of a legacy request with the envelope of its session. */
export function modernParams(params: string | undefined, envelope: Omit<Envelope, "version">): string {
  let text = params !== undefined && isObject(params) ? params : "{}";
  text = setMeta(text, Meta.protocolVersion, JSON.stringify(MODERN_VERSION));
  text = setMeta(text, Meta.clientCapabilities, JSON.stringify(envelope.capabilities));
  if (envelope.clientInfo !== undefined) text = setMeta(text, Meta.clientInfo, JSON.stringify(envelope.clientInfo));
  return envelope.logLevel === undefined ? text : setMeta(text, Meta.logLevel, JSON.stringify(envelope.logLevel));
}

/** What a session's client can do, in the words of the modern era. */
export function modernCapabilities(declared: Capabilities, legacyVersion: string): Capabilities {
  const { tasks: _, ...capabilities } = declared;
  // Modes came with 2025-11-25; an earlier client would not understand a URL.
  if (legacyVersion < "2025-11-25" && capabilities["elicitation"] !== undefined)
    return { ...capabilities, elicitation: {} };
  return capabilities;
}

/** A request with other params, at the same place. */
export function withParams(message: Message, params: string): Message {
  const { text } = message;
  if (message.params !== undefined) return message.with({ ...message.params, text: params });
  const end = text.lastIndexOf("}");
  return message.with({ start: end, end, text: `,"params":${params}` });
}

/** Raw value of a member of a request's params. */
export function rawParam(message: Message, key: string): string | undefined {
  return message.params === undefined ? undefined : getKey(message.slice(message.params), key);
}
